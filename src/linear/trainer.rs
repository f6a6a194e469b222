//! The training loop, the same for both engines.

use std::ops::ControlFlow;

use ndarray::ArrayView2;
use web_time::Instant;

use super::batches::Batches;
use super::cpu::{self, CpuWorker};
use super::errors::TrainError;
use super::gpu::{self, GpuWorker};
use super::loss::Loss;
use super::model::LinearModel;
use super::record::Record;
use super::training::{Progress, Trained, Training};
use super::worker::Worker;
use crate::data::{Dataset, epoch_order, initial_weights};
use crate::gpu::{Gpu, Wait};
use crate::numerics::Precision;
use crate::rules::Rule;

/// Where to train.
#[derive(Clone, Copy, Debug)]
pub enum Engine<'a> {
    /// On the CPU, whose results are those of exact precision.
    Cpu,
    /// On a GPU.
    Gpu {
        /// The device.
        gpu: &'a Gpu,
        /// The arithmetic of gradients and steps.
        precision: Precision,
    },
}

/// Trains `y = X w + b` on `data` by `rule`, and calls `observe` with each new sample of the loss
/// and now and then in between; `ControlFlow::Break` stops the run.
///
/// # Errors
/// [`TrainError`]: a setting outside its domain, a device that fails, a run that diverges.
pub async fn train<R: Rule>(
    engine: Engine<'_>,
    rule: R,
    data: &Dataset,
    training: &Training,
    observe: impl FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Trained, TrainError> {
    start(engine, rule, data, training, observe, Wait::Yield).await
}

/// [`train`], blocking the thread.
///
/// # Errors
/// As [`train`].
#[cfg(not(target_arch = "wasm32"))]
pub fn train_blocking<R: Rule>(
    engine: Engine<'_>,
    rule: R,
    data: &Dataset,
    training: &Training,
    observe: impl FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Trained, TrainError> {
    pollster::block_on(start(engine, rule, data, training, observe, Wait::Block))
}

/// The model's prediction for each row of `features`.
///
/// # Errors
/// [`TrainError`] if the columns are not the model's, or the device fails.
pub async fn predict(
    engine: Engine<'_>,
    model: &LinearModel,
    features: ArrayView2<'_, f32>,
) -> Result<Vec<f32>, TrainError> {
    predict_waiting(engine, model, features, Wait::Yield).await
}

/// [`predict`], blocking the thread.
///
/// # Errors
/// As [`predict`].
#[cfg(not(target_arch = "wasm32"))]
pub fn predict_blocking(
    engine: Engine<'_>,
    model: &LinearModel,
    features: ArrayView2<'_, f32>,
) -> Result<Vec<f32>, TrainError> {
    pollster::block_on(predict_waiting(engine, model, features, Wait::Block))
}

async fn predict_waiting(
    engine: Engine<'_>,
    model: &LinearModel,
    features: ArrayView2<'_, f32>,
    wait: Wait,
) -> Result<Vec<f32>, TrainError> {
    let (found, expected) = (features.ncols(), model.weights.len());
    if found != expected {
        return Err(TrainError::Columns { found, expected });
    }
    if features.nrows() == 0 {
        return Ok(Vec::new());
    }
    // A residual to a target of 0 is the prediction.
    let data = Dataset::without_target(features.to_owned())?;
    match engine {
        Engine::Cpu => Ok(cpu::predictions(&data, &model.parameters())),
        Engine::Gpu { gpu, precision } => {
            gpu::predictions(gpu, precision, model, &data, wait).await
        }
    }
}

async fn start<R: Rule>(
    engine: Engine<'_>,
    rule: R,
    data: &Dataset,
    training: &Training,
    observe: impl FnMut(&Progress) -> ControlFlow<()>,
    wait: Wait,
) -> Result<Trained, TrainError> {
    let batches = Batches::new(training, data.rows())?;
    training.penalty.validate()?;
    if training.loss == Loss::Logistic {
        let wrong = data.target().iter().position(|&target| target != 0.0 && target != 1.0);
        if let Some(row) = wrong {
            return Err(TrainError::NoClass { row, target: data.target()[row] });
        }
    }
    let weights = initial_weights(data.feature_count(), training.seed);
    let model = LinearModel { weights, bias: 0.0 };
    match engine {
        Engine::Cpu => {
            let worker = CpuWorker::new(rule, data, training, &model)?;
            run(worker, batches, training, observe, wait).await
        }
        Engine::Gpu { gpu, precision } => {
            let worker = GpuWorker::new(gpu, precision, rule, data, training, &model)?;
            run(worker, batches, training, observe, wait).await
        }
    }
}

async fn run(
    mut worker: impl Worker,
    batches: Batches,
    training: &Training,
    observe: impl FnMut(&Progress) -> ControlFlow<()>,
    wait: Wait,
) -> Result<Trained, TrainError> {
    let rows = batches.rows();
    let mut record = Record::new(training.loss, rows, batches.total(), observe);
    worker.evaluate(wait).await?;
    record.sampled(0);
    record.add(worker.losses(wait, true).await?)?;
    let start = Instant::now();
    for epoch in 0..training.epochs {
        let order = epoch_order(rows as u32, training.seed, epoch);
        worker.begin_epoch(&order)?;
        for batch in batches.epoch(epoch) {
            worker.step(&batch, &order, wait).await?;
            if batch.evaluate {
                worker.evaluate(wait).await?;
                record.sampled(batch.examples);
                record.add(worker.losses(wait, false).await?)?;
            }
            record.report(batch.examples)?;
        }
    }
    record.add(worker.losses(wait, true).await?)?;
    let seconds_per_epoch = start.elapsed().as_secs_f64() / f64::from(training.epochs);
    let model = worker.model(wait).await?;
    record.finish(model, seconds_per_epoch)
}
