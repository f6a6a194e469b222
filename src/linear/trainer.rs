//! The training loop, the same for both engines.

use std::ops::ControlFlow;

use web_time::Instant;

use super::cpu::CpuWorker;
use super::errors::TrainError;
use super::examples::{Data, Examples};
use super::gpu::GpuWorker;
use super::history::History;
use super::loss::Loss;
use super::memory;
use super::model::LinearModel;
use super::training::{Progress, Trained, Training};
use super::validation::Validation;
use super::worker::Worker;
use crate::data::{epoch_order, initial_weights};
use crate::gpu::{Gpu, Wait};
use crate::numerics::Precision;
use crate::rules::Rule;

/// Where to train.
#[derive(Clone, Copy, Debug)]
pub enum Engine<'a> {
    /// On the CPU, with the bits of exact precision.
    Cpu,
    /// On a GPU.
    Gpu {
        /// The device.
        gpu: &'a Gpu,
        /// The arithmetic of gradients and steps.
        precision: Precision,
    },
}

/// Trains `X w + b` with `rule` on `data`: a [`Dataset`](crate::data::Dataset), a
/// [`SparseDataset`](crate::data::SparseDataset), or [`Examples`] with validation rows. Calls
/// `observe` after each batch and with each new sample of the loss; `ControlFlow::Break` stops the
/// run.
///
/// # Errors
/// [`TrainError`] if a setting is outside its domain, the device fails, the run diverges, or
/// `observe` stops it.
pub async fn train<'a, R: Rule>(
    engine: Engine<'_>,
    rule: R,
    data: impl Into<Examples<'a>>,
    training: &Training,
    observe: impl FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Trained, TrainError> {
    start(engine, rule, data.into(), training, observe, Wait::Yield).await
}

/// [`train`], blocking the thread.
///
/// # Errors
/// As [`train`].
#[cfg(not(target_arch = "wasm32"))]
pub fn train_blocking<'a, R: Rule>(
    engine: Engine<'_>,
    rule: R,
    data: impl Into<Examples<'a>>,
    training: &Training,
    observe: impl FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Trained, TrainError> {
    pollster::block_on(start(engine, rule, data.into(), training, observe, Wait::Block))
}

async fn start<R: Rule>(
    engine: Engine<'_>,
    rule: R,
    examples: Examples<'_>,
    training: &Training,
    observe: impl FnMut(&Progress) -> ControlFlow<()>,
    wait: Wait,
) -> Result<Trained, TrainError> {
    let data = examples.training;
    let training = &training.checked(data.rows())?;
    let columns = data.feature_count();
    let validation = Validation::new(examples.validation, columns, training)?;
    for data in [Some(data), examples.validation].into_iter().flatten() {
        check_classes(data, training.loss)?;
    }
    memory::check::<f32>(columns)?;
    let weights = initial_weights(columns, training.seed);
    let model = LinearModel { weights, bias: 0.0 };
    match engine {
        Engine::Cpu => {
            let worker = CpuWorker::new(rule, data, training, &model)?;
            run(worker, data.rows(), training, validation, observe, wait).await
        }
        Engine::Gpu { gpu, precision } => {
            let worker = GpuWorker::new(gpu, precision, rule, data, training, &model)?;
            run(worker, data.rows(), training, validation, observe, wait).await
        }
    }
}

/// Checks that all targets are 0 or 1, if the loss is logistic.
fn check_classes(data: Data<'_>, loss: Loss) -> Result<(), TrainError> {
    let wrong = |&target: &f32| target != 0.0 && target != 1.0;
    match data.target().iter().position(wrong) {
        Some(row) if loss == Loss::Logistic => {
            Err(TrainError::NoClass { row, target: data.target()[row] })
        }
        _ => Ok(()),
    }
}

/// A run on either engine.
async fn run(
    mut worker: impl Worker,
    rows: usize,
    training: &Training,
    mut validation: Option<Validation<'_>>,
    observe: impl FnMut(&Progress) -> ControlFlow<()>,
    wait: Wait,
) -> Result<Trained, TrainError> {
    let mut history = History::new(training, rows, observe);
    worker.evaluate(wait).await?;
    history.sampled(0);
    history.add(worker.losses(wait, true).await?)?;
    let start = Instant::now();
    let mut epochs = 0;
    let mut stopped = false;
    while epochs < training.epochs && !stopped {
        memory::check::<u32>(rows)?;
        let order = epoch_order(rows as u32, training.seed, epochs);
        worker.begin_epoch(&order)?;
        // Rows of this epoch whose losses before learning have been read.
        let mut taken = 0;
        for batch in training.batches(rows, epochs) {
            worker.step(&batch, &order, wait).await?;
            if batch.evaluate {
                worker.evaluate(wait).await?;
                history.sampled(batch.examples);
                history.add(worker.losses(wait, false).await?)?;
            }
            let end = batch.rows.end;
            let due = history.is_progressive_due(batch.examples) || end == rows;
            if training.progressive && due {
                history.progressive(&worker.progressive(taken..end, wait).await?)?;
                taken = end;
            }
            history.report(batch.examples)?;
        }
        epochs += 1;
        if let Some(validation) = &mut validation {
            stopped = validation.add(worker.model(wait).await?, epochs)?;
        }
    }
    let best = validation.as_ref().and_then(|validation| validation.best(epochs));
    if let Some(best) = best {
        worker.set_model(best, wait).await?;
    }
    if best.is_some() || stopped {
        worker.evaluate(wait).await?;
        history.sampled(rows as u64 * u64::from(epochs));
    }
    history.add(worker.losses(wait, true).await?)?;
    let seconds = start.elapsed().as_secs_f64();
    let model = worker.model(wait).await?;
    let validation = validation.map_or_else(Vec::new, |validation| validation.losses);
    history.finish(model, epochs, seconds, validation)
}
