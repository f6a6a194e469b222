//! Choices of formula that several rules have.

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
    /// Both, by name, in the order of [`EpsilonPlacement::is_outside`].
    pub(crate) const NAMES: &'static [&'static str] = &["inside", "outside"];

    pub(crate) fn is_outside(self) -> bool {
        self == Self::OutsideRoot
    }

    pub(crate) fn outside(outside: bool) -> Self {
        if outside { Self::OutsideRoot } else { Self::InsideRoot }
    }

    /// The root of `sum`, with epsilon in its place.
    #[inline(always)]
    pub(crate) fn root<T: Real>(self, sum: T, epsilon: T) -> T {
        match self {
            Self::InsideRoot => (sum + epsilon).sqrt(),
            Self::OutsideRoot => sum.sqrt() + epsilon,
        }
    }
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

    /// The overrides of the WGSL.
    pub(crate) fn constants(self) -> [(&'static str, f64); 2] {
        [
            ("l2_weight_decay", constant(self.is_l2())),
            ("decoupled_weight_decay", constant(self.is_decoupled())),
        ]
    }

    /// Parameter and gradient as the rule is to see them: the gradient turned if `maximize`, then
    /// the decay, whose uniform is `w`.
    #[inline(always)]
    pub(crate) fn apply<T: Real>(self, maximize: bool, w: T, x: T, gradient: T) -> (T, T) {
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

macro_rules! choices {
    ($($Type:ident: |$value:ident| $number:expr,)+) => {
        $(impl Choice for $Type {
            #[inline(always)]
            fn number(self) -> u8 {
                let $value = self;
                $number
            }
        })+
    };
}

choices! {
    bool: |value| value.into(),
    f32: |momentum| (momentum != 0.0).into(),
    EpsilonPlacement: |placement| placement as u8,
    WeightDecay: |decay| 2 * u8::from(decay.is_decoupled()) + u8::from(decay.is_l2()),
}

/// The body of [`Rule::specialize`](super::Rule::specialize): runs `pass` with the choices of the
/// first row that `rule` agrees with, or of the last row, as literals.
macro_rules! specialize {
    (
        $rule:ident, $pass:ident:
        $([$($field:ident: $choice:expr),+],)+
        else [$($last:ident: $value:expr),*]
    ) => {{
        use $crate::rules::options::Choice;
        $(if $($rule.$field.number() == $choice.number())&&+ {
            return $pass.run(Self { $($field: $choice,)+ ..$rule });
        })+
        $pass.run(Self { $($last: $value,)* ..$rule });
    }};
}

pub(crate) use specialize;

/// WGSL takes a boolean override as 0 or 1.
pub(crate) fn constant(value: bool) -> f64 {
    f64::from(u8::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_and_coefficient_may_be_set_in_either_order() {
        let none = WeightDecay::None;
        assert_eq!(none.with_coefficient(0.5).with_decoupled(true), WeightDecay::Decoupled(0.5));
        assert_eq!(none.with_decoupled(true).with_coefficient(0.5), WeightDecay::Decoupled(0.5));
        assert_eq!(none.with_coefficient(0.5).with_decoupled(false), WeightDecay::L2(0.5));
        assert_eq!(WeightDecay::L2(0.5).with_coefficient(0.0), none);
    }
}
