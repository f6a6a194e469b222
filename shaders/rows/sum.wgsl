// The sums of the gradients of each row named, in the order in which they came: for row gradients that
// no one binding holds, for rows that are named too often for one loop, and for a guard. A dispatch
// adds what lies in one part of the gradients, at most `max_terms` for a row from its occurrence number
// `job.skip` on; later ones go on from there. A sum begins with the first occurrence.
// Twin: `RowGradients::sum` in src/cpu/row_gradients.rs.
//
// Shapes: `sums` is a part of a vector of one row for each row named, `grads` a part of the row
// gradients.

override workgroup_size: u32;

const max_terms = 32768u;

@compute @workgroup_size(workgroup_size)
fn sum(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = (group.y * groups.x + group.x) * workgroup_size + lane;
    if (index >= job.threads) { return; }
    let row = job.first_row + index / job.quads;
    let column = 4u * (job.first_quad + index % job.quads);
    let element = row_start(row) + column - job.table_first;
    let present = in_row(column) & among(element, job.table_len);
    let here = at(job.params_start + element, present);
    let first = occurrences_begin(row);
    let begin = first + job.skip;
    let end = min(begin + max_terms, occurrences_end(row));

    var total = load_sums(here);
    for (var number = begin; number < end; number++) {
        let start = occurrence(number);
        let term = load_grads(grads_at(start, column));
        var more = term;
        if (number > first) { more = add(total, term); }
        total = select(total, more, in_grads(start, column));
    }
    store_sums(here, total);
}
