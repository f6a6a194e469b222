// Axis `treatment`: what becomes of a gradient before the rule sees it, and of the rule's result.
// Here nothing.

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
