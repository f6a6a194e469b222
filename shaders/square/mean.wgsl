// Axis `square`: what a rule's `update` uses as the square of a gradient. Here the mean square of
// the row, whose parameters share accumulators. Twin: `MeanSquare` in src/rules/square.rs.

var<private> mean_square: Real;

fn square(gradient: Real) -> Real { return mean_square; }
