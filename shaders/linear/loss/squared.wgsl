// Half the squared error of a prediction, four at a time: what training follows downhill, and what
// a sample of the loss sums (its double). Twin: `Loss::Squared` in src/linear/loss.rs.

fn derivative(prediction: Real, label: Real) -> Real { return sub(prediction, label); }

fn term(prediction: Real, label: Real) -> Real {
    let residual = sub(prediction, label);
    return mul(residual, residual);
}
