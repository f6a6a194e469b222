// The work of one dispatch over rows, and where the rows and their gradients are. A dispatch covers
// one part of the table and one part of the row gradients. Elements are counted modulo 2^32, so an
// element before a part gets a number past its end. Mirror: `Job` in src/gpu/rows/dispatches.rs.

struct Job {
    threads: u32,       // rows times `quads`
    quads: u32,         // quads of columns of each row; for a mean, invocations of each row
    first_quad: u32,    // the first of these quads
    width: u32,         // elements of a row of gradients
    table_width: u32,   // elements of a row of the table: `width`, or 1
    first_row: u32,     // first row of this dispatch, in the run
    run_first: u32,     // number of the run's first row in the table, if all rows are stepped
    table_first: u32,   // first element of the part of the table, and its length
    table_len: u32,
    grads_first: u32,   // first element of the part of the row gradients, and its length
    grads_len: u32,
    skip: u32,          // for a sum: occurrences of each row that have been added before
    group: u32,         // number of the group of hyper-parameters
    params_start: u32,  // where the parts begin in their bindings, in elements
    grads_start: u32,
    state_start: u32,
    width_as_real: Scalar,
}

@group(0) @binding(0) var<uniform> job: Job;

// Which columns of the quad at `column` are in a row.
fn in_row(column: u32) -> vec4<bool> {
    return among(column, job.width);
}

// Which columns of the quad at `column` are in the bound part, for the row of gradients that begins
// at `first`. A single part has all columns of the row.
fn in_grads(first: u32, column: u32) -> vec4<bool> {
    if (!grads_in_parts) { return in_row(column); }
    return in_row(column) & among(first + column - job.grads_first, job.grads_len);
}

fn grads_at(first: u32, column: u32) -> At {
    return at(job.grads_start + first + column - job.grads_first, in_grads(first, column));
}

// The range of a row's occurrences, and where the first one's gradients begin.
struct Occurrences {
    begin: u32,
    end: u32,
    first: u32,
}

fn occurrences(row: u32) -> Occurrences {
    let begin = occurrences_begin(row);
    return Occurrences(begin, occurrences_end(row), occurrence(begin));
}

// The sum of the gradients of a row in a quad of columns, in the order of their occurrence. All
// columns share one loop because a driver may count the iterations of all loops
// (MAX_LOOP_ITERATIONS in src/gpu/plan.rs).
fn summed(found: Occurrences, column: u32) -> Real {
    var sum = load_grads(grads_at(found.first, column));
    for (var number = found.begin + 1u; number < found.end; number++) {
        sum = add(sum, load_grads(grads_at(occurrence(number), column)));
    }
    return sum;
}
