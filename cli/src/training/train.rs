//! The one way to train, with the rule that the user chose.

use std::ops::ControlFlow;

use wgpu_optim::linear::{Engine, Progress, TrainError, Trained, Training, train_blocking};
use wgpu_optim::{AnyRule, with_rule};

use crate::training::parts::{Parts, Rows};

/// Examples between two samples of the loss, as in the textbook.
const EXAMPLES_PER_SAMPLE: usize = 100;
/// Larger tables are sampled at the end of epochs only: each sample is a pass over all rows.
const MAX_VALUES_TO_SAMPLE: usize = 1_000_000;

/// How often to sample the loss on these rows: [`Training::evaluate_every`].
pub(crate) fn evaluate_every(rows: &Rows) -> usize {
    if rows.values() <= MAX_VALUES_TO_SAMPLE { EXAMPLES_PER_SAMPLE } else { 0 }
}

/// Trains on `parts`, whose test rows are left alone.
///
/// The observer is a trait object, so that training is compiled once for each rule.
///
/// # Errors
/// [`TrainError`], as the library reports it.
pub(crate) fn train(
    rule: AnyRule,
    engine: Engine<'_>,
    parts: &Parts<Rows>,
    training: &Training,
    observe: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Trained, TrainError> {
    let examples = parts.examples();
    with_rule!(rule, |rule| train_blocking(engine, rule, examples, training, observe))
}
