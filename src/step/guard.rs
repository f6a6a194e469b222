//! Gradient guards: what happens to NaN and infinity before the rule sees the gradients, and
//! clipping by the global norm. The CPU engine decides here, the GPU in the WGSL twin
//! `shaders/guard/decide.wgsl`.

use crate::numerics::canonical;
use crate::rules::{RuleError, above_zero, not_subnormal};

/// What an optimizer does about gradients that are not finite or whose norm is too large. The
/// default does nothing and costs nothing.
///
/// # Clipping
/// The norm is the square root of the sum of the squares of all gradients of a step, computed in
/// the optimizer's precision. If the norm is above `max_norm` or NaN, every gradient is multiplied
/// by `max_norm / norm` before the rule sees it. Weight decay, which the rule adds, is not clipped.
/// PyTorch divides by `norm + 1e-6`; this does not.
///
/// The order of the sum is fixed: buffers, dispatches and threads do not affect it. Each tensor is
/// split into blocks of 4096 elements. Element i of a block belongs to partial sum i mod 256. A
/// tree adds the partial sums, the upper half to the lower half, until one is left. The block sums
/// of all tensors, in order, are summed by the same rule. In a step over rows of a table, the
/// tensor consists of the summed gradients of the named rows, each row once, in ascending order.
///
/// From a norm of about 1.8e19 on, the sum of squares overflows, and the norm is infinite even if
/// every gradient is finite. [`NonFinite`] sets what a norm that is not finite does:
///
/// - [`NonFinite::Propagate`]: the formula applies. An infinite norm scales by 0: finite gradients
///   become 0, and infinite ones NaN. A NaN norm makes every gradient NaN.
/// - [`NonFinite::SkipElement`]: elements that are not finite count as 0, so the norm is that of
///   the finite gradients. If their sum of squares overflows, they are scaled by 0.
/// - [`NonFinite::SkipStep`], [`NonFinite::Report`]: the step is skipped.
///
/// # Cost
/// A guard other than the default reads the gradients once more before the step: for Adagrad, 4
/// bytes per element in addition to the step's 20.
///
/// # Native precision
/// Gradients that are not finite are found by their bits, on every device. The norm is computed in
/// the device's own arithmetic, in which an overflow of the sum may go unnoticed. No error bound is
/// stated for a step whose gradients were scaled.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GradientGuard {
    /// What to do with NaN and infinity. Default [`NonFinite::Propagate`].
    pub non_finite: NonFinite,
    /// Larger norms are clipped to this one; finite, above 0, and not subnormal. Default `None`: no
    /// clipping.
    pub max_norm: Option<f32>,
}

/// What an optimizer does with gradients that are NaN or infinite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum NonFinite {
    /// Computes with them, by the rules of IEEE 754.
    #[default]
    Propagate,
    /// An element whose gradient is not finite keeps its parameter and state.
    SkipElement,
    /// If any gradient is not finite, or the norm overflows, the step changes no parameter and no
    /// state. It still increments the optimizer's step count, because on a GPU the host does not
    /// know that it was skipped.
    SkipStep,
    /// As `SkipStep`, and reports an error. On the CPU, the step itself returns the error and does
    /// not increment the step count. On a GPU, where no step reads anything back,
    /// [`crate::GpuOptimizer::check_gradients`] returns it.
    Report,
}

/// What the guard has found since it was set or its report was cleared.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GuardReport {
    /// How many gradients were not finite, over all steps.
    pub non_finite: u64,
    /// The index of the first such gradient, in the first step that had any.
    pub first: Option<u64>,
    /// How many steps were skipped.
    pub skipped_steps: u64,
    /// The norm of the last step, before clipping. `None` before the first step and without
    /// `max_norm`.
    pub norm: Option<f32>,
}

/// Errors of the gradients themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GradientError {
    /// Some are NaN or infinite.
    #[error(
        "{count} gradients are NaN or infinite, the first at index {first}: \
         check the code that computes them, or lower the learning rate"
    )]
    NonFinite {
        /// How many gradients.
        count: u64,
        /// The index of the first, counted over the whole vector.
        first: u64,
    },
    /// All are finite, but the sum of their squares overflows f32.
    #[error("the norm of the gradients overflows f32, though each is finite: scale down the loss")]
    NormOverflow,
}

impl GuardReport {
    /// Checks that every gradient was finite and no step was skipped.
    ///
    /// # Errors
    /// [`GradientError`] otherwise.
    pub fn check(&self) -> Result<(), GradientError> {
        match (self.first, self.skipped_steps) {
            (Some(first), _) => Err(GradientError::NonFinite { count: self.non_finite, first }),
            (None, 0) => Ok(()),
            (None, _) => Err(GradientError::NormOverflow),
        }
    }
}

/// The result of a pass over the gradients.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Scan {
    /// How many gradients are not finite.
    pub(crate) count: u64,
    /// The index of the first of them.
    pub(crate) first: Option<u64>,
    /// The canonical sum of squares; unused without `max_norm`.
    pub(crate) sum: f32,
}

/// Whether a step is skipped or scaled.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Decision {
    pub(crate) skip: bool,
    /// The factor of every gradient, if any.
    pub(crate) scale: Option<f32>,
}

impl GradientGuard {
    /// Checks that all fields are within their domains.
    pub(crate) fn validate(&self) -> Result<(), RuleError> {
        let Some(max_norm) = self.max_norm else { return Ok(()) };
        above_zero("max_norm", max_norm)?;
        not_subnormal("max_norm", max_norm)
    }

    /// Whether the gradients must be read before the step.
    pub(crate) fn scans(&self) -> bool {
        self.max_norm.is_some() || self.non_finite != NonFinite::Propagate
    }

    /// Whether a gradient or norm that is not finite skips the step.
    pub(crate) fn skips_steps(&self) -> bool {
        matches!(self.non_finite, NonFinite::SkipStep | NonFinite::Report)
    }

    /// Whether single elements are skipped and left out of the norm.
    pub(crate) fn skips_elements(&self) -> bool {
        self.non_finite == NonFinite::SkipElement
    }

    /// Decides about a step with these gradients, and updates the report. WGSL twin: `decide` in
    /// `shaders/guard/decide.wgsl`.
    pub(crate) fn decide(&self, scan: &Scan, report: &mut GuardReport) -> Decision {
        report.non_finite += scan.count;
        report.first = report.first.or(scan.first);
        let norm = self.max_norm.map(|_| canonical(scan.sum.sqrt()));
        report.norm = norm;
        let finite = scan.count == 0 && norm.is_none_or(f32::is_finite);
        let skip = self.skips_steps() && !finite;
        report.skipped_steps += u64::from(skip);
        let scale = match (self.max_norm, norm) {
            (Some(max_norm), Some(norm)) if norm.is_nan() || norm > max_norm => {
                Some(canonical(max_norm / norm))
            }
            _ => None,
        };
        Decision { skip, scale }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [NonFinite; 4] =
        [NonFinite::Propagate, NonFinite::SkipElement, NonFinite::SkipStep, NonFinite::Report];

    fn decide(non_finite: NonFinite, scan: Scan) -> (Decision, GuardReport) {
        let mut report = GuardReport::default();
        let guard = GradientGuard { non_finite, max_norm: Some(2.5) };
        (guard.decide(&scan, &mut report), report)
    }

    /// A norm of 5 = sqrt(25) and maxima of 2.5, 5 and 5 - 2^-21, the next number below 5. The last
    /// quotient is 1 - 1.6 * 2^-24, which rounds to 1 - 2 * 2^-24.
    #[test]
    fn a_norm_is_clipped_only_above_the_maximum() {
        let scan = Scan { sum: 25.0, ..Scan::default() };
        let cases =
            [(2.5, Some(0.5)), (5.0, None), (5.0_f32.next_down(), Some(1.0 - f32::EPSILON))];
        for (max_norm, scale) in cases {
            for non_finite in ALL {
                let guard = GradientGuard { non_finite, max_norm: Some(max_norm) };
                let mut report = GuardReport::default();
                assert_eq!(guard.decide(&scan, &mut report), Decision { skip: false, scale });
                assert_eq!(report, GuardReport { norm: Some(5.0), ..GuardReport::default() });
            }
        }
    }

    #[test]
    fn an_infinite_norm_scales_by_zero_or_skips() {
        let scan = Scan { sum: f32::INFINITY, ..Scan::default() };
        for non_finite in [NonFinite::Propagate, NonFinite::SkipElement] {
            let (decision, report) = decide(non_finite, scan);
            assert_eq!(decision, Decision { skip: false, scale: Some(0.0) });
            assert_eq!(report.check(), Ok(()));
        }
        for non_finite in [NonFinite::SkipStep, NonFinite::Report] {
            let (decision, report) = decide(non_finite, scan);
            assert!(decision.skip);
            assert_eq!((report.skipped_steps, report.norm), (1, Some(f32::INFINITY)));
            assert_eq!(report.check(), Err(GradientError::NormOverflow));
        }
    }

    #[test]
    fn a_nan_norm_is_canonical_and_makes_every_gradient_nan() {
        let sum = f32::from_bits(0xffa0_0001);
        let scan = Scan { sum, count: 3, first: Some(7) };
        let (decision, report) = decide(NonFinite::Propagate, scan);
        assert_eq!(decision.scale.map(f32::to_bits), Some(0x7fc0_0000));
        assert_eq!(report.norm.map(f32::to_bits), Some(0x7fc0_0000));
    }

    #[test]
    fn the_report_keeps_the_first_index_of_the_first_bad_step() {
        let guard = GradientGuard { non_finite: NonFinite::SkipStep, max_norm: None };
        let mut report = GuardReport::default();
        for (count, first) in [(0, None), (2, Some(9)), (0, None), (3, Some(4))] {
            guard.decide(&Scan { count, first, sum: 0.0 }, &mut report);
        }
        let expected = GuardReport { non_finite: 5, first: Some(9), skipped_steps: 2, norm: None };
        assert_eq!(report, expected);
        assert_eq!(report.check(), Err(GradientError::NonFinite { count: 5, first: 9 }));
    }

    #[test]
    fn max_norm_outside_its_domain_is_named() {
        for max_norm in [0.0, -1.0, f32::NAN, f32::INFINITY, 1e-40] {
            let guard = GradientGuard { max_norm: Some(max_norm), ..GradientGuard::default() };
            let message = guard.validate().unwrap_err().to_string();
            assert!(message.starts_with("max_norm"), "{message}");
        }
        assert_eq!(GradientGuard::default().validate(), Ok(()));
        let guard = GradientGuard { max_norm: Some(f32::MAX), ..GradientGuard::default() };
        assert_eq!(guard.validate(), Ok(()));
    }
}
