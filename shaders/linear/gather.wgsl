// Copies the rows of a batch that lie in one table of a dataset to where the batch lies in one
// piece; eight invocations a row.
//
// Shapes: table and batch rows x column_groups; targets one value a row; order one row number a
// position of the epoch.

@group(0) @binding(0) var<storage, read> table: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read> table_target: array<u32>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read_write> batch: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read_write> batch_target: array<u32>;

const row_width: u32 = 8u;

@compute @workgroup_size(workgroup_size)
fn gather(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let local_row = invocation(group, groups, lane) / row_width;
    if (local_row >= job.rows) { return; }
    let number = order[job.order_first + job.first + local_row];
    // Rows before this table wrap to large numbers.
    let row = number - job.table_first;
    if (row >= arrayLength(&table) / job.column_groups) { return; }
    for (var j = lane % row_width; j < job.column_groups; j += row_width) {
        batch[local_row * job.column_groups + j] = table[row * job.column_groups + j];
    }
    if (lane % row_width == 0u) { batch_target[local_row] = table_target[row]; }
}
