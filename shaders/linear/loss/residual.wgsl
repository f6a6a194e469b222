// What is kept of a prediction: by `job.terms`, the loss's derivative, its value, or the prediction
// itself. `derivative` and `term` are those of one of the losses beside this file.

fn residual_of(prediction: Real, label: Scalar) -> Scalar {
    if (job.terms == 0u) { return derivative(prediction, splat(label)).x; }
    if (job.terms == 1u) { return term(prediction, splat(label)).x; }
    return prediction.x;
}
