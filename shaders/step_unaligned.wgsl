// The same step as step.wgsl, for vectors at any 4-byte offset and for the last one to three
// elements of a range that ends short of a multiple of four: the four elements of an invocation
// are gathered and scattered one by one, and none outside the range is touched.
//
// Shapes and bindings as in step.wgsl; `chunk` counts in single elements here.

struct Chunk {
    threads: u32,
    len: u32,
    params_start: u32,
    grads_start: u32,
    STATE_start: u32,
}

struct State {
    STATE: Real,
}

@group(0) @binding(0) var<uniform> chunk: Chunk;
@group(0) @binding(1) var<storage, read_write> params: array<Scalar>;
@group(0) @binding(2) var<storage, read> grads: array<Scalar>;
@group(0) @binding(STATE_BINDING) var<storage, read_write> STATE: array<Scalar>;
@group(1) @binding(0) var<uniform> hyper: Hyper;

override workgroup_size: u32;

@compute @workgroup_size(workgroup_size)
fn step(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = (group.y * groups.x + group.x) * workgroup_size + lane;
    if (index >= chunk.threads) { return; }
    let first = 4u * index;
    let live = min(4u, chunk.len - first);

    var state: State;
    var x: Real;
    var gradient: Real;
    for (var k = 0u; k < live; k++) {
        state.STATE[k] = STATE[chunk.STATE_start + first + k];
        x[k] = params[chunk.params_start + first + k];
        gradient[k] = grads[chunk.grads_start + first + k];
    }
    x = update(hyper, x, gradient, &state);
    for (var k = 0u; k < live; k++) {
        params[chunk.params_start + first + k] = x[k];
        STATE[chunk.STATE_start + first + k] = state.STATE[k];
    }
}
