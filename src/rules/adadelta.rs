//! AdaDelta: scales the gradient by the ratio of the running root mean squares of past updates and
//! of past gradients (Zeiler, "ADADELTA: An Adaptive Learning Rate Method", arXiv:1212.5701, 2012).
//! WGSL twin: `shaders/rules/adadelta.wgsl`.

use super::options::{constants, specialize};
use super::setting::hyper_parameters;
use super::{Preset, Rule, RulePass, Setting, SettingKind, Square, WeightDecay};
use crate::numerics::Real;

hyper_parameters! {
    /// AdaDelta.
    ///
    /// For each parameter `x` with gradient `g` and averages `v` and `u`:
    ///
    /// ```text
    /// v <- rho * v + (1 - rho) * g * g
    /// d  = sqrt(u + epsilon) / sqrt(v + epsilon) * g
    /// u <- rho * u + (1 - rho) * d * d
    /// x <- x - learning_rate * d
    /// ```
    ///
    /// This is `torch.optim.Adadelta`, `optax.adadelta` and `keras.optimizers.Adadelta`.
    AdaDelta {
        /// A factor of each update; finite, at least 0, not subnormal. Default 1.
        learning_rate: f32 = 1.0, "factor of each update", Normal;
        /// The decay rate of the running averages; at least 0 and below 1. An f64, so that 1 minus
        /// it is accurate. Default 0.9.
        rho: f64 = 0.9, "decay rate of the running averages", BelowOne;
        /// Sets the size of the first updates and keeps the denominator above 0; finite, at least
        /// 0, not subnormal. Default 1e-6. With epsilon 0, parameters never move.
        epsilon: f32 = 1e-6, "a larger epsilon makes the first updates larger", Normal;
    }
}

/// What the kernel reads at each step: `struct Hyper` of `shaders/rules/adadelta.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct AdaDeltaUniforms {
    /// The learning rate.
    pub learning_rate: f32,
    /// The coefficient of L2 decay, or the learning rate times the coefficient of decoupled decay.
    pub weight_decay: f32,
    /// Rho.
    pub rho: f32,
    /// 1 minus rho.
    pub share: f32,
    /// Epsilon.
    pub epsilon: f32,
    /// Pads the struct to 32 bytes.
    pub padding_a: f32,
    /// As above.
    pub padding_b: f32,
    /// As above.
    pub padding_c: f32,
}

impl AdaDelta {
    /// The defaults of `torch.optim.Adadelta`: the same as `AdaDelta::default()`.
    #[must_use]
    pub fn pytorch() -> Self {
        Self::default()
    }

    /// The defaults of `optax.adadelta`, which are PyTorch's. optax has no default learning rate.
    #[must_use]
    pub fn optax(learning_rate: f32) -> Self {
        Self { learning_rate, ..Self::default() }
    }

    /// The defaults of `keras.optimizers.Adadelta`: learning rate 0.001, rho 0.95, epsilon 1e-7.
    #[must_use]
    pub fn keras() -> Self {
        Self { learning_rate: 0.001, rho: 0.95, epsilon: 1e-7, ..Self::default() }
    }
}

impl Rule for AdaDelta {
    common_items!("adadelta");

    const STATE: &'static [&'static str] = &["square_average", "delta_average"];

    type State<T: Real> = [T; 2];
    type Uniforms = AdaDeltaUniforms;

    fn presets() -> Vec<Preset<Self>> {
        vec![Preset::defaults("step sizes from a running average of past updates")]
    }

    fn examples() -> Vec<Self> {
        let base = Self { epsilon: 1e-4, ..Self::default() };
        let mut rules: Vec<_> =
            WeightDecay::EXAMPLES.map(|weight_decay| Self { weight_decay, ..base }).to_vec();
        rules.push(Self { weight_decay: WeightDecay::L2(0.03), maximize: true, ..base });
        rules
    }

    #[inline(always)]
    fn can_share(&self, index: usize) -> bool {
        index == 0 && !self.weight_decay.is_l2()
    }

    fn uniforms_at(&self, _: u64, learning_rate: f64) -> AdaDeltaUniforms {
        AdaDeltaUniforms {
            learning_rate: learning_rate as f32,
            weight_decay: self.weight_decay.uniform(learning_rate),
            rho: self.rho as f32,
            share: (1.0 - self.rho) as f32,
            epsilon: self.epsilon,
            padding_a: 0.0,
            padding_b: 0.0,
            padding_c: 0.0,
        }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        constants([], self.maximize, self.weight_decay)
    }

    #[inline(always)]
    fn specialize<P: RulePass<Self>>(self, pass: P) {
        specialize!(
            self,
            pass,
            [
                [weight_decay: WeightDecay::None, maximize: false],
                [weight_decay: WeightDecay::L2(0.0), maximize: false],
                []
            ]
        );
    }

    #[inline(always)]
    fn update<T: Real>(
        &self,
        hyper: &AdaDeltaUniforms,
        x: T,
        gradient: T,
        square: impl Square<T>,
        state: &mut [T; 2],
    ) -> T {
        let rho = T::of(hyper.rho);
        let share = T::of(hyper.share);
        let epsilon = T::of(hyper.epsilon);
        let [v, u] = state;

        let (x, g) = self.weight_decay.apply(self.maximize, hyper.weight_decay, x, gradient);
        *v = rho * *v + share * square.of(g);
        let delta = (*u + epsilon).sqrt() / (*v + epsilon).sqrt() * g;
        *u = rho * *u + share * (delta * delta);
        x - T::of(hyper.learning_rate) * delta
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::stepped as step;

    /// v = 0.75 * 0 + 0.25 * 4^2 = 4, d = sqrt(0.75 + 0.25) / sqrt(4 + 0.25) * 4, and
    /// u = 0.75 * 0.75 + 0.25 * d^2.
    #[test]
    fn by_hand() {
        let rule = AdaDelta { learning_rate: 0.5, rho: 0.75, epsilon: 0.25, ..AdaDelta::default() };
        let (x, state) = step(&rule, 1, 1.0, 4.0, [0.0, 0.75]);
        let delta = 1.0 / 4.25_f64.sqrt() * 4.0;
        assert_eq!((x, state), (1.0 - 0.5 * delta, [4.0, 0.5625 + 0.25 * (delta * delta)]));
    }

    #[test]
    fn one_minus_rho_is_rounded_once() {
        assert_eq!(AdaDelta::default().uniforms(1).share, 0.1);
    }
}
