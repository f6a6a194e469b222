// Appended to a step kernel that skips elements: the rule's update, but an element whose gradient
// is not finite keeps its parameter and state. `gradient` is what was read, `clipped` what the
// rule is to see. Lines with STATE stand once for each state vector of the rule.

fn update_finite(
    hyper: Hyper,
    parameter: Real,
    gradient: Real,
    clipped: Real,
    state: ptr<function, State>,
) -> Real {
    let before = *state;
    let updated = update(hyper, parameter, clipped, state);
    let infinity = vec4<u32>(0x7f800000u);
    let bad = (to_bits(gradient) & infinity) == infinity;
    (*state).STATE = select((*state).STATE, before.STATE, bad);
    return select(updated, parameter, bad);
}
