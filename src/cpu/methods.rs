//! The methods that optimizers of one tensor and of many have in common.

/// The common methods of an optimizer with a field `core`.
macro_rules! optimizer_methods {
    ($Optimizer:ident) => {
        impl<R: Rule> $Optimizer<R> {
            /// Sets a learning-rate schedule: step t, counted from 1, multiplies every base
            /// learning rate by `schedule.factor(t)`. Default: constant.
            ///
            /// # Errors
            /// [`CpuError::Schedule`] if a number of the schedule is outside its domain.
            pub fn with_schedule(mut self, schedule: crate::Schedule) -> Result<Self, CpuError> {
                schedule.validate()?;
                self.core.schedule = schedule;
                Ok(self)
            }

            /// Sets a guard over all gradients of a step, with an empty report. Default: none.
            ///
            /// # Errors
            /// [`CpuError::Rule`] if `max_norm` is outside its domain.
            pub fn with_guard(mut self, guard: crate::GradientGuard) -> Result<Self, CpuError> {
                self.core.guarded = super::guarded::Guarded::new(guard)?;
                Ok(self)
            }

            /// The learning-rate schedule.
            #[must_use]
            pub fn schedule(&self) -> &crate::Schedule {
                &self.core.schedule
            }

            /// The guard over the gradients.
            #[must_use]
            pub fn guard(&self) -> &crate::GradientGuard {
                &self.core.guarded.guard
            }

            /// What the guard has found since it was set or its report was cleared. Elements are
            /// counted over all gradients of a step, in the order of the tensors.
            #[must_use]
            pub fn report(&self) -> crate::GuardReport {
                self.core.guarded.report
            }

            /// Clears the report.
            pub fn clear_report(&mut self) {
                self.core.guarded.report = crate::GuardReport::default();
            }

            /// The number of state vectors: those of [`Rule::STATE`] that a rule of this optimizer
            /// uses.
            #[must_use]
            pub fn state_count(&self) -> usize {
                self.core.used.len()
            }

            /// The number of steps taken. Includes steps that a guard skipped, but not those that
            /// [`crate::NonFinite::Report`] refused.
            #[must_use]
            pub fn steps(&self) -> u64 {
                self.core.steps
            }

            /// Sets the number of steps taken, for resuming from a saved state.
            pub fn set_steps(&mut self, steps: u64) {
                self.core.steps = steps;
            }
        }
    };
}

pub(super) use optimizer_methods;
