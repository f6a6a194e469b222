// One optimizer step over vectors whose elements start on multiples of 16 bytes: four elements
// an invocation, each vector read once and, but for the gradients, written once.
//
// Shapes: `params`, `grads` and each state vector are parts of the same length of the vectors of
// a step; `chunk` (src/gpu/step_kernel.rs, `chunk_words`) says where each part starts, in
// groups of four. Lines with STATE stand once for each state vector of the rule, STATE_BINDING
// counting from 3. `Real`, `Scalar` come from arithmetic/, `Hyper` and `update` from rules/.

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
@group(0) @binding(1) var<storage, read_write> params: array<Real>;
@group(0) @binding(2) var<storage, read> grads: array<Real>;
@group(0) @binding(STATE_BINDING) var<storage, read_write> STATE: array<Real>;
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

    var state: State;
    state.STATE = STATE[chunk.STATE_start + index];
    let x = params[chunk.params_start + index];
    let gradient = grads[chunk.grads_start + index];
    params[chunk.params_start + index] = update(hyper, x, gradient, &state);
    STATE[chunk.STATE_start + index] = state.STATE;
}
