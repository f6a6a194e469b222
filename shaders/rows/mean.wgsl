// For rows that share accumulators: the mean square of each row's gradients, and the step of the
// accumulators by it. The gradients of a row that is named several times are summed first, as in
// step.wgsl. Element j of a row belongs to partial sum j % 32; then a tree over the 32, the upper half
// to the lower one, and a division by the row's length. Eight invocations a row, four partial sums
// each. Twin: `mean_square` in src/numerics/sum.rs.
//
// Shapes: each state vector, one value a row, is a part of the whole; `grads` is all of the row
// gradients. `lists` and `job` are those of step_unaligned.wgsl, with the numbers of rows for elements
// of the table. `shared_by_row` is written as shared.wgsl reads it. Lines with STATE stand once for
// each state vector that is shared, STATE_BINDING counting from 4, STATE_INDEX from 1.

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
    width_as_real: Scalar,
    grads_start: u32,
    STATE_start: u32,
}

struct State {
    STATE: Real,
}

@group(0) @binding(0) var<uniform> job: Job;
@group(0) @binding(1) var<storage, read> lists: array<u32>;
@group(0) @binding(2) var<storage, read_write> shared_by_row: array<Scalar>;
@group(0) @binding(3) var<storage, read> grads: array<Scalar>;
@group(0) @binding(STATE_BINDING) var<storage, read_write> STATE: array<Scalar>;
@group(1) @binding(0) var<uniform> hyper: Hyper;

override workgroup_size: u32;

const lanes = 8u; // of a row
var<workgroup> partials: array<Real, 64>; // for the largest workgroup

// The sum of the gradients of a row in four columns; 0 behind the last one.
fn gradient(record: u32, column: u32) -> Real {
    let live = min(4u, job.width - column);
    var sum: Real;
    for (var at = lists[record + 1u]; at < lists[record + 3u]; at++) {
        // No loop within, since turns are counted (MOST_TURNS in src/gpu/plan.rs).
        let first = job.grads_start + lists[at] + column;
        var term: Real;
        term.x = grads[first];
        if (live > 1u) { term.y = grads[first + 1u]; }
        if (live > 2u) { term.z = grads[first + 2u]; }
        if (live > 3u) { term.w = grads[first + 3u]; }
        if (at == lists[record + 1u]) { sum = term; } else { sum = add(sum, term); }
    }
    return sum;
}

@compute @workgroup_size(workgroup_size)
fn step(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = (group.y * groups.x + group.x) * workgroup_size + local;
    let is_row = index < job.threads;
    let record = job.first_record + 2u * (index / lanes);
    let lane = local % lanes;

    var sum: Real;
    if (is_row) {
        for (var column = 4u * lane; column < job.width; column += 4u * lanes) {
            let g = gradient(record, column);
            sum = add(sum, mul(g, g));
        }
    }
    partials[local] = sum;
    for (var half = lanes / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) { partials[local] = add(partials[local], partials[local + half]); }
    }
    if (lane > 0u || !is_row) { return; }
    sum = partials[local];
    sum = add(sum, sum.zwzw);
    sum = add(sum, sum.yyyy);
    mean_square = splat(div(sum, splat(job.width_as_real)).x);

    let row = lists[record] - job.table_first;
    if (row >= job.table_len) { return; }
    let shared_first = SHARED_WORDSu * (record / 2u);
    shared_by_row[shared_first] = mean_square.x;
    var state: State;
    state.STATE = splat(STATE[job.STATE_start + row]);
    shared_by_row[shared_first + STATE_INDEXu] = state.STATE.x;
    let nothing = from_bits(vec4<u32>());
    let ignored = update(hyper, nothing, nothing, &state);
    STATE[job.STATE_start + row] = state.STATE.x;
}
