//! A guard over the gradients of each step, with its report.

use super::apply::Treatment;
use super::scan::scan;
use crate::rules::RuleError;
use crate::step::{Decision, GradientError, GradientGuard, GuardReport, NonFinite};

/// A guard with its report. The default guard does nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Guarded {
    pub(super) guard: GradientGuard,
    pub(super) report: GuardReport,
    /// Scratch memory of the scan.
    sums: Vec<f32>,
}

impl Guarded {
    /// A guard with an empty report.
    pub(super) fn new(guard: GradientGuard) -> Result<Self, RuleError> {
        guard.validate()?;
        Ok(Self { guard, ..Self::default() })
    }

    /// How the step treats its gradients, or `None` if it is skipped.
    pub(super) fn decide<'a>(
        &mut self,
        vectors: impl Iterator<Item = &'a [f32]> + Clone,
    ) -> Result<Option<Treatment>, GradientError> {
        if !self.guard.scans() {
            return Ok(Some(Treatment::default()));
        }
        let found = scan(&self.guard, vectors, &mut self.sums);
        let Decision { skip, scale } = self.guard.decide(&found, &mut self.report);
        match (skip, found.first) {
            (false, _) => {
                let only_finite = self.guard.skips_elements();
                Ok(Some(Treatment { scale, only_finite }))
            }
            (true, _) if self.guard.non_finite != NonFinite::Report => Ok(None),
            (true, Some(first)) => Err(GradientError::NonFinite { count: found.count, first }),
            (true, None) => Err(GradientError::NormOverflow),
        }
    }
}
