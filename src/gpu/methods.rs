//! What an optimizer of one tensor, one of many, and a stepper have in common.

/// The methods of what has a `core`; `$Error` is what a refusal is.
macro_rules! core_methods {
    ($Optimizer:ident, $Error:ident) => {
        impl<R: Rule> $Optimizer<R> {
            /// The same optimizer with another precision. Default: [`Precision::Native`].
            #[must_use]
            pub fn with_precision(self, precision: Precision) -> Self {
                Self { core: self.core.with_precision(precision) }
            }

            /// The same optimizer with its kernels in another shape, or the nearest that the device
            /// allows. Default: what was fastest where it has been measured. In exact precision no bit
            /// of a result depends on it.
            #[must_use]
            pub fn with_shape(self, shape: KernelShape) -> Self {
                Self { core: self.core.with_shape(shape) }
            }

            /// The same optimizer with a guard over its gradients, whose report starts empty. Default:
            /// none. It looks at all gradients of a step together, in an order that does not depend on how
            /// they lie in buffers ([`GradientGuard`]); where rows are stepped, at their summed
            /// gradients: each row named once, in ascending order.
            ///
            /// # Errors
            /// [`StepError::Rule`](crate::StepError::Rule) if `max_norm` is outside its domain,
            /// [`StepError::Limit`](crate::StepError::Limit) if the device's limits are too low for the
            /// guard; with groups, inside [`GroupError::Step`](crate::GroupError::Step).
            pub fn with_guard(self, guard: GradientGuard) -> Result<Self, $Error> {
                Ok(Self { core: self.core.with_guard(guard)? })
            }

            /// The guard over the gradients.
            #[must_use]
            pub fn guard(&self) -> &GradientGuard {
                &self.core.guard
            }

            /// The shape of the kernels, within the device's limits.
            #[must_use]
            pub fn shape(&self) -> KernelShape {
                self.core.shape
            }

            /// The precision of the arithmetic.
            #[must_use]
            pub fn precision(&self) -> Precision {
                self.core.precision
            }

            /// Lets go of the vectors stepped so far, so that their memory can be freed. The next step
            /// binds its own again.
            pub fn forget_bindings(&mut self) {
                self.core.forget_passes();
            }

            /// What the guard has seen in all steps submitted since it was set or its report was
            /// cleared. Elements are counted over all gradients of a step, tensor after tensor. The future
            /// asks the device each time it is polled.
            ///
            /// # Errors
            /// [`DownloadError`] if the device fails.
            pub async fn report(&self) -> Result<GuardReport, DownloadError> {
                self.core.report(Wait::Yield).await
            }

            /// The same, blocking the thread.
            ///
            /// # Errors
            /// [`DownloadError`] if the device fails.
            #[cfg(not(target_arch = "wasm32"))]
            pub fn report_blocking(&self) -> Result<GuardReport, DownloadError> {
                pollster::block_on(self.core.report(Wait::Block))
            }

            /// Reads the report, and returns as an error what was wrong with any gradients in it: how a
            /// device answers [`crate::NonFinite::Report`].
            ///
            /// # Errors
            /// [`ReportError::Gradient`] if a gradient was not finite or a step was skipped,
            /// [`ReportError::Download`] if the device fails.
            pub async fn check_gradients(&self) -> Result<GuardReport, ReportError> {
                let report = self.report().await?;
                report.check()?;
                Ok(report)
            }

            /// The same, blocking the thread.
            ///
            /// # Errors
            /// As without blocking.
            #[cfg(not(target_arch = "wasm32"))]
            pub fn check_gradients_blocking(&self) -> Result<GuardReport, ReportError> {
                let report = self.report_blocking()?;
                report.check()?;
                Ok(report)
            }

            /// Empties the report, ahead of all that is submitted from now on, steps recorded earlier
            /// included.
            ///
            /// # Errors
            /// [`StepError`](crate::StepError) if the device fails.
            pub fn clear_report(&self) -> Result<(), crate::StepError> {
                self.core.clear_report()
            }
        }
    };
}

/// The methods of an optimizer over a `core`, which counts its steps.
macro_rules! optimizer_methods {
    ($Optimizer:ident, $Error:ident) => {
        $crate::gpu::methods::core_methods!($Optimizer, $Error);

        impl<R: Rule> $Optimizer<R> {
            /// The same optimizer with a learning-rate schedule: step number t, counted from 1, has
            /// every base learning rate times `schedule.factor(t)`. Default: the base learning rates
            /// throughout.
            ///
            /// # Errors
            /// [`StepError::Schedule`](crate::StepError::Schedule) if a number of the schedule is
            /// outside its domain; with groups, inside [`GroupError::Step`](crate::GroupError::Step).
            pub fn with_schedule(self, schedule: Schedule) -> Result<Self, $Error> {
                Ok(Self { core: self.core.with_schedule(schedule)? })
            }

            /// How many state vectors there are.
            #[must_use]
            pub fn state_count(&self) -> usize {
                self.core.state.vectors.len()
            }

            /// The learning-rate schedule.
            #[must_use]
            pub fn schedule(&self) -> &Schedule {
                &self.core.schedule
            }

            /// How many steps have been submitted or recorded, those that a guard skipped included.
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

pub(super) use {core_methods, optimizer_methods};
