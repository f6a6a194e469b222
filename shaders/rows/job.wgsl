// What one dispatch over rows works on, and where the rows and their gradients are. A dispatch reaches
// one part of the table and one part of the row gradients: elements are counted modulo 2^32, so that
// what lies before a part is past its end too. Mirror: `Job` in src/gpu/rows/dispatches.rs.

struct Job {
    threads: u32,       // rows times `quads`
    quads: u32,         // groups of four columns of each row; for a mean, invocations of each row
    first_quad: u32,    // the first of them
    width: u32,         // elements of a row of gradients
    table_width: u32,   // elements of a row in the table: as many, or 1
    first_row: u32,     // of this dispatch, in the run
    run_first: u32,     // number of the run's first row in the table, where all rows are stepped
    table_first: u32,   // the part of the table: its first element and its length
    table_len: u32,
    grads_first: u32,   // the part of the row gradients
    grads_len: u32,
    skip: u32,          // for a sum, how many occurrences of each row have been added up
    group: u32,         // of hyper-parameters
    params_start: u32,  // where in their bindings the parts begin, in elements
    grads_start: u32,
    state_start: u32,
    width_as_real: Scalar,
}

@group(0) @binding(0) var<uniform> job: Job;

// Which of four columns a row has.
fn in_row(column: u32) -> vec4<bool> {
    return among(column, job.width);
}

// Which of four columns of the row of gradients that begins at `first` are in the bound part: all,
// unless there are several.
fn in_grads(first: u32, column: u32) -> vec4<bool> {
    if (!grads_in_parts) { return in_row(column); }
    return in_row(column) & among(first + column - job.grads_first, job.grads_len);
}

fn grads_at(first: u32, column: u32) -> At {
    return at(job.grads_start + first + column - job.grads_first, in_grads(first, column));
}

// Where the gradients of a row are: the numbers of its occurrences, and the first of them.
struct Occurrences {
    begin: u32,
    end: u32,
    first: u32,
}

fn occurrences(row: u32) -> Occurrences {
    let begin = occurrences_begin(row);
    return Occurrences(begin, occurrences_end(row), occurrence(begin));
}

// The sum of the gradients of a row in four columns, in the order in which they came. One loop for all
// columns, since a driver may count the iterations of all loops (MAX_LOOP_ITERATIONS in
// src/gpu/plan.rs).
fn summed(found: Occurrences, column: u32) -> Real {
    var sum = load_grads(grads_at(found.first, column));
    for (var number = found.begin + 1u; number < found.end; number++) {
        sum = add(sum, load_grads(grads_at(occurrence(number), column)));
    }
    return sum;
}
