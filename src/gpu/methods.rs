//! Methods shared by the optimizers of one tensor and of many, and by the stepper.

/// The methods of a type with a `core`; `$Error` is its error type.
macro_rules! core_methods {
    ($Optimizer:ident, $Error:ident) => {
        impl<R: Rule> $Optimizer<R> {
            /// Sets the precision. Default: [`Precision::Native`].
            #[must_use]
            pub fn with_precision(self, precision: Precision) -> Self {
                Self { core: self.core.with_precision(precision) }
            }

            /// Sets the shape of the kernels, or the nearest one that the device allows. Default:
            /// [`KernelShape::for_device`]. In exact precision, no bit of a result depends on it.
            #[must_use]
            pub fn with_shape(self, shape: KernelShape) -> Self {
                Self { core: self.core.with_shape(shape) }
            }

            /// Sets a guard over the gradients, with an empty report. Default: none. The guard
            /// checks all gradients of a step together, in an order that does not depend on how
            /// they lie in buffers ([`GradientGuard`]). For row gradients, it checks the sums: one
            /// for each named row, in ascending order.
            ///
            /// # Errors
            /// [`StepError::Rule`](crate::StepError::Rule) if `max_norm` is outside its domain,
            /// [`StepError::Limit`](crate::StepError::Limit) if the device's limits are too low for
            /// the guard. With groups, both come inside
            /// [`GroupError::Step`](crate::GroupError::Step).
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

            /// Releases the vectors of earlier steps, so that their memory can be freed. The next
            /// step binds its vectors anew.
            pub fn forget_bindings(&mut self) {
                self.core.forget_passes();
            }

            /// Reads what the guard found in all steps submitted since it was set or its report was
            /// cleared. Elements are counted over all gradients of a step, tensor after tensor. The
            /// future polls the device each time it is polled.
            ///
            /// # Errors
            /// [`DownloadError`] if the device fails.
            pub async fn report(&self) -> Result<GuardReport, DownloadError> {
                self.core.report(Wait::Yield).await
            }

            /// Like `report`, but blocks the thread.
            ///
            /// # Errors
            /// [`DownloadError`] if the device fails.
            #[cfg(not(target_arch = "wasm32"))]
            pub fn report_blocking(&self) -> Result<GuardReport, DownloadError> {
                pollster::block_on(self.core.report(Wait::Block))
            }

            /// Reads the report, and returns an error if it contains bad gradients. On a device,
            /// this is how [`crate::NonFinite::Report`] reports them.
            ///
            /// # Errors
            /// [`ReportError::Gradient`] if a gradient was not finite or a step was skipped,
            /// [`ReportError::Download`] if the device fails.
            pub async fn check_gradients(&self) -> Result<GuardReport, ReportError> {
                let report = self.report().await?;
                report.check()?;
                Ok(report)
            }

            /// Like `check_gradients`, but blocks the thread.
            ///
            /// # Errors
            /// As `check_gradients`.
            #[cfg(not(target_arch = "wasm32"))]
            pub fn check_gradients_blocking(&self) -> Result<GuardReport, ReportError> {
                let report = self.report_blocking()?;
                report.check()?;
                Ok(report)
            }

            /// Empties the report before everything that is submitted from now on, including steps
            /// that are already recorded.
            ///
            /// # Errors
            /// [`StepError`](crate::StepError) if the device fails.
            pub fn clear_report(&self) -> Result<(), crate::StepError> {
                self.core.clear_report()
            }
        }
    };
}

/// The methods of an optimizer with a `core`, which counts its steps.
macro_rules! optimizer_methods {
    ($Optimizer:ident, $Error:ident) => {
        $crate::gpu::methods::core_methods!($Optimizer, $Error);

        impl<R: Rule> $Optimizer<R> {
            /// Sets a learning-rate schedule: step number t, counted from 1, multiplies every base
            /// learning rate by `schedule.factor(t)`. Default: constant learning rates.
            ///
            /// # Errors
            /// [`StepError::Schedule`](crate::StepError::Schedule) if a value of the schedule is
            /// outside its domain. With groups, it comes inside
            /// [`GroupError::Step`](crate::GroupError::Step).
            pub fn with_schedule(self, schedule: Schedule) -> Result<Self, $Error> {
                Ok(Self { core: self.core.with_schedule(schedule)? })
            }

            /// The number of state vectors.
            #[must_use]
            pub fn state_count(&self) -> usize {
                self.core.state.vectors.len()
            }

            /// The learning-rate schedule.
            #[must_use]
            pub fn schedule(&self) -> &Schedule {
                &self.core.schedule
            }

            /// The number of steps submitted or recorded, including those that a guard skipped.
            #[must_use]
            pub fn steps(&self) -> u64 {
                self.core.steps
            }

            /// Sets the number of steps taken, to resume from a saved state.
            pub fn set_steps(&mut self, steps: u64) {
                self.core.steps = steps;
            }
        }
    };
}

pub(super) use {core_methods, optimizer_methods};
