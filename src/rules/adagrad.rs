//! Adagrad: divides the learning rate of each parameter by the root of the sum of its squared
//! gradients (Duchi, Hazan and Singer, "Adaptive Subgradient Methods for Online Learning and
//! Stochastic Optimization", JMLR 12, 2011). WGSL twin: `shaders/rules/adagrad.wgsl`.

use super::options::{constants, specialize};
use super::setting::hyper_parameters;
use super::{EpsilonPlacement, Preset, Rule, RulePass, Setting, SettingKind, Square, WeightDecay};
use crate::numerics::Real;

hyper_parameters! {
    /// Adagrad.
    ///
    /// For each parameter `x` with gradient `g` and accumulator `s`:
    ///
    /// ```text
    /// s <- s + g * g
    /// x <- x - learning_rate * g / sqrt(s + epsilon)
    /// ```
    Adagrad {
        /// The step size before the division by the root; finite, at least 0, not subnormal.
        /// Default 0.01.
        learning_rate: f32 = 0.01, "the step size, before the division by the root", Normal;
        /// Keeps the denominator above 0; finite, at least 0, not subnormal. Default 1e-6. With
        /// epsilon 0, a parameter whose accumulator and gradient are both 0 becomes NaN (0 / 0).
        epsilon: f32 = 1e-6, "keeps the denominator above 0", Normal;
        /// Where epsilon is added. Default [`EpsilonPlacement::InsideRoot`].
        epsilon_placement: EpsilonPlacement = EpsilonPlacement::InsideRoot,
            "add epsilon inside or outside the root";
        /// The accumulator before the first step; finite, at least 0, not subnormal. Default 0.
        initial_accumulator: f32 = 0.0, "the accumulator before the first step", Normal;
        /// Step `t`, counted from 1, uses `learning_rate / (1 + (t - 1) * learning_rate_decay)`;
        /// finite, at least 0. Default 0.
        learning_rate_decay: f32 = 0.0,
            "step t uses learning_rate / (1 + (t - 1) * learning_rate_decay)", AtLeastZero;
    }
}

/// What the kernel reads at each step: `struct Hyper` of `shaders/rules/adagrad.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct AdagradUniforms {
    /// The learning rate of this step, after decay.
    pub learning_rate: f32,
    /// Epsilon.
    pub epsilon: f32,
    /// The coefficient of L2 decay, or the learning rate times the coefficient of decoupled decay.
    pub weight_decay: f32,
    /// Pads the struct to 16 bytes.
    pub padding: f32,
}

impl Adagrad {
    /// The defaults of `torch.optim.Adagrad`: learning rate 0.01, epsilon 1e-10 outside the root,
    /// initial accumulator 0.
    #[must_use]
    pub fn pytorch() -> Self {
        Self { epsilon: 1e-10, epsilon_placement: EpsilonPlacement::OutsideRoot, ..Self::default() }
    }

    /// The defaults of `optax.adagrad`: epsilon 1e-7 inside the root, initial accumulator 0.1.
    /// optax has no default learning rate.
    #[must_use]
    pub fn optax(learning_rate: f32) -> Self {
        Self { learning_rate, epsilon: 1e-7, initial_accumulator: 0.1, ..Self::default() }
    }

    /// The defaults of `keras.optimizers.Adagrad`: learning rate 0.001, epsilon 1e-7 inside the
    /// root, initial accumulator 0.1.
    #[must_use]
    pub fn keras() -> Self {
        Self::optax(0.001)
    }

    /// The defaults of `mxnet.optimizer.AdaGrad` (version 2): learning rate 0.01, epsilon 1e-6
    /// outside the root, initial accumulator 0.
    #[must_use]
    pub fn mxnet() -> Self {
        Self { epsilon_placement: EpsilonPlacement::OutsideRoot, ..Self::default() }
    }
}

impl Rule for Adagrad {
    common_items!("adagrad");

    const STATE: &'static [&'static str] = &["accumulator"];

    type State<T: Real> = [T; 1];
    type Uniforms = AdagradUniforms;

    fn presets() -> Vec<Preset<Self>> {
        vec![Preset::defaults("a learning rate per parameter, from its sum of squared gradients")]
    }

    fn examples() -> Vec<Self> {
        let base = Self { learning_rate: 0.1, initial_accumulator: 0.01, ..Self::default() };
        let mut rules = vec![Self { learning_rate_decay: 0.25, ..base }];
        for epsilon_placement in [EpsilonPlacement::InsideRoot, EpsilonPlacement::OutsideRoot] {
            for weight_decay in WeightDecay::EXAMPLES {
                for maximize in [false, true] {
                    rules.push(Self { epsilon_placement, weight_decay, maximize, ..base });
                }
            }
        }
        rules
    }

    #[inline(always)]
    fn can_share(&self, _: usize) -> bool {
        !self.weight_decay.is_l2()
    }

    fn initial_state(&self) -> [f32; 1] {
        [self.initial_accumulator]
    }

    fn uniforms_at(&self, step: u64, learning_rate: f64) -> AdagradUniforms {
        let steps_before = step.saturating_sub(1) as f64;
        let rate = learning_rate / (1.0 + steps_before * f64::from(self.learning_rate_decay));
        AdagradUniforms {
            learning_rate: rate as f32,
            epsilon: self.epsilon,
            weight_decay: self.weight_decay.uniform(rate),
            padding: 0.0,
        }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        let outside = self.epsilon_placement as u8;
        constants([("epsilon_outside_root", outside)], self.maximize, self.weight_decay)
    }

    #[inline(always)]
    fn specialize<P: RulePass<Self>>(self, pass: P) {
        use EpsilonPlacement::{InsideRoot, OutsideRoot};
        specialize!(
            self,
            pass,
            [
                [epsilon_placement: InsideRoot, weight_decay: WeightDecay::None, maximize: false],
                [epsilon_placement: OutsideRoot, weight_decay: WeightDecay::None, maximize: false],
                []
            ]
        );
    }

    #[inline(always)]
    fn update<T: Real>(
        &self,
        hyper: &AdagradUniforms,
        x: T,
        gradient: T,
        square: impl Square<T>,
        [s]: &mut [T; 1],
    ) -> T {
        let epsilon = T::of(hyper.epsilon);

        let (x, g) = self.weight_decay.apply(self.maximize, hyper.weight_decay, x, gradient);
        *s = *s + square.of(g);
        let root = self.epsilon_placement.root(*s, epsilon);
        x - T::of(hyper.learning_rate) * g / root
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::stepped as step;

    /// One step by hand: s = 0 + 3^2 = 9, x = 1 - 0.5 * 3 / sqrt(9 + 16) = 0.7.
    #[test]
    fn epsilon_inside_the_root() {
        let rule = Adagrad { learning_rate: 0.5, epsilon: 16.0, ..Adagrad::default() };
        assert_eq!(step(&rule, 1, 1.0, 3.0, [0.0]), (0.7, [9.0]));
    }

    /// x = 1 - 0.5 * 3 / (sqrt(9) + 1) = 0.625.
    #[test]
    fn epsilon_outside_the_root() {
        let rule = Adagrad { learning_rate: 0.5, epsilon: 1.0, ..Adagrad::pytorch() };
        assert_eq!(step(&rule, 1, 1.0, 3.0, [0.0]), (0.625, [9.0]));
    }

    /// Decay starts in the second step: 0.5, then 0.5 / 1.25, then 0.5 / 1.5.
    #[test]
    fn decay_counts_from_the_first_step() {
        let rule = Adagrad { learning_rate: 0.5, learning_rate_decay: 0.25, ..Adagrad::default() };
        let rates = [1, 2, 3].map(|number| rule.uniforms(number).learning_rate);
        assert_eq!(rates, [0.5, 0.4, (0.5f64 / 1.5) as f32]);
    }

    #[test]
    fn the_defaults_of_other_frameworks_are_valid() {
        let all = [Adagrad::pytorch(), Adagrad::optax(0.1), Adagrad::keras(), Adagrad::mxnet()];
        assert!(all.iter().all(|rule| rule.validate().is_ok()));
    }
}
