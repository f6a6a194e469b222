// What one dispatch of a linear kernel works on. Mirror: `Job` in
// src/linear/gpu/job.rs. Tables are rows of `column_groups` groups of four columns: the
// features, a column of ones that meets the bias, and zeros up to a whole group.

struct Job {
    rows: u32,          // rows (or values) in this dispatch
    first: u32,         // position in the batch of the first
    ordered: u32,       // 1: rows come through `order`; 0: they lie one behind the other
    row_first: u32,     // where in `order`, or in the table, the batch begins
    table_first: u32,   // number of the table's first row, in a dataset of several tables
    gathered: u32,      // 1: rows that lie in this table are copied to the batch
    batch_rows: u32,    // rows of the whole batch
    batches: u32,       // batches of this size, one behind the other
    first_step: u32,    // number of the first batch's hyper-parameters
    columns: u32,       // features and the bias
    column_groups: u32, // groups of four that they fill
    group_first: u32,   // first group of columns in this dispatch
    groups: u32,        // groups of columns in this dispatch
    fresh: u32,         // 1: sums start at 0; 0: they go on
    terms: u32,         // 1: residuals are the loss's values; 0: its derivatives; 2: predictions
    output: u32,        // where the result of a sum goes
    divisor: Scalar,    // rows of the whole batch, as a number
    l1: Scalar,         // penalties on the weights
    l2: Scalar,
    skip: u32,          // rows of each run that the dispatches before have added up
}

@group(1) @binding(0) var<uniform> job: Job;

const workgroup_size: u32 = 64u;
const run_count: u32 = 32u;

fn invocation(group: vec3<u32>, groups: vec3<u32>, lane: u32) -> u32 {
    return (group.y * groups.x + group.x) * workgroup_size + lane;
}
