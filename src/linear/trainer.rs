//! The training loop, the same for both engines.

use std::ops::ControlFlow;

use ndarray::ArrayView2;
use web_time::Instant;

use super::batches::{Batch, Batches};
use super::cpu::{self, CpuGradient};
use super::errors::TrainError;
use super::gpu::{self, GpuWorker};
use super::model::LinearModel;
use super::training::{LossPoint, Progress, Trained, Training};
use crate::cpu::CpuOptimizer;
use crate::data::{Dataset, epoch_order, initial_weights};
use crate::gpu::{Gpu, Wait};
use crate::numerics::Precision;
use crate::rules::Rule;

/// A loss this many times the first one is no step on the way to a better model.
const DIVERGED: f64 = 1e6;

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
    run(engine, rule, data, training, observe, Wait::Yield).await
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
    pollster::block_on(run(engine, rule, data, training, observe, Wait::Block))
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

async fn run<R: Rule>(
    engine: Engine<'_>,
    rule: R,
    data: &Dataset,
    training: &Training,
    observe: impl FnMut(&Progress) -> ControlFlow<()>,
    wait: Wait,
) -> Result<Trained, TrainError> {
    let batches = Batches::new(training, data.rows())?;
    let weights = initial_weights(data.feature_count(), training.seed);
    let model = LinearModel { weights, bias: 0.0 };
    let mut worker = Worker::new(engine, rule, data, training, &model)?;
    let mut record = Record::new(data.rows(), batches.total(), observe);
    worker.evaluate(wait).await?;
    record.sampled(0);
    record.add(worker.squared_errors(wait, true).await?)?;
    let start = Instant::now();
    for epoch in 0..training.epochs {
        let order = epoch_order(data.rows() as u32, training.seed, epoch);
        worker.begin_epoch(&order)?;
        for batch in batches.epoch(epoch) {
            worker.step(&batch, &order, wait).await?;
            if batch.evaluate {
                worker.evaluate(wait).await?;
                record.sampled(batch.examples);
                record.add(worker.squared_errors(wait, false).await?)?;
            }
            record.report(batch.examples)?;
        }
    }
    record.add(worker.squared_errors(wait, true).await?)?;
    let seconds_per_epoch = start.elapsed().as_secs_f64() / f64::from(training.epochs);
    let model = worker.model(wait).await?;
    record.finish(model, seconds_per_epoch)
}

/// One of the two engines at work.
enum Worker<'a, R: Rule> {
    Cpu(Box<CpuWorker<'a, R>>),
    Gpu(Box<GpuWorker<'a, R>>),
}

struct CpuWorker<'a, R: Rule> {
    computation: CpuGradient<'a>,
    optimizer: CpuOptimizer<R>,
    parameters: Vec<f32>,
    gradient: Vec<f32>,
    squared_errors: Vec<f32>,
}

impl<'a, R: Rule> Worker<'a, R> {
    fn new(
        engine: Engine<'_>,
        rule: R,
        data: &'a Dataset,
        training: &Training,
        model: &LinearModel,
    ) -> Result<Self, TrainError> {
        let parameters = model.parameters();
        Ok(match engine {
            Engine::Cpu => Self::Cpu(Box::new(CpuWorker {
                computation: CpuGradient::new(data),
                optimizer: CpuOptimizer::new(rule, parameters.len())?,
                gradient: vec![0.0; parameters.len()],
                parameters,
                squared_errors: Vec::new(),
            })),
            Engine::Gpu { gpu, precision } => {
                Self::Gpu(Box::new(GpuWorker::new(gpu, precision, rule, data, training, model)?))
            }
        })
    }

    fn begin_epoch(&mut self, order: &[u32]) -> Result<(), TrainError> {
        match self {
            Self::Cpu(_) => Ok(()),
            Self::Gpu(worker) => worker.begin_epoch(order),
        }
    }

    async fn step(&mut self, batch: &Batch, order: &[u32], wait: Wait) -> Result<(), TrainError> {
        match self {
            Self::Cpu(worker) => {
                let CpuWorker { computation, optimizer, parameters, gradient, .. } = &mut **worker;
                computation.batch(&order[batch.rows.clone()], parameters, gradient);
                Ok(optimizer.step(parameters, gradient)?)
            }
            Self::Gpu(worker) => worker.step(batch, order, wait).await,
        }
    }

    async fn evaluate(&mut self, wait: Wait) -> Result<(), TrainError> {
        match self {
            Self::Cpu(worker) => {
                let CpuWorker { computation, parameters, squared_errors, .. } = &mut **worker;
                squared_errors.push(computation.squared_error(parameters));
                Ok(())
            }
            Self::Gpu(worker) => worker.evaluate(wait).await,
        }
    }

    async fn squared_errors(&mut self, wait: Wait, all: bool) -> Result<Vec<f32>, TrainError> {
        match self {
            Self::Cpu(worker) => Ok(std::mem::take(&mut worker.squared_errors)),
            Self::Gpu(worker) => worker.squared_errors(wait, all).await,
        }
    }

    async fn model(self, wait: Wait) -> Result<LinearModel, TrainError> {
        match self {
            Self::Cpu(worker) => Ok(LinearModel::from_parameters(worker.parameters)),
            Self::Gpu(worker) => worker.model(wait).await,
        }
    }
}

/// The history of a run, and who is told of it.
struct Record<F> {
    rows: f64,
    total: u64,
    /// Examples trained at each sample, and the losses that have arrived.
    samples: Vec<u64>,
    history: Vec<LossPoint>,
    observe: F,
}

impl<F: FnMut(&Progress) -> ControlFlow<()>> Record<F> {
    fn new(rows: usize, total: u64, observe: F) -> Self {
        Self { rows: rows as f64, total, samples: Vec::new(), history: Vec::new(), observe }
    }

    fn sampled(&mut self, examples: u64) {
        self.samples.push(examples);
    }

    /// Takes squared errors in the order of their samples.
    fn add(&mut self, squared_errors: Vec<f32>) -> Result<(), TrainError> {
        for squared_error in squared_errors {
            let Some(&examples) = self.samples.get(self.history.len()) else { break };
            let epoch = examples as f64 / self.rows;
            let loss = f64::from(squared_error) / (2.0 * self.rows);
            if !loss.is_finite() && examples == 0 {
                return Err(TrainError::Overflow);
            }
            if !loss.is_finite() {
                return Err(TrainError::Diverged { epoch: whole(epoch), loss });
            }
            self.history.push(LossPoint { epoch, loss });
            self.report(examples)?;
        }
        Ok(())
    }

    fn report(&mut self, examples: u64) -> Result<(), TrainError> {
        let Some(&LossPoint { epoch, loss }) = self.history.last() else { return Ok(()) };
        let progress = Progress { examples, total: self.total, epoch, loss };
        match (self.observe)(&progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => {
                Err(TrainError::Interrupted { epoch: whole(examples as f64 / self.rows) })
            }
        }
    }

    fn finish(self, model: LinearModel, seconds_per_epoch: f64) -> Result<Trained, TrainError> {
        let first = self.history.first().map_or(f64::NAN, |point| point.loss);
        let last = self.history.last().map_or(f64::NAN, |point| point.loss);
        if !model.parameters().iter().all(|value| value.is_finite()) {
            return Err(TrainError::Diverged {
                epoch: whole(self.total as f64 / self.rows),
                loss: last,
            });
        }
        // A run may leap far away and come back; what counts is from where on it did not.
        let far = |point: &&LossPoint| point.loss > DIVERGED * first.max(f64::MIN_POSITIVE);
        if let Some(point) = self.history.iter().rev().take_while(far).last() {
            return Err(TrainError::Diverged { epoch: whole(point.epoch), loss: last });
        }
        Ok(Trained { model, loss: last, history: self.history, seconds_per_epoch })
    }
}

/// The epoch, counted from 1, that was under way after `epochs` epochs.
fn whole(epochs: f64) -> u32 {
    epochs.ceil().max(1.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finish(losses: &[f64]) -> Result<Trained, TrainError> {
        let mut record =
            Record::new(10, 10 * (losses.len() as u64 - 1), |_| ControlFlow::Continue(()));
        record.history = (0..)
            .zip(losses)
            .map(|(epoch, &loss)| LossPoint { epoch: f64::from(epoch), loss })
            .collect();
        record.finish(LinearModel { weights: vec![1.0], bias: 0.0 }, 0.0)
    }

    #[test]
    fn divergence_is_told_from_where_it_did_not_come_back() {
        assert_eq!(finish(&[1.0, 0.5, 0.2]).map(|trained| trained.loss), Ok(0.2));
        // Far away, and back.
        assert_eq!(finish(&[1.0, 1e9, 0.2]).map(|trained| trained.loss), Ok(0.2));
        let error = finish(&[1.0, 1e9, 0.2, 2e9, 3e9]);
        assert_eq!(error, Err(TrainError::Diverged { epoch: 3, loss: 3e9 }));
    }
}
