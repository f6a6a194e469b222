// Axis `square`: what a rule's `update` takes for the square of a gradient. Here the mean over its
// row, whose parameters share accumulators. Twin: `MeanSquare` in src/rules/square.rs.

var<private> mean_square: Real;

fn square(gradient: Real) -> Real { return mean_square; }
