//! The losses that training minimizes.

use crate::numerics::elementary::{exp_negative, log_one_plus};

/// The loss of one prediction `p` for a target `y`; training minimizes its mean over the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Loss {
    /// `(p - y)^2 / 2`: linear regression.
    #[default]
    Squared,
    /// `ln(1 + exp(p)) - y p`: logistic regression, for targets 0 and 1; `p` is the log-odds of
    /// target 1. Neither the loss nor its derivative subtracts large numbers of similar size, so
    /// both stay accurate for either class, however large `|p|` is.
    Logistic,
}

impl Loss {
    /// The derivative of the loss with respect to the prediction. WGSL twin: `derivative` in
    /// `shaders/linear/loss/`.
    #[inline(always)]
    pub(super) fn derivative(self, prediction: f32, target: f32) -> f32 {
        match self {
            Self::Squared => prediction - target,
            Self::Logistic => {
                let e = exp_negative(prediction.abs());
                let numerator = if (prediction < 0.0) == (target > 0.5) { 1.0 } else { e };
                let size = numerator / (1.0 + e);
                if target > 0.5 { -size } else { size }
            }
        }
    }

    /// The term that a sample of the loss sums: the loss, or twice the squared loss. WGSL twin:
    /// `term` in `shaders/linear/loss/`.
    #[inline(always)]
    pub(super) fn term(self, prediction: f32, target: f32) -> f32 {
        match self {
            Self::Squared => {
                let residual = prediction - target;
                residual * residual
            }
            Self::Logistic => {
                let e = exp_negative(prediction.abs());
                let wrong = if target > 0.5 { -prediction } else { prediction };
                let linear = if wrong > 0.0 { wrong } else { 0.0 };
                linear + log_one_plus(e)
            }
        }
    }

    /// The mean loss, from the sum of `rows` terms.
    pub(super) fn mean(self, sum: f64, rows: f64) -> f64 {
        match self {
            Self::Squared => sum / (2.0 * rows),
            Self::Logistic => sum / rows,
        }
    }

    /// The probability of target 1, for a prediction of a logistic model.
    #[must_use]
    pub fn probability(prediction: f32) -> f32 {
        Self::Logistic.derivative(prediction, 0.0)
    }

    /// The WGSL of `derivative` and `term`.
    pub(super) fn shader(self) -> &'static str {
        match self {
            Self::Squared => include_str!("../../shaders/linear/loss/squared.wgsl"),
            Self::Logistic => include_str!("../../shaders/linear/loss/logistic.wgsl"),
        }
    }
}

impl std::fmt::Display for Loss {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Squared => "squared",
            Self::Logistic => "logistic",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compared with double precision: within a few roundings of f32, even for tiny values. With
    /// `m = -p` for class 1 and `p` for class 0, the loss is `ln(1 + exp(m))`, and its derivative
    /// with respect to `m` is `1 / (1 + exp(-m))`.
    #[test]
    fn the_logistic_loss_and_its_derivative() {
        for step in -1000..=1000 {
            let p = step as f32 * 0.08;
            for (y, sign) in [(0.0, 1.0), (1.0, -1.0)] {
                let m = sign * f64::from(p);
                let derivative = sign / (1.0 + (-m).exp());
                let found = f64::from(Loss::Logistic.derivative(p, y));
                assert!((found - derivative).abs() <= 5e-7 * derivative.abs(), "{p} {y}: {found}");
                let loss = m.max(0.0) + (-m.abs()).exp().ln_1p();
                let found = f64::from(Loss::Logistic.term(p, y));
                assert!((found - loss).abs() <= 5e-7 * loss, "{p} {y}: {found}");
            }
        }
        assert_eq!(Loss::probability(0.0), 0.5);
        assert!(Loss::probability(f32::NAN).is_nan());
        assert_eq!(Loss::probability(f32::INFINITY), 1.0);
    }

    #[test]
    fn the_squared_loss_is_half_the_mean() {
        assert_eq!((Loss::Squared.derivative(3.0, 1.0), Loss::Squared.term(3.0, 1.0)), (2.0, 4.0));
        assert_eq!(Loss::Squared.mean(12.0, 3.0), 2.0);
    }
}
