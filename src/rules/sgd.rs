//! Stochastic gradient descent, with momentum (Polyak, "Some methods of speeding up the convergence
//! of iteration methods", 1964) and Nesterov momentum in the form of Sutskever, Martens, Dahl and
//! Hinton, "On the importance of initialization and momentum in deep learning", ICML 2013. WGSL
//! twin: `shaders/rules/sgd.wgsl`.

use super::options::{constants, specialize};
use super::setting::{check_domains, hyper_parameters};
use super::{Preset, Rule, RuleError, RulePass, Setting, SettingKind, Square, WeightDecay};
use crate::numerics::Real;

hyper_parameters! {
    /// Stochastic gradient descent.
    ///
    /// For each parameter `x` with gradient `g` and, if momentum is not 0, momentum buffer `b`:
    ///
    /// ```text
    /// b <- momentum * b + (1 - dampening) * g        first step: no dampening
    /// x <- x - learning_rate * b                     with nesterov: g + momentum * b instead of b
    /// ```
    ///
    /// Without momentum, `x <- x - learning_rate * g`, and there is no state. This is
    /// `torch.optim.SGD` and, with dampening 0, `optax.sgd`. `keras.optimizers.SGD` multiplies the
    /// learning rate into its buffer, which gives the same steps while the rate is constant.
    Sgd {
        /// The step size; finite, at least 0, not subnormal. Default 0.001, as in PyTorch.
        learning_rate: f32 = 0.001, "the step size", Normal;
        /// The factor of the buffer in each step; finite, at least 0, not subnormal. Default 0: no
        /// buffer.
        momentum: f32 = 0.0, "factor of the momentum buffer in each step; 0: no buffer", Normal;
        /// The gradient enters the buffer with factor `1 - dampening`; finite, at least 0, not
        /// subnormal. Default 0.
        dampening: f32 = 0.0, "the gradient enters the buffer with factor 1 - dampening", Normal;
        /// Nesterov momentum: step along the gradient plus momentum times the new buffer. Needs
        /// momentum, and no dampening. Default false.
        nesterov: bool = false, "Nesterov momentum";
    }
}

/// What the kernel reads at each step: `struct Hyper` of `shaders/rules/sgd.wgsl`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct SgdUniforms {
    /// The learning rate.
    pub learning_rate: f32,
    /// The coefficient of L2 decay, or the learning rate times the coefficient of decoupled decay.
    pub weight_decay: f32,
    /// Momentum.
    pub momentum: f32,
    /// The factor of the gradient in the buffer: 1, or 1 minus dampening after the first step.
    pub gradient_share: f32,
}

impl Sgd {
    /// The defaults of `torch.optim.SGD`: learning rate 0.001, no momentum.
    #[must_use]
    pub fn pytorch() -> Self {
        Self::default()
    }

    /// The defaults of `optax.sgd`: no momentum. optax has no default learning rate.
    #[must_use]
    pub fn optax(learning_rate: f32) -> Self {
        Self { learning_rate, ..Self::default() }
    }

    /// The defaults of `keras.optimizers.SGD`: learning rate 0.01, no momentum.
    #[must_use]
    pub fn keras() -> Self {
        Self { learning_rate: 0.01, ..Self::default() }
    }

    fn has_momentum(&self) -> bool {
        self.momentum != 0.0
    }
}

impl Rule for Sgd {
    common_items!("sgd");

    const STATE: &'static [&'static str] = &["momentum_buffer"];

    type State<T: Real> = [T; 1];
    type Uniforms = SgdUniforms;

    fn presets() -> Vec<Preset<Self>> {
        vec![Preset::defaults("gradient descent, optionally with momentum")]
    }

    fn examples() -> Vec<Self> {
        let base = Self { learning_rate: 0.1, ..Self::default() };
        let momentum = Self { momentum: 0.9, ..base };
        let mut rules = Vec::new();
        for rule in [base, momentum, Self { nesterov: true, ..momentum }] {
            for weight_decay in WeightDecay::EXAMPLES {
                rules.push(Self { weight_decay, ..rule });
            }
        }
        rules.push(Self { maximize: true, ..base });
        rules.push(Self { dampening: 0.1, maximize: true, ..momentum });
        rules
    }

    fn validate(&self) -> Result<(), RuleError> {
        check_domains(self)?;
        if self.nesterov && (!self.has_momentum() || self.dampening != 0.0) {
            let needs = "needs a momentum above 0 and a dampening of 0: set both, or do not use it";
            return Err(RuleError::Conflict { parameter: "nesterov", needs });
        }
        Ok(())
    }

    #[inline(always)]
    fn uses_state(&self, _: usize) -> bool {
        self.has_momentum()
    }

    fn uniforms_at(&self, step: u64, learning_rate: f64) -> SgdUniforms {
        // The first step sets the buffer to the gradient.
        let dampening = if step <= 1 { 0.0 } else { f64::from(self.dampening) };
        SgdUniforms {
            learning_rate: learning_rate as f32,
            weight_decay: self.weight_decay.uniform(learning_rate),
            momentum: self.momentum,
            gradient_share: (1.0 - dampening) as f32,
        }
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        let momentum = ("with_momentum", self.has_momentum().into());
        let own = [momentum, ("nesterov", self.nesterov.into())];
        constants(own, self.maximize, self.weight_decay)
    }

    #[inline(always)]
    fn specialize<P: RulePass<Self>>(self, pass: P) {
        use WeightDecay::{L2, None};
        specialize!(
            self,
            pass,
            [[momentum: 0.0], [momentum: 1.0, nesterov: false], [momentum: 1.0, nesterov: true]],
            [
                [maximize: false, weight_decay: None],
                [maximize: false, weight_decay: L2(0.0)],
                []
            ]
        );
    }

    #[inline(always)]
    fn update<T: Real>(
        &self,
        hyper: &SgdUniforms,
        x: T,
        gradient: T,
        _: impl Square<T>,
        [buffer]: &mut [T; 1],
    ) -> T {
        let (x, g) = self.weight_decay.apply(self.maximize, hyper.weight_decay, x, gradient);
        if !self.has_momentum() {
            return x - T::of(hyper.learning_rate) * g;
        }
        let momentum = T::of(hyper.momentum);
        *buffer = momentum * *buffer + T::of(hyper.gradient_share) * g;
        let direction = if self.nesterov { g + momentum * *buffer } else { *buffer };
        x - T::of(hyper.learning_rate) * direction
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::stepped as step;

    fn rule() -> Sgd {
        Sgd { learning_rate: 0.5, momentum: 0.5, ..Sgd::default() }
    }

    #[test]
    fn plain_descent_has_no_state() {
        let rule = Sgd { momentum: 0.0, ..rule() };
        assert!(rule.state_names().is_empty());
        assert_eq!(step(&rule, 1, 1.0, 3.0, [0.0]).0, -0.5);
        let rule = Sgd { maximize: true, ..rule };
        assert_eq!(step(&rule, 1, 1.0, 3.0, [0.0]).0, 2.5);
    }

    /// b = 0.5 * 2 + 3 = 4, x = 1 - 0.5 * 4; with Nesterov, x = 1 - 0.5 * (3 + 0.5 * 4).
    #[test]
    fn momentum_and_nesterov_momentum() {
        assert_eq!(rule().state_names(), ["momentum_buffer"]);
        assert_eq!(step(&rule(), 2, 1.0, 3.0, [2.0]), (-1.0, [4.0]));
        assert_eq!(step(&Sgd { nesterov: true, ..rule() }, 2, 1.0, 3.0, [2.0]), (-1.5, [4.0]));
    }

    /// With dampening 0.25, three quarters of the gradient enter the buffer from the second step
    /// on.
    #[test]
    fn the_first_step_is_not_dampened() {
        let rule = Sgd { dampening: 0.25, ..rule() };
        assert_eq!(step(&rule, 1, 1.0, 4.0, [0.0]), (-1.0, [4.0]));
        assert_eq!(step(&rule, 2, 1.0, 4.0, [2.0]), (-1.0, [4.0]));
    }

    #[test]
    fn nesterov_needs_momentum_and_no_dampening() {
        let wrong = [Sgd { momentum: 0.0, ..rule() }, Sgd { dampening: 0.5, ..rule() }];
        for rule in wrong.map(|rule| Sgd { nesterov: true, ..rule }) {
            assert!(rule.validate().unwrap_err().to_string().starts_with("nesterov needs"));
        }
        assert_eq!(Sgd { nesterov: true, ..rule() }.validate(), Ok(()));
    }
}
