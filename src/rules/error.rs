//! What is wrong with a hyper-parameter.

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
    /// NaN, negative, or 1 and above.
    #[error("{parameter} is {value}: give a number of at least 0 and below 1")]
    NotBelowOne {
        /// The field's name.
        parameter: &'static str,
        /// What it was set to.
        value: f64,
    },
    /// A rule that keeps nothing that a row could share.
    #[error(
        "{rule}, with these options, keeps nothing of squared gradients that a row could share: take a \
         rule that does, such as adagrad, without L2 weight decay and not centered; or keep the \
         state of every parameter"
    )]
    NotRowWise {
        /// [`super::Rule::NAME`].
        rule: &'static str,
    },
    /// Two hyper-parameters that do not go together.
    #[error("{parameter} {needs}")]
    Conflict {
        /// The field's name.
        parameter: &'static str,
        /// What it needs.
        needs: &'static str,
    },
}

/// Checks that `value` is finite and at least 0.
pub(crate) fn at_least_zero(parameter: &'static str, value: f32) -> Result<(), RuleError> {
    let fits = value.is_finite() && value >= 0.0;
    fits.then_some(()).ok_or(RuleError::NotFiniteOrNegative { parameter, value })
}

/// Checks that `value` is finite and above 0.
pub(crate) fn above_zero(parameter: &'static str, value: f32) -> Result<(), RuleError> {
    let fits = value.is_finite() && value > 0.0;
    fits.then_some(()).ok_or(RuleError::NotFiniteOrNotPositive { parameter, value })
}

/// Checks that `value` is not one of the numbers between 0 and the smallest normal one.
pub(crate) fn not_subnormal(parameter: &'static str, value: f32) -> Result<(), RuleError> {
    (!value.is_subnormal()).then_some(()).ok_or(RuleError::Subnormal { parameter, value })
}

/// Checks that `value` is at least 0 and below 1, as an f32 too.
pub(crate) fn below_one(parameter: &'static str, value: f64) -> Result<(), RuleError> {
    let fits = value >= 0.0 && (value as f32) < 1.0;
    fits.then_some(()).ok_or(RuleError::NotBelowOne { parameter, value })
}
