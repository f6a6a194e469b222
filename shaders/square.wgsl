// The square of a gradient, as a rule's `update` asks for it: its own. Twin: `OwnSquare` in
// src/rules/square.rs.

fn square(gradient: Real) -> Real { return mul(gradient, gradient); }
