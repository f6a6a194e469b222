// The square of a gradient, as a rule's `update` asks for it, where a row shares its accumulators: the
// mean over the row, which the kernel has put here. Twin: `MeanSquare` in src/rules/square.rs.

var<private> mean_square: Real;

fn square(gradient: Real) -> Real { return mean_square; }
