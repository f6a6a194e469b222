//! The penalty on large weights.

use super::errors::{Result, TrainError};

/// Training minimizes the loss plus `l1 * sum(|w|) + l2 / 2 * sum(w^2)` over the weights without
/// the bias. Reported losses do not include this penalty. The gradient of the penalty is 0 for a
/// weight of 0.
///
/// For sparse rows, a step applies the penalty only to the features that occur in its batch: a
/// feature that occurs in a tenth of the batches gets a tenth of the penalty. L1 acts only through
/// its gradient, so weights come near 0 but rarely stay at exactly 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Penalty {
    /// The L1 coefficient, which shrinks every weight by the same amount: 0, or finite and at least
    /// 2^-126. Default 0.
    pub l1: f32,
    /// The L2 coefficient, which shrinks a weight in proportion to its size: 0, or finite and at
    /// least 2^-126. Default 0.
    pub l2: f32,
}

impl Penalty {
    pub(super) fn validate(self) -> Result<()> {
        for (setting, value) in [("the L1 penalty", self.l1), ("the L2 penalty", self.l2)] {
            if !value.is_finite() || value < 0.0 || value.is_subnormal() {
                return Err(TrainError::Penalty { setting, value });
            }
        }
        Ok(())
    }

    /// Adds the gradient of the penalty to the gradient of one weight. WGSL twin:
    /// `shaders/linear/penalty.wgsl`.
    #[inline(always)]
    pub(super) fn add(self, gradient: f32, weight: f32) -> f32 {
        let mut sum = gradient;
        if self.l2 != 0.0 {
            sum += self.l2 * weight;
        }
        if self.l1 != 0.0 {
            let sign = if weight == 0.0 { 0.0 } else { 1.0_f32.copysign(weight) };
            sum += self.l1 * sign;
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_pulls_towards_zero() {
        let penalty = Penalty { l1: 0.5, l2: 0.25 };
        assert_eq!(penalty.add(1.0, 2.0), 1.0 + 0.25 * 2.0 + 0.5);
        assert_eq!(penalty.add(1.0, -2.0), 1.0 - 0.25 * 2.0 - 0.5);
        assert_eq!(penalty.add(1.0, 0.0), 1.0);
        assert_eq!(Penalty::default().add(1.0, f32::NAN), 1.0);
    }

    #[test]
    fn invalid_penalties_are_refused() {
        for l1 in [-1.0, f32::NAN, f32::INFINITY, 1e-40] {
            let error = Penalty { l1, l2: 0.0 }.validate().unwrap_err();
            assert!(error.to_string().starts_with("the L1 penalty is"), "{error}");
        }
        assert_eq!(Penalty { l1: 0.0, l2: 1.0 }.validate(), Ok(()));
    }
}
