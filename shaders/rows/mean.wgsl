// The step of accumulators that rows share, by the mean square of each row's gradients. Element j
// of a row belongs to partial sum j % 32. A tree adds the upper half of the partial sums to the
// lower half until one is left, which is divided by the row's length. Eight invocations share a
// row, with four partial sums each. Twin: `mean_square` in src/numerics/sum.rs.
//
// Shapes: each state vector is a part of the whole, with one value per row: here a row is one
// element of the table. `grads` is all of the row gradients. `leave_shared` writes the shared state
// for rows/step.wgsl.

const lanes = 8u; // invocations per row
var<workgroup> partials: array<Real, 64>; // for the largest workgroup

@compute @workgroup_size(workgroup_size)
fn mean(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = (group.y * groups.x + group.x) * workgroup_size + local;
    let is_row = index < job.threads;
    let row = job.first_row + index / lanes;
    let lane = local % lanes;

    var sum: Real;
    if (is_row) {
        let of_row = occurrences(row);
        for (var column = 4u * lane; column < job.width; column += 4u * lanes) {
            let g = treat(summed(of_row, column));
            sum = add(sum, select(Real(), mul(g, g), in_row(column)));
        }
    }
    partials[local] = sum;
    for (var half = lanes / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) { partials[local] = add(partials[local], partials[local + half]); }
    }
    if (lane > 0u || !is_row || is_skipped()) { return; }
    sum = partials[local];
    sum = add(sum, sum.zwzw);
    sum = add(sum, sum.yyyy);
    mean_square = splat(div(sum, splat(job.width_as_real)).x);

    let element = row_start(row) - job.table_first;
    if (element >= job.table_len) { return; }
    let here = at(job.state_start + element, vec4<bool>(true, false, false, false));
    var state = load_state(here);
    leave_shared(row, state);
    let ignored = update(hyper_of(job.group), Real(), Real(), &state);
    store_state(here, state);
}
