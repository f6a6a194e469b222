//! What both engines share before the rule runs: learning-rate schedules, gradient guards, the rows
//! that a sparse step names, and groups of tensors.

mod guard;
mod rows;
mod schedule;
mod tensors;

pub use guard::{GradientError, GradientGuard, GuardReport, NonFinite};
pub use rows::RowsError;
pub use schedule::{Schedule, ScheduleError};
pub use tensors::{ParamGroup, TensorGradient, TensorName, TensorsError};

pub(crate) use guard::{Decision, Scan};
pub(crate) use rows::NamedRows;
pub(crate) use tensors::Tensors;

use crate::rules::Rule;

/// The uniforms of step `step`, with the learning rate that the schedule gives.
pub(crate) fn scheduled<R: Rule>(rule: &R, schedule: &Schedule, step: u64) -> R::Uniforms {
    rule.uniforms_at(step, f64::from(rule.learning_rate()) * schedule.factor(step))
}
