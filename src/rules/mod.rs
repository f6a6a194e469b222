//! Update rules: hyper-parameters, their validation, the uniforms that the kernel reads, and the
//! scalar update, which is the CPU twin of the WGSL file with the same stem in `shaders/rules/`.
//!
//! A rule is data plus one function. The engines ([`crate::CpuOptimizer`],
//! [`crate::GpuOptimizer`]) bring the loop, the threads and the memory. [`AnyRule`] is one of the
//! rules of the list at the end of this file, chosen at run time.

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

/// The maximum number of state vectors of a rule: the CPU engine has a loop for each number up to
/// it, and a kernel with them stays within WebGPU's default of eight storage buffers.
pub const MAX_STATE: usize = 3;

/// A first-order, elementwise update rule.
///
/// `update` is written against [`Real`], so that the same lines run in f32 on the CPU engine and
/// in f64 as a reference. Its operations and their order are the definition: the WGSL twin
/// performs the same ones in the same order.
pub trait Rule: Copy + std::fmt::Debug + PartialEq + Send + Sync + 'static {
    /// The rule's name, in lower case, which is also the stem of its two files.
    const NAME: &'static str;
    /// The names of all state vectors that some choice of formula needs, in order; at most
    /// [`MAX_STATE`]. Those that a rule has are [`Rule::state_names`].
    const STATE: &'static [&'static str];
    /// The WGSL of the update: a struct `Hyper`, whose members are of type `Scalar` or u32, and
    /// `fn update(hyper: Hyper, x: Real, gradient: Real, state: ptr<function, State>) -> Real`.
    ///
    /// `Real` is four numbers and `Scalar` one; the arithmetic is `add`, `sub`, `mul`, `div`,
    /// `square_root`, `maximum`, `negate` and `splat`, since operators would not be exact, and
    /// `square` gives what stands for the gradient's square, as [`Square`] does. `State` has one
    /// member of type `Real` for each name in [`Rule::STATE`]; those that the rule does not use are
    /// 0, and lost.
    const SHADER: &'static str;
    /// The hyper-parameters by name.
    const SETTINGS: &'static [Setting<Self>] = &[];

    /// One element of every state vector: `[T; N]` with `N` the length of [`Rule::STATE`].
    type State<T: Real>: StateElement<T>;
    /// What the kernel reads at each step; the same layout as `Hyper` in the WGSL.
    type Uniforms: bytemuck::Pod + PartialEq + std::fmt::Debug + Send + Sync;

    /// The rule under the names that users know, its own first; none for rules outside the list.
    #[must_use]
    fn presets() -> Vec<Preset<Self>> {
        Vec::new()
    }

    /// For tests: every choice of formula, with hyper-parameters that matter.
    #[doc(hidden)]
    #[must_use]
    fn examples() -> Vec<Self> {
        Vec::new()
    }

    /// Whether all hyper-parameters are within their domain, and go together.
    ///
    /// # Errors
    /// [`RuleError`] names the first that is not.
    fn validate(&self) -> Result<(), RuleError> {
        setting::check_domains(self)
    }

    /// Whether this rule, with its choices of formula, has state vector number `index` of
    /// [`Rule::STATE`]; an engine allocates no other.
    #[inline(always)]
    fn uses_state(&self, index: usize) -> bool {
        index < Self::STATE.len()
    }

    /// The names of the state vectors that this rule has, one f32 per parameter each, in the order
    /// in which an engine numbers them.
    #[must_use]
    fn state_names(&self) -> Vec<&'static str> {
        (0..).zip(Self::STATE).filter(|(k, _)| self.uses_state(*k)).map(|(_, &name)| name).collect()
    }

    /// The value that every element of each state vector starts from.
    fn initial_state(&self) -> Self::State<f32> {
        Self::State::from_fn(|_| 0.0)
    }

    /// The base learning rate.
    fn learning_rate(&self) -> f32;

    /// Replaces the base learning rate.
    fn set_learning_rate(&mut self, learning_rate: f32);

    /// The uniforms of step number `step`, counted from 1.
    fn uniforms(&self, step: u64) -> Self::Uniforms {
        self.uniforms_at(step, f64::from(self.learning_rate()))
    }

    /// The same, from another base learning rate, as a [`crate::Schedule`] has it.
    fn uniforms_at(&self, step: u64, learning_rate: f64) -> Self::Uniforms;

    /// The pipeline-overridable constants of the WGSL: choices of formula, fixed for the life of
    /// an optimizer, so that they cost nothing per element.
    fn constants(&self) -> Vec<(&'static str, f64)>;

    /// Runs `pass` with this rule. A rule with choices of formula compares them with the common
    /// ones here and passes on a copy in which they are literal, so that the CPU engine's loop is
    /// compiled without them; always inlined, like all that such a loop consists of. `pass` is run
    /// exactly once, with a rule of the same choices; numbers that `update` takes from the
    /// uniforms may be others.
    #[inline(always)]
    fn specialize<P: RulePass<Self>>(self, pass: P) {
        pass.run(self);
    }

    /// Whether state vector number `index` may be one value for a row of parameters
    /// ([`crate::CpuOptimizer::row_wise`]): whether `update` makes it from the gradient's `square`,
    /// itself and other such vectors, and from nothing else.
    #[inline(always)]
    fn can_share(&self, index: usize) -> bool {
        let _ = index;
        false
    }

    /// The new value of parameter `x`, given its `gradient` and what stands for its `square`; updates
    /// `state` in place.
    fn update<T: Real>(
        &self,
        uniforms: &Self::Uniforms,
        x: T,
        gradient: T,
        square: impl Square<T>,
        state: &mut Self::State<T>,
    ) -> T;
}

/// A loop over elements, to be run with a rule: see [`Rule::specialize`].
pub trait RulePass<R> {
    /// Runs it.
    fn run(self, rule: R);
}

/// One element of each of a rule's state vectors, as an array.
pub trait StateElement<T>: Copy + std::fmt::Debug + AsRef<[T]> + AsMut<[T]> {
    /// How many state vectors there are.
    const COUNT: usize;

    /// Gathers element values from their vector's number.
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
    /// What every element starts from.
    pub(crate) initial: f32,
    /// Whether it may be one value for a row.
    pub(crate) shared: bool,
}

/// Whether a row can share something of the rule's state.
pub(crate) fn check_row_wise<R: Rule>(rule: &R) -> Result<(), RuleError> {
    match (0..R::STATE.len()).any(|k| rule.uses_state(k) && rule.can_share(k)) {
        true => Ok(()),
        false => Err(RuleError::NotRowWise { rule: R::NAME }),
    }
}

/// Fails to compile for a rule whose state is not what [`Rule::STATE`] says.
pub(crate) const fn check_state<R: Rule>() {
    assert!(R::STATE.len() == <R::State<f32> as StateElement<f32>>::COUNT);
    assert!(R::STATE.len() <= MAX_STATE);
}

/// For tests by hand: parameter and state after step `number`.
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
    /// What it is, in one line.
    pub about: &'static str,
    /// The rule with PyTorch's defaults, or its textbook's.
    pub rule: R,
}

impl<R: Rule + Default> Preset<R> {
    /// The rule's defaults, under its own name.
    pub(crate) fn defaults(about: &'static str) -> Self {
        Self { name: R::NAME, about, rule: R::default() }
    }
}

/// What follows from a rule's name and its hyper-parameters.
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

// The list: a rule is added by one line here, beside its two files.
any::rules! { $
    sgd: Sgd,
    adagrad: Adagrad,
    rmsprop: RmsProp,
    adadelta: AdaDelta,
    adam: Adam,
}

pub(crate) use with_rule;
