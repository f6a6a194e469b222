// Axis `square`: what a rule's `update` takes for the square of a gradient. Here its own. Twin:
// `OwnSquare` in src/rules/square.rs.

fn square(gradient: Real) -> Real { return mul(gradient, gradient); }

// Nothing is shared by a row.
fn take_shared(row: u32, state: ptr<function, State>) {}
