//! What an optimizer of one tensor and one of many have in common.

/// The methods of an optimizer over a `core`.
macro_rules! optimizer_methods {
    ($Optimizer:ident) => {
        impl<R: Rule> $Optimizer<R> {
            /// The same optimizer with a learning-rate schedule: step number t, counted from 1, has
            /// every base learning rate times `schedule.factor(t)`. Default: the base learning rates
            /// throughout.
            ///
            /// # Errors
            /// [`CpuError::Schedule`] if a number of the schedule is outside its domain.
            pub fn with_schedule(mut self, schedule: crate::Schedule) -> Result<Self, CpuError> {
                schedule.validate()?;
                self.core.schedule = schedule;
                Ok(self)
            }

            /// The same optimizer with a guard over all gradients of a step, whose report starts empty.
            /// Default: none.
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

            /// What the guard has seen since it was set or its report was cleared. Elements are counted
            /// over all gradients of a step, tensor after tensor.
            #[must_use]
            pub fn report(&self) -> crate::GuardReport {
                self.core.guarded.report
            }

            /// Empties the report.
            pub fn clear_report(&mut self) {
                self.core.guarded.report = crate::GuardReport::default();
            }

            /// How many state vectors there are: those of [`Rule::STATE`] that a rule of this optimizer
            /// has.
            #[must_use]
            pub fn state_count(&self) -> usize {
                self.core.used.len()
            }

            /// How many steps have been taken, those that a guard skipped included, but not those that
            /// [`crate::NonFinite::Report`] refused.
            #[must_use]
            pub fn steps(&self) -> u64 {
                self.core.steps
            }

            /// Sets the number of steps taken: for resuming from a saved state.
            pub fn set_steps(&mut self, steps: u64) {
                self.core.steps = steps;
            }
        }
    };
}

pub(super) use optimizer_methods;
