//! Choices of formula that several rules have.

use super::SettingKind;
use crate::numerics::Real;

/// Where epsilon enters the denominator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum EpsilonPlacement {
    /// `sqrt(s + epsilon)`, as the textbook form, optax and Keras have it.
    #[default]
    InsideRoot,
    /// `sqrt(s) + epsilon`, as PyTorch and MXNet have it.
    OutsideRoot,
}

impl EpsilonPlacement {
    /// The root of `sum`, with epsilon in its place.
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
    /// The root of the corrected average, as the paper's algorithm, PyTorch and optax have it.
    #[default]
    Corrected,
    /// The root of the average itself, "epsilon hat" in the paper's section 2, as Keras has it.
    Uncorrected,
}

/// How parameters are pulled towards zero. The coefficients are finite, at least 0, and not
/// subnormal.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum WeightDecay {
    /// Not at all.
    #[default]
    None,
    /// Adds `coefficient * x` to the gradient, so that all that comes of the gradient knows it.
    L2(f32),
    /// Shrinks `x` by `learning_rate * coefficient * x` before the update, past the state.
    Decoupled(f32),
}

impl WeightDecay {
    /// For tests: every kind.
    pub(crate) const EXAMPLES: [Self; 3] = [Self::None, Self::L2(0.03), Self::Decoupled(0.3)];

    /// The coefficient; 0 if there is none.
    #[must_use]
    pub fn coefficient(self) -> f32 {
        match self {
            Self::None => 0.0,
            Self::L2(coefficient) | Self::Decoupled(coefficient) => coefficient,
        }
    }

    /// Whether it shrinks the parameter itself.
    #[must_use]
    #[inline(always)]
    pub fn is_decoupled(self) -> bool {
        matches!(self, Self::Decoupled(_))
    }

    /// Whether it adds to the gradient.
    #[inline(always)]
    pub(crate) fn is_l2(self) -> bool {
        matches!(self, Self::L2(_))
    }

    /// The same kind with another coefficient; L2 where there was none.
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

    /// The uniform: the coefficient, times the learning rate if it is decoupled.
    pub(crate) fn uniform(self, learning_rate: f64) -> f32 {
        match self {
            Self::Decoupled(coefficient) => (learning_rate * f64::from(coefficient)) as f32,
            _ => self.coefficient(),
        }
    }

    /// Parameter and gradient as the rule is to see them: the gradient turned if `maximize`, then
    /// the decay.
    #[inline(always)]
    pub(crate) fn apply<T: Real>(self, maximize: bool, uniform: f32, x: T, gradient: T) -> (T, T) {
        let w = T::of(uniform);
        let g = if maximize { -gradient } else { gradient };
        // Choices between values, and not between ways: so a loop in which the rule's are not literal
        // has no branch, and is compiled to vector instructions all the same.
        let decayed = if self.is_l2() { g + w * x } else { g };
        let shrunk = if self.is_decoupled() { x - w * x } else { x };
        (shrunk, decayed)
    }
}

/// A field whose value chooses a formula.
pub(crate) trait Choice: Copy {
    /// The same number for all values that choose the same formula.
    fn number(self) -> u8;
}

/// A choice of two values.
pub(crate) trait Either: Choice {
    /// What a user calls them.
    const KIND: SettingKind;

    /// The value of number 0 or 1.
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

/// The overrides of a rule's WGSL, which takes booleans as 0 or 1: its own choices of formula, and
/// those that all rules have.
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

/// The body of [`Rule::specialize`](super::Rule::specialize): one loop for each combination of rows,
/// one row of every list. Runs `pass` with the choices of the first row of each list that `rule`
/// agrees with, or of its last row, as literals.
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

    /// What a step from `x` with gradient `g` gives, and the uniform of its weight decay.
    fn stepped<R: Rule>(rule: &R, x: f64, g: f64) -> (f64, Vec<f64>) {
        let mut state = R::State::<f64>::from_fn(|_| 0.5);
        let x = rule.update(&rule.uniforms(1), x, g, OwnSquare, &mut state);
        (x, state.as_ref().to_vec())
    }

    /// A rule with decay or maximization, against the same one without them that is given what they
    /// make of parameter and gradient.
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
    fn decay_and_maximization_change_what_a_rule_sees_and_nothing_else() {
        for rule in AnyRule::examples() {
            with_rule!(rule, |rule| passes_on(rule));
        }
    }
}
