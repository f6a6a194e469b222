// One optimizer step over rows of a table, four columns per invocation. The gradients of a row that
// occurs several times are summed first. After rows/sum.wgsl, each row occurs once. Twin:
// `TensorStep::run_rows` in src/cpu/tensor_step.rs.
//
// Shapes: `params` and each state vector are parts of the table and its state, of the same length.
// `grads` is a part of the row gradients.

@compute @workgroup_size(workgroup_size)
fn step(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = (group.y * groups.x + group.x) * workgroup_size + lane;
    if (index >= job.threads || is_skipped()) { return; }
    let row = job.first_row + index / job.quads;
    let column = 4u * (job.first_quad + index % job.quads);
    let element = row_start(row) + column - job.table_first;
    let of_row = occurrences(row);
    let present = among(element, job.table_len) & in_grads(of_row.first, column);
    if (!any(present)) { return; }
    let here = at(job.params_start + element, present);
    let here_in_state = at(job.state_start + element, present);

    var state = load_state(here_in_state);
    take_shared(row, &state);
    let x = load_params(here);
    store_params(here, stepped(hyper_of(job.group), x, summed(of_row, column), &state));
    store_state(here_in_state, state);
}
