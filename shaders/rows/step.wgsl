// One optimizer step over some rows of a table whose rows are whole groups of four elements that
// start on multiples of 16 bytes: four elements an invocation. The gradients of a row that is named
// several times are summed first, in the order in which they came, beginning with the first.
//
// Shapes: `params` and each state vector are parts of the same length of the table and its state,
// `grads` is all of the row gradients. `lists` (src/gpu/rows/lists.rs) has two words for each row:
// its first element in the table and where its occurrences begin in `lists`; behind the last row,
// where those end. An occurrence is the first element of a row of gradients. `job` mirrors `Job` of
// src/gpu/rows/dispatches.rs; its starts count in groups of four here. Elements are counted modulo
// 2^32, so that what lies before a part is past its end too. Lines with STATE stand once for each
// state vector of the rule, STATE_BINDING counting from 4.

struct Job {
    threads: u32,
    quads: u32,
    first_quad: u32,
    width: u32,
    first_record: u32,
    table_first: u32,
    table_len: u32,
    grads_first: u32,
    grads_len: u32,
    skip: u32,
    params_start: u32,
    grads_start: u32,
    STATE_start: u32,
}

struct State {
    STATE: Real,
}

@group(0) @binding(0) var<uniform> job: Job;
@group(0) @binding(1) var<storage, read> lists: array<u32>;
@group(0) @binding(2) var<storage, read_write> params: array<Real>;
@group(0) @binding(3) var<storage, read> grads: array<Real>;
@group(0) @binding(STATE_BINDING) var<storage, read_write> STATE: array<Real>;
@group(1) @binding(0) var<uniform> hyper: Hyper;

override workgroup_size: u32;

@compute @workgroup_size(workgroup_size)
fn step(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = (group.y * groups.x + group.x) * workgroup_size + lane;
    if (index >= job.threads) { return; }
    let record = job.first_record + 2u * (index / job.quads);
    let column = 4u * (job.first_quad + index % job.quads);
    let element = lists[record] + column - job.table_first;
    if (element >= job.table_len) { return; }
    let quad = element / 4u;

    let begin = lists[record + 1u];
    let end = lists[record + 3u];
    let grads_quad = job.grads_start + column / 4u;
    var gradient = grads[grads_quad + lists[begin] / 4u];
    for (var at = begin + 1u; at < end; at++) {
        gradient = add(gradient, grads[grads_quad + lists[at] / 4u]);
    }

    var state: State;
    state.STATE = STATE[job.STATE_start + quad];
    let x = params[job.params_start + quad];
    params[job.params_start + quad] = update(hyper, x, gradient, &state);
    STATE[job.STATE_start + quad] = state.STATE;
}
