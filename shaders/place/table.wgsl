// Axis `place`: which elements an invocation steps. Here those of a block of one tensor. Each
// workgroup takes one block, and its invocations take consecutive quads in a loop.
//
// Shapes: `blocks` has an entry for each workgroup. Parameters, gradients and state vectors lie in
// windows, which are parts of buffers. A route is one window for each of them. `step_block`
// branches to the block's route, which is uniform in the workgroup. Starts and `len` count quads or
// elements, as axis `element` defines, from the start of the window. Mirror: `Block` in
// src/gpu/table.rs.

struct Block {
    route: u32,
    group: u32, // of hyper-parameters
    len: u32,
    params_start: u32,
    grads_start: u32,
    state_start_0: u32,
    state_start_1: u32,
    state_start_2: u32,
}

struct Here {
    params: At,
    grads: At,
    state_0: At,
    state_1: At,
    state_2: At,
}

@group(0) @binding(0) var<storage, read> blocks: array<Block>;

// The quad at position `first` of a block.
fn locate(block: Block, first: u32) -> Here {
    return Here(
        at_run(block.params_start, first, block.len),
        at_run(block.grads_start, first, block.len),
        at_run(block.state_start_0, first, block.len),
        at_run(block.state_start_1, first, block.len),
        at_run(block.state_start_2, first, block.len),
    );
}

@compute @workgroup_size(workgroup_size)
fn step(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = group.y * groups.x + group.x;
    if (index >= arrayLength(&blocks) || is_skipped()) { return; }
    let block = blocks[index];
    step_block(block, hyper_of(block.group), lane);
}
