//! The classifier, 100-50-1.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::activation::{relu, softplus};
use burn::tensor::{Device, Tensor, TensorData};

use crate::problem::{FEATURES, HIDDEN, Weights};

/// One hidden layer with ReLU, and a sigmoid at the end, which is part of the loss.
#[derive(Module, Debug)]
pub struct SparseNn {
    hidden: Linear,
    output: Linear,
}

impl SparseNn {
    pub fn new(weights: &Weights, device: &Device) -> Self {
        let layer = |[inputs, outputs]: [usize; 2], weight: &[f32], bias: &[f32]| Linear {
            weight: Param::from_data(TensorData::new(weight.to_vec(), [inputs, outputs]), device),
            bias: Some(Param::from_data(TensorData::new(bias.to_vec(), [outputs]), device)),
        };
        Self {
            hidden: layer([FEATURES, HIDDEN], &weights.hidden_weight, &weights.hidden_bias),
            output: layer([HIDDEN, 1], &weights.output_weight, &weights.output_bias),
        }
    }

    /// The logits: a row is of class 1 if its own is above 0, where the sigmoid is above a half.
    pub fn forward(&self, features: Tensor<2>) -> Tensor<2> {
        self.output.forward(relu(self.hidden.forward(features)))
    }

    /// The mean binary cross-entropy of the logits' sigmoid.
    ///
    /// `-log(sigmoid(z))` is `softplus(-z)`, and `-log(1 - sigmoid(z))` is `softplus(z)`. So no
    /// probability is rounded to 0 or 1, and gradients of rows that are known well, which RMSprop and
    /// Adam scale up, keep their leading digits.
    pub fn loss(&self, features: Tensor<2>, labels: Tensor<2>) -> Tensor<1> {
        let sign = labels * -2.0 + 1.0;
        softplus(self.forward(features) * sign, 1.0).mean()
    }
}
