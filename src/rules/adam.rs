//! Adam (Kingma and Ba, "Adam: A Method for Stochastic Optimization", arXiv:1412.6980), AdamW
//! (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", arXiv:1711.05101) and AMSGrad
//! (Reddi, Kale and Kumar, "On the Convergence of Adam and Beyond", arXiv:1904.09237). WGSL twin:
//! `shaders/rules/adam.wgsl`.

use super::options::{constants, specialize};
use super::setting::hyper_parameters;
use super::{EpsilonScale, Preset, Rule, RulePass, Setting, SettingKind, Square, WeightDecay};
use crate::numerics::Real;

hyper_parameters! {
    /// Adam; AdamW with decoupled weight decay.
    ///
    /// For each parameter `x` with gradient `g` and averages `m` and `v`, in step `t` (from 1 on):
    ///
    /// ```text
    /// m <- beta1 * m + (1 - beta1) * g
    /// v <- beta2 * v + (1 - beta2) * g * g
    /// w <- max(w, v)                               with amsgrad; otherwise w = v
    /// x <- x - learning_rate * mhat / (sqrt(what) + epsilon)
    ///      mhat = m / (1 - beta1^t),  what = w / (1 - beta2^t)
    /// ```
    ///
    /// The bias corrections are the same for all elements, so the kernel computes
    /// `x - rate * m / (sqrt(w) + epsilon_t)` with `rate = learning_rate * c / (1 - beta1^t)`,
    /// `epsilon_t = epsilon * c` and `c = sqrt(1 - beta2^t)`. `rate` and `epsilon_t` are computed
    /// in double precision and rounded once. PyTorch, optax and Keras differ from each other in the
    /// order of these operations. optax's AMSGrad is another rule: it takes the maximum of the
    /// corrected averages.
    Adam {
        /// The step size; finite, at least 0, not subnormal. Default 0.001.
        learning_rate: f32 = 0.001, "the step size", Normal;
        /// The decay rate of the gradient's running average; at least 0 and below 1. An f64, so
        /// that 1 minus it is accurate. Default 0.9.
        beta1: f64 = 0.9, "decay rate of the gradient's running average", BelowOne;
        /// The decay rate of the running mean square; as `beta1`. Default 0.999.
        beta2: f64 = 0.999, "decay rate of the gradient's running mean square", BelowOne;
        /// Keeps the denominator above 0; finite, at least 0, not subnormal. Default 1e-8.
        epsilon: f32 = 1e-8, "keeps the denominator above 0", Normal;
        /// What epsilon is added to. Default [`EpsilonScale::Corrected`].
        epsilon_scale: EpsilonScale = EpsilonScale::Corrected,
            "add epsilon to the root of the corrected or the uncorrected mean square";
        /// Divide by the root of the largest mean square so far. Default false.
        amsgrad: bool = false, "divide by the root of the largest mean square so far";
    }
}

/// What the kernel reads at each step: `struct Hyper` of `shaders/rules/adam.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct AdamUniforms {
    /// The learning rate, with both bias corrections.
    pub learning_rate: f32,
    /// The coefficient of L2 decay, or the learning rate times the coefficient of decoupled decay.
    pub weight_decay: f32,
    /// Beta 1.
    pub beta1: f32,
    /// 1 minus beta 1.
    pub share1: f32,
    /// Beta 2.
    pub beta2: f32,
    /// 1 minus beta 2.
    pub share2: f32,
    /// Epsilon, with its bias correction.
    pub epsilon: f32,
    /// Pads the struct to 32 bytes.
    pub padding: f32,
}

impl Adam {
    /// The defaults of `torch.optim.AdamW`: those of Adam, with decoupled decay of 0.01.
    #[must_use]
    pub fn adamw() -> Self {
        Self { weight_decay: WeightDecay::Decoupled(0.01), ..Self::default() }
    }

    /// The defaults of `torch.optim.Adam`: the same as `Adam::default()`.
    #[must_use]
    pub fn pytorch() -> Self {
        Self::default()
    }

    /// The defaults of `optax.adam`, which are PyTorch's. optax has no default learning rate.
    #[must_use]
    pub fn optax(learning_rate: f32) -> Self {
        Self { learning_rate, ..Self::default() }
    }

    /// The defaults of `optax.adamw`: decoupled decay of 0.0001. optax has no default learning
    /// rate.
    #[must_use]
    pub fn optax_adamw(learning_rate: f32) -> Self {
        Self { weight_decay: WeightDecay::Decoupled(1e-4), ..Self::optax(learning_rate) }
    }

    /// The defaults of `keras.optimizers.Adam`: epsilon 1e-7, added to the root of the uncorrected
    /// mean square.
    #[must_use]
    pub fn keras() -> Self {
        Self { epsilon: 1e-7, epsilon_scale: EpsilonScale::Uncorrected, ..Self::default() }
    }

    /// The defaults of `keras.optimizers.AdamW`: those of Adam, with decoupled decay of 0.004.
    #[must_use]
    pub fn keras_adamw() -> Self {
        Self { weight_decay: WeightDecay::Decoupled(0.004), ..Self::keras() }
    }
}

impl Rule for Adam {
    common_items!("adam");

    const STATE: &'static [&'static str] =
        &["gradient_average", "square_average", "largest_square_average"];

    type State<T: Real> = [T; 3];
    type Uniforms = AdamUniforms;

    fn presets() -> Vec<Preset<Self>> {
        let about =
            "running mean of gradients divided by their running root mean square, bias-corrected";
        let adamw = "Adam with decoupled weight decay";
        vec![
            Preset::defaults(about),
            Preset { name: "adamw", about: adamw, rule: Self::adamw() },
        ]
    }

    fn examples() -> Vec<Self> {
        let base = Self { learning_rate: 0.1, epsilon: 1e-4, ..Self::default() };
        let mut rules = Vec::new();
        for amsgrad in [false, true] {
            for weight_decay in WeightDecay::EXAMPLES {
                rules.push(Self { amsgrad, weight_decay, ..base });
            }
        }
        rules.push(Self { weight_decay: WeightDecay::L2(0.03), maximize: true, ..base });
        rules.push(Self { epsilon_scale: EpsilonScale::Uncorrected, maximize: true, ..base });
        rules
    }

    #[inline(always)]
    fn uses_state(&self, index: usize) -> bool {
        index < 2 || self.amsgrad
    }

    #[inline(always)]
    fn can_share(&self, index: usize) -> bool {
        index > 0 && !self.weight_decay.is_l2()
    }

    fn uniforms_at(&self, step: u64, learning_rate: f64) -> AdamUniforms {
        let correction1 = 1.0 - power(self.beta1, step.max(1));
        let root2 = (1.0 - power(self.beta2, step.max(1))).sqrt();
        let epsilon = f64::from(self.epsilon);
        AdamUniforms {
            learning_rate: (learning_rate * root2 / correction1) as f32,
            weight_decay: self.weight_decay.uniform(learning_rate),
            beta1: self.beta1 as f32,
            share1: (1.0 - self.beta1) as f32,
            beta2: self.beta2 as f32,
            share2: (1.0 - self.beta2) as f32,
            epsilon: match self.epsilon_scale {
                EpsilonScale::Corrected => (epsilon * root2) as f32,
                EpsilonScale::Uncorrected => self.epsilon,
            },
            padding: 0.0,
        }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        constants([("amsgrad", self.amsgrad.into())], self.maximize, self.weight_decay)
    }

    #[inline(always)]
    fn specialize<P: RulePass<Self>>(self, pass: P) {
        use WeightDecay::{Decoupled, L2, None};
        specialize!(
            self,
            pass,
            [[amsgrad: false], [amsgrad: true]],
            [
                [maximize: false, weight_decay: None],
                [maximize: false, weight_decay: L2(0.0)],
                [maximize: false, weight_decay: Decoupled(0.0)],
                // Here weight decay is not a literal, and compiles to selects.
                [maximize: true]
            ]
        );
    }

    #[inline(always)]
    fn update<T: Real>(
        &self,
        hyper: &AdamUniforms,
        x: T,
        gradient: T,
        square: impl Square<T>,
        state: &mut [T; 3],
    ) -> T {
        let [m, v, largest_so_far] = state;

        let (x, g) = self.weight_decay.apply(self.maximize, hyper.weight_decay, x, gradient);
        *m = T::of(hyper.beta1) * *m + T::of(hyper.share1) * g;
        *v = T::of(hyper.beta2) * *v + T::of(hyper.share2) * square.of(g);
        let mut largest = *v;
        if self.amsgrad {
            largest = largest_so_far.maximum(*v);
            *largest_so_far = largest;
        }
        x - T::of(hyper.learning_rate) * *m / (largest.sqrt() + T::of(hyper.epsilon))
    }
}

/// `base^exponent` by repeated squaring, which gives the same bits on every platform.
fn power(base: f64, exponent: u64) -> f64 {
    let (mut result, mut square, mut rest) = (1.0, base, exponent);
    while rest > 0 {
        if rest % 2 == 1 {
            result *= square;
        }
        square *= square;
        rest /= 2;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::stepped as step;

    fn rule() -> Adam {
        Adam { learning_rate: 0.5, beta1: 0.5, beta2: 0.75, epsilon: 1.0, ..Adam::default() }
    }

    /// m = 0.5 * 4 = 2, v = 0.25 * 16 = 4; corrected 4 and 16, so x = 1 - 0.5 * 4 / (4 + 1). With
    /// epsilon uncorrected, the update is 0.5 * 0.5 / 0.5 * 2 / (2 + 1).
    #[test]
    fn the_first_step_is_corrected() {
        let (x, state) = step(&rule(), 1, 1.0, 4.0, [0.0; 3]);
        assert_eq!((x, state), (0.6, [2.0, 4.0, 0.0]));
        assert_eq!(rule().state_names(), ["gradient_average", "square_average"]);
        let rule = Adam { epsilon_scale: EpsilonScale::Uncorrected, ..rule() };
        assert_eq!(step(&rule, 1, 1.0, 4.0, [0.0; 3]).0, 1.0 - 1.0 / 3.0);
    }

    /// The corrections of step 3: 1 - 1/8 and 1 - 27/64.
    #[test]
    fn corrections_are_rounded_once() {
        let root = (37.0_f64 / 64.0).sqrt();
        let uniforms = rule().uniforms(3);
        assert_eq!(uniforms.learning_rate, (0.5 * root / 0.875) as f32);
        assert_eq!(uniforms.epsilon, root as f32);
        // As in PyTorch: 1 minus beta in double precision, then rounded; not 1 minus the rounded
        // beta.
        assert_eq!(Adam::default().uniforms(1).share2, 0.001);
        assert_eq!([power(0.5, 0), power(0.5, 3), power(3.0, 13)], [1.0, 0.125, 1_594_323.0]);
    }

    /// A smaller mean square leaves the largest, and so the denominator, unchanged.
    #[test]
    fn amsgrad_keeps_the_largest_mean_square() {
        let rule = Adam { amsgrad: true, ..rule() };
        assert_eq!(rule.state_names().len(), 3);
        let (x, state) = step(&rule, 1, 1.0, 4.0, [0.0, 0.0, 16.0]);
        // rate = 0.5 * 0.5 / 0.5, epsilon 0.5: 0.5 * 2 / (4 + 0.5).
        assert_eq!((x, state), (1.0 - 1.0 / 4.5, [2.0, 4.0, 16.0]));
        assert_eq!(step(&rule, 1, 1.0, 4.0, [0.0; 3]), (0.6, [2.0, 4.0, 4.0]));
    }
}
