//! Update rules.
//!
//! A rule is data plus one function: its hyper-parameters with their validation, the uniforms that
//! the kernel reads, and the scalar update, the CPU twin of the WGSL file with the same stem in
//! `shaders/rules/`. The engines ([`crate::CpuOptimizer`], [`crate::GpuOptimizer`]) supply the
//! loop, the threads and the memory. [`AnyRule`] holds one of the rules in the list at the end of
//! this file.

mod any;
mod error;
mod options;
mod setting;
mod square;

pub use any::{RuleOption, UnknownRule};
pub use error::RuleError;
pub use options::{EpsilonPlacement, EpsilonScale, WeightDecay};
pub use setting::{Domain, Setting, SettingError, SettingKind, set, setting};
pub use square::{MeanSquare, OwnSquare, Square};

pub(crate) use error::{above_zero, not_subnormal};

use crate::numerics::Real;

/// The maximum number of state vectors of a rule. The CPU engine has a loop for each number up to
/// this one, and a kernel with this many stays within WebGPU's default of eight storage buffers.
pub const MAX_STATE: usize = 3;

/// A first-order, elementwise update rule.
///
/// `update` is generic over [`Real`], so that the same code runs in f32 on the CPU engine and in
/// f64 as a reference. Its operations and their order define the rule: the WGSL twin performs the
/// same operations in the same order.
pub trait Rule: Copy + std::fmt::Debug + PartialEq + Send + Sync + 'static {
    /// The rule's name in lower case, which is also the stem of its two files.
    const NAME: &'static str;
    /// The names of all state vectors that any choice of formula needs, in order; at most
    /// [`MAX_STATE`]. [`Rule::state_names`] gives those that one rule value has.
    const STATE: &'static [&'static str];
    /// The WGSL of the update: a struct `Hyper`, whose members are of type `Scalar` or u32, and
    /// `fn update(hyper: Hyper, x: Real, gradient: Real, state: ptr<function, State>) -> Real`.
    ///
    /// `Real` is four numbers and `Scalar` is one. Operators would not be exact, so the arithmetic
    /// is `add`, `sub`, `mul`, `div`, `square_root`, `maximum`, `negate` and `splat`. `square`
    /// gives the gradient's square or the mean square of its row, as [`Square`] does. `State` has
    /// one member of type `Real` for each name in [`Rule::STATE`]. Members that the rule does not
    /// use are 0 and are not stored.
    const SHADER: &'static str;
    /// The hyper-parameters by name.
    const SETTINGS: &'static [Setting<Self>] = &[];

    /// One element of every state vector: `[T; N]` with `N` the length of [`Rule::STATE`].
    type State<T: Real>: StateElement<T>;
    /// What the kernel reads at each step, in the layout of `Hyper` in the WGSL.
    type Uniforms: bytemuck::Pod + PartialEq + std::fmt::Debug + Send + Sync;

    /// The rule under the names that users know, its own first. Empty for rules that are not in
    /// this crate's list.
    #[must_use]
    fn presets() -> Vec<Preset<Self>> {
        Vec::new()
    }

    /// For tests: every choice of formula, with hyper-parameters that affect the result.
    #[doc(hidden)]
    #[must_use]
    fn examples() -> Vec<Self> {
        Vec::new()
    }

    /// Checks that all hyper-parameters are within their domains and compatible with each other.
    ///
    /// # Errors
    /// [`RuleError`] for the first that is not.
    fn validate(&self) -> Result<(), RuleError> {
        setting::check_domains(self)
    }

    /// Whether this rule, with its choices of formula, uses state vector `index` of
    /// [`Rule::STATE`]. An engine allocates no other vectors.
    #[inline(always)]
    fn uses_state(&self, index: usize) -> bool {
        index < Self::STATE.len()
    }

    /// The names of the state vectors that this rule uses, in the order in which an engine numbers
    /// them. Each has one f32 per parameter.
    #[must_use]
    fn state_names(&self) -> Vec<&'static str> {
        (0..).zip(Self::STATE).filter(|(k, _)| self.uses_state(*k)).map(|(_, &name)| name).collect()
    }

    /// The initial value of the elements of each state vector.
    fn initial_state(&self) -> Self::State<f32> {
        Self::State::from_fn(|_| 0.0)
    }

    /// The base learning rate.
    fn learning_rate(&self) -> f32;

    /// Replaces the base learning rate.
    fn set_learning_rate(&mut self, learning_rate: f32);

    /// The uniforms of step `step`, counted from 1.
    fn uniforms(&self, step: u64) -> Self::Uniforms {
        self.uniforms_at(step, f64::from(self.learning_rate()))
    }

    /// As [`Rule::uniforms`], with the base learning rate that a [`crate::Schedule`] gives.
    fn uniforms_at(&self, step: u64, learning_rate: f64) -> Self::Uniforms;

    /// The pipeline-overridable constants of the WGSL: the choices of formula. They are fixed for
    /// the life of an optimizer, so they cost nothing per element.
    fn constants(&self) -> Vec<(&'static str, f64)>;

    /// Runs `pass` exactly once, with a rule that has the same choices of formula. For common
    /// choices it passes a copy in which they are literals, so that the compiler removes them from
    /// the CPU engine's loop. Numbers that `update` reads from the uniforms may differ in that
    /// copy. Like everything inside the loop, this is always inlined.
    #[inline(always)]
    fn specialize<P: RulePass<Self>>(self, pass: P) {
        pass.run(self);
    }

    /// Whether a row of parameters can share one value of state vector `index`
    /// ([`crate::CpuOptimizer::row_wise`]). It can if `update` computes the value from nothing but
    /// `square`, the value itself and other vectors that a row can share.
    #[inline(always)]
    fn can_share(&self, index: usize) -> bool {
        let _ = index;
        false
    }

    /// The new value of parameter `x` for its `gradient`. `square` gives the gradient's square or
    /// the mean square of its row. Updates `state` in place.
    fn update<T: Real>(
        &self,
        uniforms: &Self::Uniforms,
        x: T,
        gradient: T,
        square: impl Square<T>,
        state: &mut Self::State<T>,
    ) -> T;
}

/// A loop over elements, generic over the rule: see [`Rule::specialize`].
pub trait RulePass<R> {
    /// Runs the loop.
    fn run(self, rule: R);
}

/// One element of each of a rule's state vectors, as an array.
pub trait StateElement<T>: Copy + std::fmt::Debug + AsRef<[T]> + AsMut<[T]> {
    /// How many state vectors there are.
    const COUNT: usize;

    /// The array of the values that `value` gives for each vector's number.
    fn from_fn(value: impl FnMut(usize) -> T) -> Self;
}

impl<T: Copy + std::fmt::Debug, const N: usize> StateElement<T> for [T; N] {
    const COUNT: usize = N;

    #[inline(always)]
    fn from_fn(value: impl FnMut(usize) -> T) -> Self {
        std::array::from_fn(value)
    }
}

/// One of a rule's state vectors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct StateVector {
    pub(crate) name: &'static str,
    /// The initial value of every element.
    pub(crate) initial: f32,
    /// Whether a row shares one value.
    pub(crate) shared: bool,
}

/// Checks that a row can share at least one of the rule's state vectors.
pub(crate) fn check_row_wise<R: Rule>(rule: &R) -> Result<(), RuleError> {
    match (0..R::STATE.len()).any(|k| rule.uses_state(k) && rule.can_share(k)) {
        true => Ok(()),
        false => Err(RuleError::NotRowWise { rule: R::NAME }),
    }
}

/// Fails to compile for a rule whose state type does not match [`Rule::STATE`].
pub(crate) const fn check_state<R: Rule>() {
    assert!(R::STATE.len() == <R::State<f32> as StateElement<f32>>::COUNT);
    assert!(R::STATE.len() <= MAX_STATE);
}

/// For tests against steps worked by hand: parameter and state after step `number`.
#[cfg(test)]
pub(crate) fn stepped<R: Rule<State<f64> = [f64; N]>, const N: usize>(
    rule: &R,
    number: u64,
    x: f64,
    gradient: f64,
    mut state: [f64; N],
) -> (f64, [f64; N]) {
    (rule.update(&rule.uniforms(number), x, gradient, OwnSquare, &mut state), state)
}

/// A rule under a name that users know.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preset<R> {
    /// The name, in lower case.
    pub name: &'static str,
    /// A description, in one line.
    pub about: &'static str,
    /// The rule with the defaults of PyTorch or of a textbook.
    pub rule: R,
}

impl<R: Rule + Default> Preset<R> {
    /// The rule's defaults, under its own name.
    pub(crate) fn defaults(about: &'static str) -> Self {
        Self { name: R::NAME, about, rule: R::default() }
    }
}

/// The items that follow from a rule's name and its hyper-parameters.
macro_rules! common_items {
    ($name:literal) => {
        const NAME: &'static str = $name;
        const SHADER: &'static str = include_str!(concat!("../../shaders/rules/", $name, ".wgsl"));
        const SETTINGS: &'static [Setting<Self>] = Self::HYPER_PARAMETERS;

        fn learning_rate(&self) -> f32 {
            self.learning_rate
        }

        fn set_learning_rate(&mut self, learning_rate: f32) {
            self.learning_rate = learning_rate;
        }
    };
}

// The list of rules. A new rule needs one line here and its two files.
any::rules! { $
    sgd: Sgd,
    adagrad: Adagrad,
    rmsprop: RmsProp,
    adadelta: AdaDelta,
    adam: Adam,
}

pub(crate) use with_rule;
