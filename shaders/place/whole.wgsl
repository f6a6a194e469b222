// Axis `place`: which elements an invocation steps. Here a quad of one whole tensor, for hosts that
// launch kernels by themselves. All bindings are in one group, and all are read_write because any
// of them may share a buffer.
//
// Shapes: all vectors have `job.len` elements. Mirror: `PortableStep::job` in src/gpu/portable.rs.

struct Job {
    hyper: Hyper,
    len: u32,
}

@compute @workgroup_size(workgroup_size)
fn step(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let first = 4u * ((group.y * groups.x + group.x) * workgroup_size + lane);
    if (first >= job.len || is_skipped()) { return; }
    let here = at(first, among(first, job.len));
    var state = load_state(here);
    let x = load_params(here);
    store_params(here, stepped(job.hyper, x, load_grads(here), &state));
    store_state(here, state);
}
