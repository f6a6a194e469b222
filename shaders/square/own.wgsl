// Axis `square`: what a rule's `update` uses as the square of a gradient. Here its own square.
// Twin: `OwnSquare` in src/rules/square.rs.

fn square(gradient: Real) -> Real { return mul(gradient, gradient); }

// A row shares no state.
fn take_shared(row: u32, state: ptr<function, State>) {}
