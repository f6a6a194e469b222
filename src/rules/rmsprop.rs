//! RMSProp: divides the gradient by the root of a running average of its square (Tieleman and
//! Hinton, "Lecture 6.5 - rmsprop", COURSERA: Neural Networks for Machine Learning, 2012).
//! Centering and momentum are those of Graves, "Generating Sequences With Recurrent Neural
//! Networks", arXiv:1308.0850. WGSL twin: `shaders/rules/rmsprop.wgsl`.

use super::options::{constants, specialize};
use super::setting::hyper_parameters;
use super::{EpsilonPlacement, Preset, Rule, RulePass, Setting, SettingKind, Square, WeightDecay};
use crate::numerics::Real;

hyper_parameters! {
    /// RMSProp.
    ///
    /// For each parameter `x` with gradient `g` and averages `v` and, if centered, `a`:
    ///
    /// ```text
    /// v <- smoothing * v + (1 - smoothing) * g * g
    /// a <- smoothing * a + (1 - smoothing) * g             if centered
    /// d  = max(v - a * a, 0)                               v if not centered
    /// x <- x - learning_rate * g / (sqrt(d) + epsilon)     or sqrt(d + epsilon)
    /// ```
    ///
    /// With momentum buffer `b`:
    ///
    /// ```text
    /// b <- momentum * b + g / (sqrt(d) + epsilon)
    /// x <- x - learning_rate * b
    /// ```
    ///
    /// This is `torch.optim.RMSprop`, except for `max`: rounding may make `v - a * a` negative,
    /// which gives NaN in PyTorch. optax and Keras multiply the learning rate into the buffer,
    /// which gives the same steps while the rate is constant.
    RmsProp {
        /// The step size before the division by the root; finite, at least 0, not subnormal.
        /// Default 0.01.
        learning_rate: f32 = 0.01, "the step size, before the division by the root", Normal;
        /// The decay rate of the running averages: PyTorch's `alpha`, optax's `decay`, Keras's
        /// `rho`; at least 0 and below 1. An f64, so that 1 minus it is accurate. Default 0.99.
        smoothing: f64 = 0.99, "decay rate of the running averages", BelowOne;
        /// Keeps the denominator above 0; finite, at least 0, not subnormal. Default 1e-8.
        epsilon: f32 = 1e-8, "keeps the denominator above 0", Normal;
        /// Where epsilon is added. Default [`EpsilonPlacement::OutsideRoot`].
        epsilon_placement: EpsilonPlacement = EpsilonPlacement::OutsideRoot,
            "add epsilon inside or outside the root";
        /// Divide by the estimated standard deviation of the gradient, not by its root mean square.
        /// Default false.
        centered: bool = false,
            "divide by the gradient's standard deviation, not by its root mean square";
        /// The factor of the buffer in each step; finite, at least 0, not subnormal. Default 0: no
        /// buffer.
        momentum: f32 = 0.0, "factor of the momentum buffer in each step; 0: no buffer", Normal;
    }
}

/// What the kernel reads at each step: `struct Hyper` of `shaders/rules/rmsprop.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct RmsPropUniforms {
    /// The learning rate.
    pub learning_rate: f32,
    /// The coefficient of L2 decay, or the learning rate times the coefficient of decoupled decay.
    pub weight_decay: f32,
    /// Smoothing.
    pub smoothing: f32,
    /// 1 minus smoothing.
    pub share: f32,
    /// Epsilon.
    pub epsilon: f32,
    /// Momentum.
    pub momentum: f32,
    /// Pads the struct to 32 bytes.
    pub padding_a: f32,
    /// As above.
    pub padding_b: f32,
}

impl RmsProp {
    /// The defaults of `torch.optim.RMSprop`: the same as `RmsProp::default()`.
    #[must_use]
    pub fn pytorch() -> Self {
        Self::default()
    }

    /// The defaults of `optax.rmsprop`: smoothing 0.9, epsilon 1e-8 inside the root. optax has no
    /// default learning rate.
    #[must_use]
    pub fn optax(learning_rate: f32) -> Self {
        let epsilon_placement = EpsilonPlacement::InsideRoot;
        Self { learning_rate, smoothing: 0.9, epsilon_placement, ..Self::default() }
    }

    /// The defaults of `keras.optimizers.RMSprop`: learning rate 0.001, smoothing 0.9, epsilon
    /// 1e-7 inside the root.
    #[must_use]
    pub fn keras() -> Self {
        Self { epsilon: 1e-7, ..Self::optax(0.001) }
    }

    fn has_momentum(&self) -> bool {
        self.momentum != 0.0
    }
}

impl Rule for RmsProp {
    common_items!("rmsprop");

    const STATE: &'static [&'static str] =
        &["square_average", "gradient_average", "momentum_buffer"];

    type State<T: Real> = [T; 3];
    type Uniforms = RmsPropUniforms;

    fn presets() -> Vec<Preset<Self>> {
        vec![Preset::defaults("the gradient divided by the root of its running mean square")]
    }

    fn examples() -> Vec<Self> {
        let base = Self { learning_rate: 0.1, smoothing: 0.9, epsilon: 1e-4, ..Self::default() };
        let mut rules = Vec::new();
        for epsilon_placement in [EpsilonPlacement::InsideRoot, EpsilonPlacement::OutsideRoot] {
            for centered in [false, true] {
                for momentum in [0.0, 0.9] {
                    rules.push(Self { epsilon_placement, centered, momentum, ..base });
                }
            }
        }
        for weight_decay in [WeightDecay::L2(0.03), WeightDecay::Decoupled(0.3)] {
            rules.push(Self { weight_decay, ..base });
            rules.push(Self { weight_decay, momentum: 0.5, maximize: true, ..base });
        }
        rules
    }

    #[inline(always)]
    fn uses_state(&self, index: usize) -> bool {
        match index {
            0 => true,
            1 => self.centered,
            _ => self.has_momentum(),
        }
    }

    #[inline(always)]
    fn can_share(&self, index: usize) -> bool {
        // A row's mean square minus the square of one gradient's average is not a variance.
        index == 0 && !self.centered && !self.weight_decay.is_l2()
    }

    fn uniforms_at(&self, _: u64, learning_rate: f64) -> RmsPropUniforms {
        RmsPropUniforms {
            learning_rate: learning_rate as f32,
            weight_decay: self.weight_decay.uniform(learning_rate),
            smoothing: self.smoothing as f32,
            share: (1.0 - self.smoothing) as f32,
            epsilon: self.epsilon,
            momentum: self.momentum,
            padding_a: 0.0,
            padding_b: 0.0,
        }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        let own = [
            ("epsilon_outside_root", self.epsilon_placement as u8),
            ("centered", self.centered.into()),
            ("with_momentum", self.has_momentum().into()),
        ];
        constants(own, self.maximize, self.weight_decay)
    }

    #[inline(always)]
    fn specialize<P: RulePass<Self>>(self, pass: P) {
        use EpsilonPlacement::{InsideRoot, OutsideRoot};
        specialize!(
            self,
            pass,
            [[epsilon_placement: InsideRoot], [epsilon_placement: OutsideRoot]],
            [[centered: false], [centered: true]],
            [[momentum: 0.0], [momentum: 1.0]],
            // Otherwise decay and maximization are selects, which cost little.
            [[weight_decay: WeightDecay::None, maximize: false], []]
        );
    }

    #[inline(always)]
    fn update<T: Real>(
        &self,
        hyper: &RmsPropUniforms,
        x: T,
        gradient: T,
        square: impl Square<T>,
        state: &mut [T; 3],
    ) -> T {
        let learning_rate = T::of(hyper.learning_rate);
        let smoothing = T::of(hyper.smoothing);
        let share = T::of(hyper.share);
        let [v, a, buffer] = state;

        let (x, g) = self.weight_decay.apply(self.maximize, hyper.weight_decay, x, gradient);
        *v = smoothing * *v + share * square.of(g);
        let mut deviation = *v;
        if self.centered {
            *a = smoothing * *a + share * g;
            deviation = (*v - *a * *a).maximum(T::of(0.0));
        }
        let root = self.epsilon_placement.root(deviation, T::of(hyper.epsilon));
        if !self.has_momentum() {
            return x - learning_rate * g / root;
        }
        *buffer = T::of(hyper.momentum) * *buffer + g / root;
        x - learning_rate * *buffer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::stepped as step;

    fn rule() -> RmsProp {
        RmsProp { learning_rate: 0.5, smoothing: 0.75, epsilon: 1.0, ..RmsProp::default() }
    }

    /// v = 0.75 * 4 + 0.25 * 2^2 = 4, x = 1 - 0.5 * 2 / (2 + 1); inside, the divisor is
    /// sqrt(4 + 5).
    #[test]
    fn epsilon_outside_and_inside_the_root() {
        let (x, state) = step(&rule(), 1, 1.0, 2.0, [4.0, 0.0, 0.0]);
        assert_eq!((x, state), (1.0 - 1.0 / 3.0, [4.0, 0.0, 0.0]));
        let epsilon_placement = EpsilonPlacement::InsideRoot;
        let inside = RmsProp { epsilon_placement, epsilon: 5.0, ..rule() };
        assert_eq!(step(&inside, 1, 1.0, 2.0, [4.0, 0.0, 0.0]).0, 1.0 - 1.0 / 3.0);
        assert_eq!(inside.state_names(), ["square_average"]);
    }

    /// v = 3 + 1 = 4, a = 0.75 * 0 + 0.25 * 2 = 0.5, so d = 3.75. A negative d becomes 0.
    #[test]
    fn centered() {
        let rule = RmsProp { centered: true, ..rule() };
        assert_eq!(rule.state_names(), ["square_average", "gradient_average"]);
        let (x, state) = step(&rule, 1, 1.0, 2.0, [4.0, 0.0, 0.0]);
        assert_eq!((x, state), (1.0 - 1.0 / (3.75_f64.sqrt() + 1.0), [4.0, 0.5, 0.0]));
        assert_eq!(step(&rule, 1, 1.0, 2.0, [0.0, 8.0, 0.0]).0, 0.0);
    }

    /// b = 0.5 * 4 + 2 / (2 + 1), x = 1 - 0.5 * b.
    #[test]
    fn momentum() {
        let rule = RmsProp { momentum: 0.5, ..rule() };
        assert_eq!(rule.state_names(), ["square_average", "momentum_buffer"]);
        let (x, state) = step(&rule, 1, 1.0, 2.0, [4.0, 0.0, 4.0]);
        let buffer = 2.0 + 2.0 / 3.0;
        assert_eq!((x, state), (1.0 - 0.5 * buffer, [4.0, 0.0, buffer]));
    }

    #[test]
    fn one_minus_smoothing_is_rounded_once() {
        let uniforms = RmsProp::default().uniforms(1);
        assert_eq!((uniforms.smoothing, uniforms.share), (0.99, 0.01));
    }
}
