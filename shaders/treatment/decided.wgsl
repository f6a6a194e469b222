// Axis `treatment`: how a guard treats gradients. Here the step follows the decision of
// guard/decide.wgsl: it is skipped, or its gradients are scaled. Twin: `Element::treated` in
// src/cpu/apply.rs.

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
