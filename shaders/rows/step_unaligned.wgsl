// The same step over rows as step.wgsl, for rows of any length at any 4-byte offset, and for a part
// of the table and a part of the row gradients: only elements that lie in both are touched. All
// occurrences of a row lie in one part of the gradients, or element by element in several; those of
// a row that crosses from part to part, or is named often, have been summed by sum.wgsl.
//
// Shapes and bindings as in step.wgsl; the starts of `job` count in single elements here.

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
@group(0) @binding(2) var<storage, read_write> params: array<Scalar>;
@group(0) @binding(3) var<storage, read> grads: array<Scalar>;
@group(0) @binding(STATE_BINDING) var<storage, read_write> STATE: array<Scalar>;
@group(1) @binding(0) var<uniform> hyper: Hyper;

override workgroup_size: u32;

const columns = vec4<u32>(0u, 1u, 2u, 3u);

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
    let live = min(4u, job.width - column);
    let element = lists[record] + column - job.table_first;
    let begin = lists[record + 1u];
    let end = lists[record + 3u];
    let first = lists[begin] + column - job.grads_first;

    var state: State;
    var x: Real;
    var gradient: Real;
    for (var k = 0u; k < live; k++) {
        if (element + k < job.table_len && first + k < job.grads_len) {
            state.STATE[k] = STATE[job.STATE_start + element + k];
            x[k] = params[job.params_start + element + k];
            gradient[k] = grads[job.grads_start + first + k];
        }
    }
    for (var at = begin + 1u; at < end; at++) {
        let next = lists[at] + column - job.grads_first;
        // No loop within, since turns are counted (MOST_TURNS in src/gpu/plan.rs).
        let present = next + columns < vec4<u32>(job.grads_len);
        var term: Real;
        if (present.x) { term.x = grads[job.grads_start + next]; }
        if (present.y && live > 1u) { term.y = grads[job.grads_start + next + 1u]; }
        if (present.z && live > 2u) { term.z = grads[job.grads_start + next + 2u]; }
        if (present.w && live > 3u) { term.w = grads[job.grads_start + next + 3u]; }
        gradient = add(gradient, term);
    }
    x = update(hyper, x, gradient, &state);
    for (var k = 0u; k < live; k++) {
        if (element + k < job.table_len && first + k < job.grads_len) {
            params[job.params_start + element + k] = x[k];
            STATE[job.STATE_start + element + k] = state.STATE[k];
        }
    }
}
