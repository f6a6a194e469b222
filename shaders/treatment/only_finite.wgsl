// Axis `treatment`: how a guard treats gradients. Here as in decided.wgsl; also, an element whose
// gradient is not finite keeps its parameter and state, and counts as 0 in a mean over a row. Twin:
// `Element::skips` in src/cpu/apply.rs.

fn is_bad(gradient: Real) -> vec4<bool> {
    let infinity = vec4<u32>(0x7f800000u);
    return (to_bits(gradient) & infinity) == infinity;
}

fn treat(gradient: Real) -> Real {
    return select(scaled(gradient), Real(), is_bad(gradient));
}

fn keep(
    gradient: Real,
    before: Real,
    after: Real,
    state_before: State,
    state: ptr<function, State>,
) -> Real {
    let bad = is_bad(gradient);
    *state = chosen_state(*state, state_before, bad);
    return select(after, before, bad);
}
