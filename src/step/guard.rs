//! What an optimizer does before the rule sees the gradients: what becomes of NaN and infinity,
//! and clipping by the global norm. Both engines decide here or, on a GPU, by the WGSL twin
//! `shaders/guard/decide.wgsl`.

use crate::numerics::canonical;
use crate::rules::{RuleError, above_zero, not_subnormal};

/// What an optimizer does about gradients that are not finite or too long. The default does
/// nothing, and costs nothing.
///
/// # Clipping
/// The norm is the root of the sum of the squares of all gradients of a step, in the arithmetic of the
/// optimizer's precision. Unless the norm is at most `max_norm`, every gradient is multiplied by
/// `max_norm / norm` before the rule sees it; weight decay, which the rule adds, is not clipped. PyTorch
/// divides by `norm + 1e-6`; this does not.
///
/// The order of the sum is fixed, whatever buffers, dispatches and threads there are. Each tensor is cut
/// into blocks of 4096 elements. Element i of a block belongs to partial sum i mod 256, and partial sums
/// are added by a tree: the upper half to the lower half until one is left. The sums of the blocks of all
/// tensors, tensor after tensor, are summed by the same rule. Where rows of a table are stepped, the
/// tensor is the sums of their gradients: each row named once, in ascending order.
///
/// The sum of squares overflows from a norm of about 1.8e19 on: the norm is then infinite though
/// every gradient is finite. What a norm that is not finite does is the policy's choice:
///
/// - [`NonFinite::Propagate`]: as the formula has it. An infinite norm scales by 0, which leaves 0
///   of the finite gradients and NaN of the infinite ones; a NaN norm makes every gradient NaN.
/// - [`NonFinite::SkipElement`]: bad elements count as 0 in the norm, which is that of the finite
///   gradients alone. If those overflow it, they are scaled by 0.
/// - [`NonFinite::SkipStep`], [`NonFinite::Report`]: the step is skipped.
///
/// # Cost
/// A guard other than the default reads the gradients once more before the step: 4 bytes an
/// element beside the step's 20. README.md has figures.
///
/// # Native precision
/// What is not finite among the gradients is found by its bits, on every device. The norm is
/// computed in the optimizer's arithmetic: in native precision a device need not notice that its
/// sum overflows, and no bound is stated for a step whose gradients were scaled.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GradientGuard {
    /// What becomes of NaN and infinity. Default [`NonFinite::Propagate`].
    pub non_finite: NonFinite,
    /// The largest norm that is let through unscaled; finite, above 0, and not subnormal.
    /// Default none.
    pub max_norm: Option<f32>,
}

/// What an optimizer does about gradients that are NaN or infinite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum NonFinite {
    /// Computes with them, as IEEE 754 has it.
    #[default]
    Propagate,
    /// An element whose gradient is not finite keeps its parameter and state.
    SkipElement,
    /// No parameter and no state changes in a step of which any gradient is not finite. The step
    /// counts in the optimizer's number of steps: a GPU's host does not know that it was skipped.
    SkipStep,
    /// As `SkipStep`, and an error. On the CPU the step itself returns it, and leaves the number of steps
    /// alone too. On a GPU, where no step reads anything back,
    /// [`crate::GpuOptimizer::check_gradients`] does.
    Report,
}

/// What the guard has seen since it was set or its report was cleared.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GuardReport {
    /// How many gradients were not finite, over all steps.
    pub non_finite: u64,
    /// The index of the first of them in the first step that had any.
    pub first: Option<u64>,
    /// How many steps were skipped.
    pub skipped_steps: u64,
    /// The norm of the last step, before clipping; `None` before the first and without
    /// `max_norm`.
    pub norm: Option<f32>,
}

/// What was wrong with the gradients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GradientError {
    /// Some are NaN or infinite.
    #[error(
        "{count} gradients are NaN or infinite, the first at index {first}: \
         look at what computes them, or lower the learning rate"
    )]
    NonFinite {
        /// How many.
        count: u64,
        /// The index of the first, counted over the whole vector.
        first: u64,
    },
    /// All are finite, but the sum of their squares is past the largest f32.
    #[error("the norm of the gradients overflows f32, though each is finite: scale the loss down")]
    NormOverflow,
}

impl GuardReport {
    /// Whether all has been well: no gradient that was not finite, and no step skipped.
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

/// What a pass over the gradients has found.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Scan {
    /// How many gradients are not finite.
    pub(crate) count: u64,
    /// The first of them.
    pub(crate) first: Option<u64>,
    /// The canonical sum of squares; unused without `max_norm`.
    pub(crate) sum: f32,
}

/// What becomes of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Decision {
    pub(crate) skip: bool,
    /// What every gradient is multiplied by, if anything.
    pub(crate) scale: Option<f32>,
}

impl GradientGuard {
    /// Whether all fields are within their domain.
    pub(crate) fn validate(&self) -> Result<(), RuleError> {
        let Some(max_norm) = self.max_norm else { return Ok(()) };
        above_zero("max_norm", max_norm)?;
        not_subnormal("max_norm", max_norm)
    }

    /// Whether the gradients must be read before the step.
    pub(crate) fn scans(&self) -> bool {
        self.max_norm.is_some() || self.non_finite != NonFinite::Propagate
    }

    /// Whether a step is skipped if anything is not finite.
    pub(crate) fn skips_steps(&self) -> bool {
        matches!(self.non_finite, NonFinite::SkipStep | NonFinite::Report)
    }

    /// Whether single elements are skipped, and left out of the norm.
    pub(crate) fn skips_elements(&self) -> bool {
        self.non_finite == NonFinite::SkipElement
    }

    /// What becomes of a step with these gradients. Twin: `decide` of
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

    /// A norm of 5 = sqrt(25) against 2.5, 5 and the next number below 5, 5 - 2^-21: their
    /// quotient is 1 - 1.6 * 2^-24, which rounds to 1 - 2 * 2^-24.
    #[test]
    fn a_norm_is_clipped_only_above_the_largest() {
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
