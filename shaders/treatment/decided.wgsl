// Axis `treatment`: a step that obeys what guard/decide.wgsl has decided: it is skipped, or its
// gradients are scaled. Twin: `Element::treated` in src/cpu/apply.rs.

fn treat(gradient: Real) -> Real { return scaled(gradient); }

fn keep(
    gradient: Real,
    before: Real,
    after: Real,
    state_before: State,
    state: ptr<function, State>,
) -> Real {
    return after;
}
