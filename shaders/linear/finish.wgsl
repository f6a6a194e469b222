// The gradient from its 32 partial sums, four columns per invocation: adds the runs as a tree,
// divides by the number of rows, and adds the penalty's gradient. Twin: `Finish` in
// src/linear/dense.rs.
//
// Shapes: partials: 32 x groups; parameters and gradient: column_groups.

@group(0) @binding(0) var<storage, read> partials: array<Real>;
@group(0) @binding(1) var<storage, read> parameters: array<Real>;
@group(0) @binding(2) var<storage, read_write> gradient: array<Real>;

@compute @workgroup_size(workgroup_size)
fn finish(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = invocation(group, groups, lane);
    if (index >= job.groups) { return; }
    var sums: array<Real, run_count>;
    for (var run = 0u; run < run_count; run++) {
        sums[run] = partials[run * job.groups + index];
    }
    for (var half = run_count / 2u; half > 0u; half /= 2u) {
        for (var run = 0u; run < half; run++) {
            sums[run] = add(sums[run], sums[run + half]);
        }
    }
    let column = job.group_first + index;
    let mean = div(sums[0], splat(job.divisor));
    gradient[column] = penalized(mean, parameters[column], weights_in(column));
}
