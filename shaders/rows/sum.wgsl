// Sums the gradients of each named row, in the order of their occurrence. Needed for row gradients
// larger than one binding, for rows with more occurrences than one loop may have, and for guards. A
// dispatch adds the occurrences that lie in one part of the gradients: for each row, at most
// `max_terms` from occurrence `job.skip` on. Later dispatches continue the sums. The first
// occurrence starts a sum. Twin: `RowGradients::sum` in src/cpu/row_gradients.rs.
//
// Shapes: `sums` is a part of a vector with one row for each named row. `grads` is a part of the
// row gradients.

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
