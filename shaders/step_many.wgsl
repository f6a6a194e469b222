// Appended to a step kernel whose invocations compute several quads of elements each
// (src/gpu/shape.rs): its entry point, while the one that stood there has become `step_quad`. The
// quads of an invocation lie a workgroup's size apart, so that at each turn neighbouring
// invocations reach neighbouring memory. An index past the end is left to `step_quad`.

override quads_per_invocation: u32;

@compute @workgroup_size(workgroup_size)
fn step(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let per_workgroup = workgroup_size * quads_per_invocation;
    let first = (group.y * groups.x + group.x) * per_workgroup + lane;
    for (var turn = 0u; turn < quads_per_invocation; turn++) {
        step_quad(first + turn * workgroup_size);
    }
}
