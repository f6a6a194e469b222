// Partial gradients of a batch:
// `partials[run][j] += sum over the run's rows of residuals[i] * table[i][j]`, in ascending order,
// for four columns per invocation. The batch is split into runs of ceil(batch_rows / 32) rows. Of
// each run, a dispatch adds at most `max_rows` rows, from `job.skip` on, that lie in its table.
// Twin: `Run` in src/linear/dense.rs.
//
// Shapes: table: rows x column_groups; order: one row number per position; residuals: one value per
// position of the batch; partials: 32 x groups.

@group(0) @binding(0) var<storage, read> table: array<Real>;
@group(0) @binding(1) var<storage, read> order: array<u32>;
@group(0) @binding(2) var<storage, read> residuals: array<Scalar>;
@group(0) @binding(3) var<storage, read_write> partials: array<Real>;

const max_rows: u32 = 32768u;

@compute @workgroup_size(workgroup_size)
fn accumulate(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = invocation(group, groups, lane);
    let run = index / job.groups;
    if (run >= run_count) { return; }
    let column = job.group_first + index % job.groups;
    let run_length = (job.batch_rows + run_count - 1u) / run_count;
    let skipped = run * run_length + job.skip;
    let begin = max(skipped, job.first);
    let end = min(min(skipped + max_rows, (run + 1u) * run_length), job.first + job.rows);

    var sum = from_bits(vec4<u32>());
    if (job.fresh == 0u) { sum = partials[index]; }
    for (var position = begin; position < end; position++) {
        var row = job.row_first + position - job.first;
        if (job.ordered != 0u) { row = order[job.row_first + position]; }
        let x = table[row * job.column_groups + column];
        sum = add(sum, mul(splat(residuals[position]), x));
    }
    partials[index] = sum;
}
