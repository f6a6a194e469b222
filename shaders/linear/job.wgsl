// The work of one dispatch of a linear kernel. Mirror: `Job` in src/linear/gpu/job.rs. A row of a
// table has `column_groups` groups of four columns: the features, a column of ones for the bias,
// and zeros up to a whole group.

struct Job {
    rows: u32,          // rows (or values) in this dispatch
    first: u32,         // position in the batch of the first row
    ordered: u32,       // 1: `order` gives the rows; 0: they are consecutive
    row_first: u32,     // where the batch begins, in `order` or in the table
    table_first: u32,   // number of the table's first row, in a dataset of several tables
    gathered: u32,      // 1: rows of this table are copied to the batch
    batch_rows: u32,    // rows of the whole batch
    batches: u32,       // number of consecutive batches of this size
    first_step: u32,    // number of the first batch's hyper-parameters
    columns: u32,       // features and the bias
    column_groups: u32, // groups of four columns that hold them
    group_first: u32,   // first group of columns in this dispatch
    groups: u32,        // groups of columns in this dispatch
    fresh: u32,         // 1: sums start at 0; 0: they continue
    terms: u32,         // residuals are 0: derivatives of the loss; 1: its values; 2: predictions
    output: u32,        // where the result of a sum is written
    divisor: Scalar,    // rows of the whole batch, as a number
    l1: Scalar,         // penalties on the weights
    l2: Scalar,
    skip: u32,          // rows of each run that earlier dispatches have added
}

@group(1) @binding(0) var<uniform> job: Job;

const workgroup_size: u32 = 64u;
const run_count: u32 = 32u;

fn invocation(group: vec3<u32>, groups: vec3<u32>, lane: u32) -> u32 {
    return (group.y * groups.x + group.x) * workgroup_size + lane;
}
