//! LeNet-5 on images of 28 x 28, with ReLU and maximum pooling: 61,706 parameters.

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::activation::relu;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor, TensorData};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::data::CLASSES;

/// The network.
#[derive(Module, Debug)]
pub struct LeNet {
    first: Conv2d,
    second: Conv2d,
    dense: [Linear; 3],
}

impl LeNet {
    /// With weights and biases of a layer with `n` inputs to each output drawn from the uniform
    /// distribution between plus and minus `1 / sqrt(n)`, as PyTorch's layers begin.
    pub fn new(device: &Device, generator: &mut ChaCha8Rng) -> Self {
        let padded = PaddingConfig2d::Explicit(2, 2, 2, 2);
        let mut convolution = |from, to, padding| {
            let config = Conv2dConfig::new([from, to], [5, 5]).with_padding(padding);
            let mut layer = config.init(device);
            layer.weight = uniform([to, from, 5, 5], 25 * from, device, generator);
            layer.bias = Some(uniform([to], 25 * from, device, generator));
            layer
        };
        let first = convolution(1, 6, padded);
        let second = convolution(6, 16, PaddingConfig2d::Valid);
        let mut linear = |from, to| {
            let mut layer = LinearConfig::new(from, to).init(device);
            layer.weight = uniform([from, to], from, device, generator);
            layer.bias = Some(uniform([to], from, device, generator));
            layer
        };
        let dense = [linear(400, 120), linear(120, 84), linear(84, CLASSES)];
        Self { first, second, dense }
    }

    /// The logits of images of shape `[n, 1, 28, 28]`.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let pool = |maps| max_pool2d(maps, MaxPoolOptions::new([2, 2]));
        let maps = pool(relu(self.first.forward(images)));
        let maps = pool(relu(self.second.forward(maps)));
        let [batch, ..] = maps.dims();
        let [a, b, c] = &self.dense;
        let values = relu(a.forward(maps.reshape([batch, 400])));
        c.forward(relu(b.forward(values)))
    }

    /// All parameters, layer by layer, weights ahead of biases, in Burn's layout: the matrices of
    /// linear layers are `[inputs, outputs]`.
    pub fn parameters(&self) -> Vec<TensorData> {
        let mut all = Vec::new();
        for layer in [&self.first, &self.second] {
            all.push(layer.weight.val().into_data());
            all.extend(layer.bias.as_ref().map(|bias| bias.val().into_data()));
        }
        for layer in &self.dense {
            all.push(layer.weight.val().into_data());
            all.extend(layer.bias.as_ref().map(|bias| bias.val().into_data()));
        }
        all
    }
}

/// A parameter between plus and minus `1 / sqrt(inputs)`.
fn uniform<const D: usize>(
    shape: [usize; D],
    inputs: usize,
    device: &Device,
    generator: &mut ChaCha8Rng,
) -> Param<Tensor<D>> {
    let bound = (inputs as f32).sqrt().recip();
    // 24 random bits are a number of at most 1 that f32 holds.
    let mut draw = || bound * ((generator.next_u32() >> 8) as f32 / 8_388_608.0 - 1.0);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| draw()).collect();
    Param::from_data(TensorData::new(values, shape), device)
}
