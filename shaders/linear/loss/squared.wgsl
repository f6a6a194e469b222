// The squared loss of four predictions. Training minimizes half the squared error; a sample of the
// loss sums the squared error itself. Twin: `Loss::Squared` in src/linear/loss.rs.

fn derivative(prediction: Real, label: Real) -> Real { return sub(prediction, label); }

fn term(prediction: Real, label: Real) -> Real {
    let residual = sub(prediction, label);
    return mul(residual, residual);
}
