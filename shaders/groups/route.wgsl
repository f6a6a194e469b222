// A block whose tensor starts on multiples of 16 bytes: four elements an access, and `len` and the
// starts count groups of four. PARAMS and GRADS are the windows of route ROUTE.

fn step_ROUTE(hyper: Hyper, block: Block, lane: u32) {
    for (var index = lane; index < block.len; index += workgroup_size) {
        var state: State;
        state.STATE = STATE[block.state_start + index];
        let x = window_PARAMS[block.params_start + index];
        let gradient = window_GRADS[block.grads_start + index];
        window_PARAMS[block.params_start + index] = update(hyper, x, gradient, &state);
        STATE[block.state_start + index] = state.STATE;
    }
}
