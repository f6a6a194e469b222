// The value that `job.terms` selects for a prediction: the derivative of the loss, the loss, or the
// prediction itself. `derivative` and `term` come from one of the loss files in this folder.

fn residual_of(prediction: Real, label: Scalar) -> Scalar {
    if (job.terms == 0u) { return derivative(prediction, splat(label)).x; }
    if (job.terms == 1u) { return term(prediction, splat(label)).x; }
    return prediction.x;
}
