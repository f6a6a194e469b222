// Axis `place`: which elements an invocation steps. Here some quads of one whole tensor, for hosts
// that launch kernels themselves. All bindings are in one group, and all are read_write because any
// of them may share a buffer.
//
// Shapes: all vectors have `job.len` elements. Mirror: `PortableStep::job` in src/gpu/portable.rs.

struct Job {
    hyper: Hyper,
    len: u32,
}

override quads_per_invocation: u32;

// Quads of an invocation lie a workgroup's size apart, so that neighbouring invocations reach
// neighbouring memory.
@compute @workgroup_size(workgroup_size)
fn step(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    if (is_skipped()) { return; }
    let quads = job.len / 4u + u32(job.len % 4u != 0u);
    let begin = (group.y * groups.x + group.x) * quads_per_invocation * workgroup_size;
    let end = min(begin + quads_per_invocation * workgroup_size, quads);
    for (var quad = begin + lane; quad < end; quad += workgroup_size) {
        let here = at(4u * quad, among(4u * quad, job.len));
        var state = load_state(here);
        let x = load_params(here);
        store_params(here, stepped(job.hyper, x, load_grads(here), &state));
        store_state(here, state);
    }
}
