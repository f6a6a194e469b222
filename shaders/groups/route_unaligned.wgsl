// A block at any 4-byte offset: the four elements of an update are gathered and scattered one by
// one, and none outside the block is touched. `len` and the starts count elements. PARAMS and
// GRADS are the windows of route ROUTE.

fn step_ROUTE(hyper: Hyper, block: Block, lane: u32) {
    for (var first = 4u * lane; first < block.len; first += 4u * workgroup_size) {
        let live = min(4u, block.len - first);
        var state: State;
        var x: Real;
        var gradient: Real;
        for (var k = 0u; k < live; k++) {
            state.STATE[k] = STATE[block.state_start + first + k];
            x[k] = window_PARAMS[block.params_start + first + k];
            gradient[k] = window_GRADS[block.grads_start + first + k];
        }
        x = update(hyper, x, gradient, &state);
        for (var k = 0u; k < live; k++) {
            window_PARAMS[block.params_start + first + k] = x[k];
            STATE[block.state_start + first + k] = state.STATE[k];
        }
    }
}
