//! What both engines agree on before the rule runs: the learning-rate schedule, what the guard makes
//! of the gradients, and the rows that a sparse step names.

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

/// The uniforms of step number `step` of a schedule.
pub(crate) fn scheduled<R: Rule>(rule: &R, schedule: &Schedule, step: u64) -> R::Uniforms {
    rule.uniforms_at(step, f64::from(rule.learning_rate()) * schedule.factor(step))
}
