//! Errors of hyper-parameters.

/// Why hyper-parameters are refused.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// NaN, infinite or negative.
    #[error("{parameter} is {value}: give a finite number of at least 0")]
    NotFiniteOrNegative {
        /// The field's name.
        parameter: &'static str,
        /// The value.
        value: f32,
    },
    /// NaN, infinite, negative or zero.
    #[error("{parameter} is {value}: give a finite number above 0")]
    NotFiniteOrNotPositive {
        /// The field's name.
        parameter: &'static str,
        /// The value.
        value: f32,
    },
    /// Subnormal: some devices would flush it to zero.
    #[error(
        "{parameter} is {value:e}, which some devices flush to zero: \
         give 0 or at least {smallest:e}",
        smallest = f32::MIN_POSITIVE
    )]
    Subnormal {
        /// The field's name.
        parameter: &'static str,
        /// The value.
        value: f32,
    },
    /// NaN, negative, or 1 and above.
    #[error("{parameter} is {value}: give a number of at least 0 and below 1")]
    NotBelowOne {
        /// The field's name.
        parameter: &'static str,
        /// The value.
        value: f64,
    },
    /// A rule that has no state that a row can share.
    #[error(
        "{rule} with these options has no state that a row can share: use adagrad, adadelta, adam \
         or rmsprop, without L2 weight decay and not centered, or create the optimizer with `new`"
    )]
    NotRowWise {
        /// [`super::Rule::NAME`].
        rule: &'static str,
    },
    /// Two hyper-parameters that are not compatible.
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

/// Checks that `value` is not subnormal.
pub(crate) fn not_subnormal(parameter: &'static str, value: f32) -> Result<(), RuleError> {
    (!value.is_subnormal()).then_some(()).ok_or(RuleError::Subnormal { parameter, value })
}

/// Checks that `value` is at least 0, and below 1 even when rounded to f32.
pub(crate) fn below_one(parameter: &'static str, value: f64) -> Result<(), RuleError> {
    let fits = value >= 0.0 && (value as f32) < 1.0;
    fits.then_some(()).ok_or(RuleError::NotBelowOne { parameter, value })
}
