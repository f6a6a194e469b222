// One optimizer step over many tensors: each workgroup takes one block of one tensor.
//
// Shapes: `blocks` has an entry for each workgroup (src/gpu/groups/table.rs, `Block`). Parameters
// and gradients lie in windows, which are parts of the caller's buffers; a route is a window of
// parameters with one of gradients, and each has a function (route.wgsl, route_unaligned.wgsl).
// Lines with STATE stand once for each state vector of the rule, lines with WINDOW or ROUTE once
// for each of those. GROUPS is the number of parameter groups, ELEMENT what an access reaches at
// once. `Real`, `Scalar` come from arithmetic/, `Hyper` and `update` from rules/.

struct Block {
    route: u32,
    group: u32,
    len: u32,
    params_start: u32,
    grads_start: u32,
    state_start: u32,
    unused_0: u32,
    unused_1: u32,
}

struct State {
    STATE: Real,
}

@group(0) @binding(0) var<storage, read> blocks: array<Block>;
@group(0) @binding(STATE_BINDING) var<storage, read_write> STATE: array<ELEMENT>;
@group(0) @binding(BINDING_OF_WINDOW) var<storage, ACCESS_OF_WINDOW> window_WINDOW: array<ELEMENT>;
@group(1) @binding(0) var<uniform> hypers: array<Hyper, GROUPS>;

override workgroup_size: u32;

@compute @workgroup_size(workgroup_size)
fn step(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = group.y * groups.x + group.x;
    if (index >= arrayLength(&blocks)) { return; }
    let block = blocks[index];
    let hyper = hypers[block.group];
    // The same for the whole workgroup.
    switch block.route {
        case ROUTEu: { step_ROUTE(hyper, block, lane); }
        default: {}
    }
}
