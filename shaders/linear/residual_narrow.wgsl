// As residual.wgsl, with one invocation per row. It is for tables of at most 32 columns, where most
// of eight invocations would be idle. Twin: `predict` in src/linear/order.rs.

@group(0) @binding(0) var<storage, read> table: array<Real>;
@group(0) @binding(1) var<storage, read> target_values: array<Scalar>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read> parameters: array<Real>;
@group(0) @binding(4) var<storage, read_write> residuals: array<Scalar>;
@group(0) @binding(5) var<storage, read_write> batch: array<Real>;

fn weight(j: u32) -> Real { return parameters[j]; }

@compute @workgroup_size(workgroup_size)
fn residual_narrow(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let local_row = invocation(group, groups, lane);
    if (local_row >= job.rows) { return; }
    let position = job.first + local_row;
    var row = job.row_first + local_row;
    if (job.ordered != 0u) {
        // Rows before this table wrap to large numbers.
        row = order[job.row_first + position] - job.table_first;
        if (row >= arrayLength(&table) / job.column_groups) { return; }
    }
    let start = row * job.column_groups;
    if (job.gathered != 0u) {
        for (var j = 0u; j < job.column_groups; j++) {
            batch[local_row * job.column_groups + j] = table[start + j];
        }
    }
    residuals[position] = residual_of(predict(start), target_values[row]);
}
