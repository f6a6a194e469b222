//! Choices of formula that several rules have.

use super::SettingKind;
use crate::numerics::Real;

/// Where epsilon enters the denominator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum EpsilonPlacement {
    /// `sqrt(s + epsilon)`, as in textbooks, optax and Keras.
    #[default]
    InsideRoot,
    /// `sqrt(s) + epsilon`, as in PyTorch and MXNet.
    OutsideRoot,
}

impl EpsilonPlacement {
    /// The square root of `sum`, with `epsilon` inside or outside.
    #[inline(always)]
    pub(crate) fn root<T: Real>(self, sum: T, epsilon: T) -> T {
        match self {
            Self::InsideRoot => (sum + epsilon).sqrt(),
            Self::OutsideRoot => sum.sqrt() + epsilon,
        }
    }
}

/// What Adam's epsilon is added to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum EpsilonScale {
    /// The root of the bias-corrected average, as in the paper's algorithm, PyTorch and optax.
    #[default]
    Corrected,
    /// The root of the uncorrected average: "epsilon hat" in section 2 of the paper, as in Keras.
    Uncorrected,
}

/// How parameters decay towards zero. The coefficients are finite, at least 0, and not subnormal.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum WeightDecay {
    /// No decay.
    #[default]
    None,
    /// Adds `coefficient * x` to the gradient, so that it also enters the state.
    L2(f32),
    /// Subtracts `learning_rate * coefficient * x` from `x` before the update, so that the state
    /// does not see it.
    Decoupled(f32),
}

impl WeightDecay {
    /// For tests: every kind.
    pub(crate) const EXAMPLES: [Self; 3] = [Self::None, Self::L2(0.03), Self::Decoupled(0.3)];

    /// The coefficient; 0 for [`WeightDecay::None`].
    #[must_use]
    pub fn coefficient(self) -> f32 {
        match self {
            Self::None => 0.0,
            Self::L2(coefficient) | Self::Decoupled(coefficient) => coefficient,
        }
    }

    /// Whether this is [`WeightDecay::Decoupled`].
    #[must_use]
    #[inline(always)]
    pub fn is_decoupled(self) -> bool {
        matches!(self, Self::Decoupled(_))
    }

    /// Whether this is [`WeightDecay::L2`].
    #[inline(always)]
    pub(crate) fn is_l2(self) -> bool {
        matches!(self, Self::L2(_))
    }

    /// The same kind with another coefficient; L2 if there was no decay.
    #[must_use]
    pub fn with_coefficient(self, coefficient: f32) -> Self {
        match self {
            Self::Decoupled(_) => Self::Decoupled(coefficient),
            Self::None | Self::L2(_) if coefficient == 0.0 => Self::None,
            Self::None | Self::L2(_) => Self::L2(coefficient),
        }
    }

    /// The same coefficient, decoupled or not.
    #[must_use]
    pub fn with_decoupled(self, decoupled: bool) -> Self {
        match decoupled {
            true => Self::Decoupled(self.coefficient()),
            false => Self::None.with_coefficient(self.coefficient()),
        }
    }

    /// The uniform: the coefficient, multiplied by the learning rate if decoupled.
    pub(crate) fn uniform(self, learning_rate: f64) -> f32 {
        match self {
            Self::Decoupled(coefficient) => (learning_rate * f64::from(coefficient)) as f32,
            _ => self.coefficient(),
        }
    }

    /// The parameter and gradient that the rule uses: negates the gradient if `maximize`, then
    /// applies the decay.
    #[inline(always)]
    pub(crate) fn apply<T: Real>(self, maximize: bool, uniform: f32, x: T, gradient: T) -> (T, T) {
        let w = T::of(uniform);
        let g = if maximize { -gradient } else { gradient };
        // These choices compile to selects, not branches. A loop in which they are not literals is
        // therefore still vectorized.
        let decayed = if self.is_l2() { g + w * x } else { g };
        let shrunk = if self.is_decoupled() { x - w * x } else { x };
        (shrunk, decayed)
    }
}

/// A field whose value selects a formula.
pub(crate) trait Choice: Copy {
    /// The same number for all values that select the same formula.
    fn number(self) -> u8;
}

/// A choice of two values.
pub(crate) trait Either: Choice {
    /// The names of the two values.
    const KIND: SettingKind;

    /// The second value if `second`, else the first.
    fn of(second: bool) -> Self;
}

macro_rules! choices {
    ($($Type:ident: |$value:ident| $number:expr $(, $kind:expr, $first:expr, $second:expr)?;)+) => {
        $(impl Choice for $Type {
            #[inline(always)]
            fn number(self) -> u8 {
                let $value = self;
                $number
            }
        }

        $(impl Either for $Type {
            const KIND: SettingKind = $kind;

            fn of(second: bool) -> Self {
                if second { $second } else { $first }
            }
        })?)+
    };
}

choices! {
    bool: |value| value.into(), SettingKind::Flag, false, true;
    EpsilonPlacement: |value| value as u8,
        SettingKind::Choice(&["inside", "outside"]), Self::InsideRoot, Self::OutsideRoot;
    EpsilonScale: |value| value as u8,
        SettingKind::Choice(&["corrected", "uncorrected"]), Self::Corrected, Self::Uncorrected;
    f32: |momentum| (momentum != 0.0).into();
    WeightDecay: |decay| 2 * u8::from(decay.is_decoupled()) + u8::from(decay.is_l2());
}

/// The overrides of a rule's WGSL: its own choices of formula, and those that all rules have. WGSL
/// takes booleans as 0 or 1.
pub(crate) fn constants<const N: usize>(
    own: [(&'static str, u8); N],
    maximize: bool,
    weight_decay: WeightDecay,
) -> Vec<(&'static str, f64)> {
    let common = [
        ("maximize", maximize.number()),
        ("l2_weight_decay", weight_decay.is_l2().number()),
        ("decoupled_weight_decay", weight_decay.is_decoupled().number()),
    ];
    own.into_iter().chain(common).map(|(name, value)| (name, value.into())).collect()
}

/// The body of [`Rule::specialize`](super::Rule::specialize). It compiles one loop for each
/// combination of one row from every list. At run time it takes from each list the first row that
/// matches `rule`, else the last row, and runs `pass` with the choices of these rows as literals.
macro_rules! specialize {
    ($rule:expr, $pass:ident) => {
        $pass.run($rule)
    };
    ($rule:expr, $pass:ident, [[$($field:ident: $choice:expr),*]] $(, $lists:tt)*) => {
        specialize!(Self { $($field: $choice,)* ..$rule }, $pass $(, $lists)*)
    };
    (
        $rule:expr, $pass:ident,
        [[$($field:ident: $choice:expr),+], $($rows:tt),+] $(, $lists:tt)*
    ) => {{
        let rule = $rule;
        if $($crate::rules::options::Choice::number(rule.$field)
            == $crate::rules::options::Choice::number($choice))&&+
        {
            specialize!(Self { $($field: $choice,)+ ..rule }, $pass $(, $lists)*)
        } else {
            specialize!(rule, $pass, [$($rows),+] $(, $lists)*)
        }
    }};
}

pub(crate) use specialize;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AnyRule;
    use crate::rules::{OwnSquare, Rule, StateElement, set, with_rule};

    #[test]
    fn kind_and_coefficient_may_be_set_in_either_order() {
        let none = WeightDecay::None;
        assert_eq!(none.with_coefficient(0.5).with_decoupled(true), WeightDecay::Decoupled(0.5));
        assert_eq!(none.with_decoupled(true).with_coefficient(0.5), WeightDecay::Decoupled(0.5));
        assert_eq!(none.with_coefficient(0.5).with_decoupled(false), WeightDecay::L2(0.5));
        assert_eq!(WeightDecay::L2(0.5).with_coefficient(0.0), none);
    }

    /// The parameter and state after one step from `x` with gradient `g`.
    fn stepped<R: Rule>(rule: &R, x: f64, g: f64) -> (f64, Vec<f64>) {
        let mut state = R::State::<f64>::from_fn(|_| 0.5);
        let x = rule.update(&rule.uniforms(1), x, g, OwnSquare, &mut state);
        (x, state.as_ref().to_vec())
    }

    /// Compares a rule with decay or maximization to the same rule without them, which takes the
    /// parameter and gradient after decay and negation as input.
    fn passes_on<R: Rule>(rule: R) {
        let mut plain = rule;
        for (name, value) in
            [("decoupled_weight_decay", "false"), ("weight_decay", "0"), ("maximize", "false")]
        {
            set(&mut plain, name, value).unwrap();
        }
        for maximize in [false, true] {
            let g = if maximize { -2.0 } else { 2.0 };
            let cases =
                [(4.0, g + 0.5 * 4.0), (4.0 - f64::from(rule.learning_rate() * 0.5) * 4.0, g)];
            for (decoupled, (x, g)) in [false, true].into_iter().zip(cases) {
                let mut rule = plain;
                set(&mut rule, "weight_decay", "0.5").unwrap();
                set(&mut rule, "decoupled_weight_decay", &decoupled.to_string()).unwrap();
                set(&mut rule, "maximize", &maximize.to_string()).unwrap();
                assert_eq!(stepped(&rule, 4.0, 2.0), stepped(&plain, x, g), "{rule:?}");
            }
        }
    }

    #[test]
    fn decay_and_maximization_change_only_the_inputs_of_a_rule() {
        for rule in AnyRule::examples() {
            with_rule!(rule, |rule| passes_on(rule));
        }
    }
}
