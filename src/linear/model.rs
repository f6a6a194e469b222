//! The model that training produces.

/// A linear model: `y = sum(weights[j] * x[j]) + bias`.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearModel {
    /// One weight for each feature.
    pub weights: Vec<f32>,
    /// The constant term.
    pub bias: f32,
}

impl LinearModel {
    /// The weights, followed by the bias: the vector that an optimizer steps.
    pub(super) fn parameters(&self) -> Vec<f32> {
        self.weights.iter().copied().chain([self.bias]).collect()
    }

    /// The inverse of [`LinearModel::parameters`].
    pub(super) fn from_parameters(mut parameters: Vec<f32>) -> Self {
        let bias = parameters.pop().unwrap_or(0.0);
        Self { weights: parameters, bias }
    }
}
