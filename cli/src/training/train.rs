//! A training run by the rule that the user chose: what `fit` and `compare` have in common.

use std::ops::ControlFlow;

use wgpu_optim::linear::{
    Engine, Examples, Progress, TrainError, Trained, Training, train_blocking,
};
use wgpu_optim::{AnyRule, with_rule};

/// Examples between two samples of the loss, as the textbook has it.
const EXAMPLES_PER_SAMPLE: usize = 100;
/// Larger tables are sampled at the end of epochs only: the loss takes a pass over all rows.
const MAX_VALUES_TO_SAMPLE: usize = 1_000_000;

/// How often the loss of a table of `values` numbers is sampled: [`Training::evaluate_every`].
pub(crate) fn evaluate_every(values: usize) -> usize {
    if values <= MAX_VALUES_TO_SAMPLE { EXAMPLES_PER_SAMPLE } else { 0 }
}

/// Trains by `rule`. The observer is a trait object, so that training is compiled once for each rule.
pub(crate) fn train(
    rule: AnyRule,
    engine: Engine<'_>,
    examples: Examples<'_>,
    training: &Training,
    observe: &mut dyn FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Trained, TrainError> {
    with_rule!(rule, |rule| train_blocking(engine, rule, examples, training, observe))
}
