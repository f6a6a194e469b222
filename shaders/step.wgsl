// The step of a quad by any rule: treat the gradient, update, keep or drop the result. Callers
// locate, load and store. Twin: `Element::update` in src/cpu/apply.rs.

override workgroup_size: u32;

@group(1) @binding(0) var<uniform> hypers: array<Hyper, group_count>;

// The hyper-parameters of a group. A single group needs no lookup.
fn hyper_of(group: u32) -> Hyper {
    if (group_count == 1u) { return hypers[0]; }
    return hypers[group];
}

fn stepped(hyper: Hyper, before: Real, gradient: Real, state: ptr<function, State>) -> Real {
    let state_before = *state;
    let after = update(hyper, before, treat(gradient), state);
    return keep(gradient, before, after, state_before, state);
}
