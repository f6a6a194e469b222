// Many minibatches in one dispatch of one workgroup, for models so small that separate dispatches
// would cost more than the step itself. For each batch, it computes residuals, the gradient and the
// rule's update. The operations and their order are those of residual.wgsl, accumulate.wgsl,
// finish.wgsl and the step kernel, except that it omits partial sums without terms, which are +0
// there.
//
// Shapes: table: rows x column_groups; target: rows; order: one row number per position of the
// epoch; parameters and each state vector: column_groups; hypers: one `Hyper` per batch, from
// `job.first_step` on. At most `max_groups` groups of columns, and `max_rows` rows per batch
// (src/linear/gpu/descent.rs).

@group(0) @binding(0) var<storage, read> table: array<Real>;
@group(0) @binding(1) var<storage, read> target_values: array<Scalar>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read> hypers: array<Hyper>;
@group(0) @binding(4) var<storage, read_write> parameters: array<Real>;

const max_groups: u32 = 256u;
const max_rows: u32 = 1024u;
const block_groups: u32 = 8u; // groups of columns whose partial gradients fit `partials` at a time

var<workgroup> weights: array<Real, max_groups>;
var<workgroup> residuals: array<Scalar, max_rows>;
var<workgroup> partials: array<Real, run_count * block_groups>;

// Where a row starts in the table; `position` counts from `job.row_first`.
fn row_start(position: u32) -> u32 {
    var row = job.row_first + position;
    if (job.ordered != 0u) { row = order[row]; }
    return row * job.column_groups;
}

fn weight(j: u32) -> Real { return weights[j]; }

// The partial gradient of one run of a batch, for one group of columns. The batch begins at
// `begin`.
fn run_sum(run: u32, run_length: u32, begin: u32, column: u32) -> Real {
    var sum = from_bits(vec4<u32>());
    let end = min((run + 1u) * run_length, job.batch_rows);
    for (var i = run * run_length; i < end; i++) {
        sum = add(sum, mul(splat(residuals[i]), table[row_start(begin + i) + column]));
    }
    return sum;
}

// Adds the runs of one group of columns as a tree. They lie `groups` apart.
fn tree(runs: u32, groups: u32, lane: u32) -> Real {
    var count = runs;
    for (var half = run_count / 2u; half > 0u; half /= 2u) {
        for (var run = half; run < count; run++) {
            let lower = (run - half) * groups + lane;
            partials[lower] = add(partials[lower], partials[run * groups + lane]);
        }
        count = min(count, half);
    }
    return partials[lane];
}

fn apply(hyper: Hyper, column: u32, gradient: Real) {
    let here = at(4u * column, vec4<bool>(true));
    var state = load_state(here);
    weights[column] = update(hyper, weights[column], gradient, &state);
    store_state(here, state);
}

@compute @workgroup_size(workgroup_size)
fn descend(@builtin(local_invocation_index) lane: u32) {
    for (var j = lane; j < job.column_groups; j += workgroup_size) { weights[j] = parameters[j]; }
    let run_length = (job.batch_rows + run_count - 1u) / run_count;
    let runs = (job.batch_rows + run_length - 1u) / run_length;
    for (var number = 0u; number < job.batches; number++) {
        let begin = number * job.batch_rows;
        workgroupBarrier();
        for (var i = lane; i < job.batch_rows; i += workgroup_size) {
            let start = row_start(begin + i);
            let label = target_values[start / job.column_groups];
            residuals[i] = residual_of(predict(start), label);
        }
        for (var first = 0u; first < job.column_groups; first += block_groups) {
            let groups = min(block_groups, job.column_groups - first);
            workgroupBarrier();
            for (var index = lane; index < runs * groups; index += workgroup_size) {
                partials[index] =
                    run_sum(index / groups, run_length, begin, first + index % groups);
            }
            workgroupBarrier();
            if (lane < groups) {
                let column = first + lane;
                let gradient = div(tree(runs, groups, lane), splat(job.divisor));
                let whole = penalized(gradient, weights[column], weights_in(column));
                apply(hypers[job.first_step + number], column, whole);
            }
        }
    }
    workgroupBarrier();
    for (var j = lane; j < job.column_groups; j += workgroup_size) { parameters[j] = weights[j]; }
}
