// Residuals of a batch: computes the prediction of each row,
// `sum over columns of table[i][j] * parameters[j]`, and from it the value that `job.terms`
// selects. The sum is in the canonical order of src/linear/mod.rs: column j belongs to partial sum
// j % 32. Eight invocations share a row, with four partial sums each. Twin: `predict` in
// src/linear/order.rs.
//
// In a dataset of several tables, there is one dispatch per table. It copies its rows of the batch
// to `batch`, so that the gradient kernel reads contiguous rows.
//
// Shapes: table: rows x column_groups; target: rows; order: one row number per position of the
// epoch; parameters: column_groups; residuals: one value per position of the batch; batch:
// rows x column_groups, or unused if nothing is gathered.

@group(0) @binding(0) var<storage, read> table: array<Real>;
@group(0) @binding(1) var<storage, read> target_values: array<Scalar>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read> parameters: array<Real>;
@group(0) @binding(4) var<storage, read_write> residuals: array<Scalar>;
@group(0) @binding(5) var<storage, read_write> batch: array<Real>;

const row_width: u32 = 8u;
var<workgroup> sums: array<Real, workgroup_size>;

@compute @workgroup_size(workgroup_size)
fn residual(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let local_row = invocation(group, groups, lane) / row_width;
    let position = job.first + local_row;
    let first_group = lane % row_width;
    var live = local_row < job.rows;
    var row = job.row_first + local_row;
    if (live && job.ordered != 0u) {
        // Rows before this table wrap to large numbers.
        row = order[job.row_first + position] - job.table_first;
        live = row < arrayLength(&table) / job.column_groups;
    }
    var sum = from_bits(vec4<u32>());
    if (live) {
        for (var j = first_group; j < job.column_groups; j += row_width) {
            let x = table[row * job.column_groups + j];
            if (job.gathered != 0u) { batch[local_row * job.column_groups + j] = x; }
            let product = mul(x, parameters[j]);
            // Parameters past the last column may have any value, even NaN.
            let present = vec4<u32>(4u * j) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(job.columns);
            sum = add(sum, select(from_bits(vec4<u32>()), product, present));
        }
    }
    sums[lane] = sum;
    // Adds as a tree: partial sums 16, 8 and 4 apart are 4, 2 and 1 invocations apart.
    for (var half = row_width / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (first_group < half) { sums[lane] = add(sums[lane], sums[lane + half]); }
    }
    if (live && first_group == 0u) {
        var last = sums[lane];
        last = add(last, last.zwzw);
        last = add(last, last.yyyy);
        residuals[position] = residual_of(last, target_values[row]);
    }
}
