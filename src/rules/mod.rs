//! Update rules: hyper-parameters, their validation, the uniforms that the kernel reads, and the
//! scalar update, which is the CPU twin of the WGSL file with the same stem in `shaders/rules/`.
//!
//! A rule is data plus one function. The engines ([`crate::CpuOptimizer`],
//! [`crate::GpuOptimizer`]) bring the loop, the threads and the memory.

mod adagrad;
mod guard;

pub use adagrad::{Adagrad, AdagradUniforms, EpsilonPlacement, WeightDecay};
pub use guard::{GradientError, GradientGuard, GuardReport, NonFinite};

pub(crate) use guard::{Decision, Scan};

use crate::numerics::Real;

/// A first-order, elementwise update rule.
///
/// `update` is written against [`Real`], so that the same lines run in f32 on the CPU engine and
/// in f64 as a reference. Its operations and their order are the definition: the WGSL twin
/// performs the same ones in the same order.
pub trait Rule: Copy + std::fmt::Debug + PartialEq + Send + Sync + 'static {
    /// The rule's name, in lower case, which is also the stem of its two files.
    const NAME: &'static str;
    /// The names of the state vectors, one f32 per parameter each, in the order of their bindings.
    const STATE: &'static [&'static str];
    /// The WGSL of the update: a struct `Hyper`, whose members are of type `Scalar` or u32, and
    /// `fn update(hyper: Hyper, x: Real, gradient: Real, state: ptr<function, State>) -> Real`.
    ///
    /// `Real` is four numbers and `Scalar` one; the arithmetic is `add`, `sub`, `mul`, `div`,
    /// `square_root`, `negate` and `splat`, since operators would not be exact. `State` has one
    /// member of type `Real` for each name in [`Rule::STATE`].
    const SHADER: &'static str;

    /// One element of every state vector: `[T; N]` with `N` the length of [`Rule::STATE`].
    type State<T: Real>: StateElement<T>;
    /// What the kernel reads at each step; the same layout as `Hyper` in the WGSL.
    type Uniforms: bytemuck::Pod + PartialEq + std::fmt::Debug + Send + Sync;

    /// Whether all hyper-parameters are within their domain.
    ///
    /// # Errors
    /// [`RuleError`] names the first that is not.
    fn validate(&self) -> Result<(), RuleError>;

    /// The value that every element of each state vector starts from.
    fn initial_state(&self) -> Self::State<f32>;

    /// The base learning rate.
    fn learning_rate(&self) -> f32;

    /// Replaces the base learning rate.
    fn set_learning_rate(&mut self, learning_rate: f32);

    /// The uniforms of step number `step`, counted from 1.
    fn uniforms(&self, step: u64) -> Self::Uniforms;

    /// The pipeline-overridable constants of the WGSL: choices of formula, fixed for the life of
    /// an optimizer, so that they cost nothing per element.
    fn constants(&self) -> Vec<(&'static str, f64)>;

    /// Runs `pass` with this rule. A rule with choices of formula compares them with the common
    /// ones here and passes on a copy in which they are literal, so that the CPU engine's loop is
    /// compiled without them; always inlined, like all that such a loop consists of. `pass` is run
    /// exactly once, with a rule equal to this one.
    #[inline(always)]
    fn specialize<P: RulePass<Self>>(self, pass: P) {
        pass.run(self);
    }

    /// The new value of parameter `x`, given its `gradient`; updates `state` in place.
    fn update<T: Real>(
        &self,
        uniforms: &Self::Uniforms,
        x: T,
        gradient: T,
        state: &mut Self::State<T>,
    ) -> T;
}

/// A loop over elements, to be run with a rule: see [`Rule::specialize`].
pub trait RulePass<R> {
    /// Runs it.
    fn run(self, rule: R);
}

/// One element of each of a rule's state vectors, as an array.
pub trait StateElement<T>: Copy + AsRef<[T]> + AsMut<[T]> {
    /// How many state vectors there are.
    const COUNT: usize;

    /// Gathers element values from their vector's number.
    fn from_fn(value: impl FnMut(usize) -> T) -> Self;
}

impl<T: Copy, const N: usize> StateElement<T> for [T; N] {
    const COUNT: usize = N;

    #[inline(always)]
    fn from_fn(value: impl FnMut(usize) -> T) -> Self {
        std::array::from_fn(value)
    }
}

/// A hyper-parameter outside its domain.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// NaN, infinite or negative.
    #[error("{parameter} is {value}: give a finite number of at least 0")]
    NotFiniteOrNegative {
        /// The field's name.
        parameter: &'static str,
        /// What it was set to.
        value: f32,
    },
    /// NaN, infinite, negative or zero.
    #[error("{parameter} is {value}: give a finite number above 0")]
    NotFiniteOrNotPositive {
        /// The field's name.
        parameter: &'static str,
        /// What it was set to.
        value: f32,
    },
    /// Positive, but subnormal, so that some devices would round it to zero.
    #[error(
        "{parameter} is {value:e}, which some devices flush to zero: \
         give 0 or at least {smallest:e}",
        smallest = f32::MIN_POSITIVE
    )]
    Subnormal {
        /// The field's name.
        parameter: &'static str,
        /// What it was set to.
        value: f32,
    },
}

/// Checks that `value` is finite and at least 0.
pub(crate) fn at_least_zero(parameter: &'static str, value: f32) -> Result<(), RuleError> {
    if value.is_finite() && value >= 0.0 {
        Ok(())
    } else {
        Err(RuleError::NotFiniteOrNegative { parameter, value })
    }
}

/// Checks that `value` is finite and above 0.
pub(crate) fn above_zero(parameter: &'static str, value: f32) -> Result<(), RuleError> {
    if value.is_finite() && value > 0.0 {
        Ok(())
    } else {
        Err(RuleError::NotFiniteOrNotPositive { parameter, value })
    }
}

/// Checks that `value` is not one of the numbers between 0 and the smallest normal one.
pub(crate) fn not_subnormal(parameter: &'static str, value: f32) -> Result<(), RuleError> {
    if value.is_subnormal() { Err(RuleError::Subnormal { parameter, value }) } else { Ok(()) }
}
