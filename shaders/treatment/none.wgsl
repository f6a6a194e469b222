// Axis `treatment`: how a guard treats gradients. Here there is no guard.

fn is_skipped() -> bool { return false; }

fn treat(gradient: Real) -> Real { return gradient; }

fn keep(
    gradient: Real,
    before: Real,
    after: Real,
    state_before: State,
    state: ptr<function, State>,
) -> Real {
    return after;
}
