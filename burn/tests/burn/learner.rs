//! Burn's `Learner` with our optimizer: two epochs, and the second again from a checkpoint.

use std::path::{Path, PathBuf};

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::module::Module;
use burn::nn::loss::{MseLoss, Reduction};
use burn::nn::{Linear, LinearConfig};
use burn::tensor::{Device, Tensor, TensorData};
use burn::train::metric::LossMetric;
use burn::train::renderer::CliMetricsRenderer;
use burn::train::{
    InferenceStep, Learner, RegressionOutput, SupervisedTraining, TrainOutput, TrainStep,
};
use wgpu_optim_burn::WgpuOptim;
use wgpu_optim_burn::wgpu_optim::Adagrad;

use super::support::{numbers, shared, values};

const INPUTS: usize = 4;

#[derive(Module, Debug)]
struct Model {
    hidden: Linear,
    output: Linear,
}

impl Model {
    fn regression(&self, batch: Batch) -> RegressionOutput {
        let output = self.output.forward(self.hidden.forward(batch.inputs).tanh());
        let loss = MseLoss::new().forward(output.clone(), batch.targets.clone(), Reduction::Mean);
        RegressionOutput::new(loss, output, batch.targets)
    }
}

impl TrainStep for Model {
    type Input = Batch;
    type Output = RegressionOutput;

    fn step(&self, batch: Batch) -> TrainOutput<RegressionOutput> {
        let output = self.regression(batch);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for Model {
    type Input = Batch;
    type Output = RegressionOutput;

    fn step(&self, batch: Batch) -> RegressionOutput {
        self.regression(batch)
    }
}

#[derive(Clone, Debug)]
struct Batch {
    inputs: Tensor<2>,
    targets: Tensor<2>,
}

/// Rows whose target is the sum of their inputs.
struct Rows;

impl Batcher<Vec<f32>, Batch> for Rows {
    fn batch(&self, rows: Vec<Vec<f32>>, device: &Device) -> Batch {
        let len = rows.len();
        let targets: Vec<f32> = rows.iter().map(|row| row.iter().sum()).collect();
        Batch {
            inputs: Tensor::from_data(TensorData::new(rows.concat(), [len, INPUTS]), device),
            targets: Tensor::from_data(TensorData::new(targets, [len, 1]), device),
        }
    }
}

fn rows() -> Vec<Vec<f32>> {
    numbers(20, 64 * INPUTS).chunks(INPUTS).map(<[f32]>::to_vec).collect()
}

fn loss(model: &Model) -> f32 {
    let batch = Rows.batch(rows(), &model.devices()[0]);
    values(model.regression(batch).loss)[0]
}

/// Trains two epochs in four batches each, or only the second from a checkpoint.
fn train(directory: &Path, model: Model, from: Option<usize>) -> Model {
    let loader = || DataLoaderBuilder::new(Rows).batch_size(16).build(InMemDataset::new(rows()));
    let optim = WgpuOptim::new(Adagrad::pytorch()).expect("a valid rule").init();
    let mut training = SupervisedTraining::new(directory, loader(), loader())
        .metrics((LossMetric::new(),))
        .renderer(Box::new(CliMetricsRenderer::new()))
        .with_application_logger(None)
        .with_default_checkpointers()
        .num_epochs(2);
    if let Some(epoch) = from {
        training = training.checkpoint(epoch);
    }
    let result = training.launch(Learner::new(model, optim, 0.1));
    assert!(result.error.is_none(), "{:?}", result.error);
    result.model
}

fn weights(model: &Model) -> Vec<f32> {
    [&model.hidden, &model.output].iter().flat_map(|layer| values(layer.weight.val())).collect()
}

/// A directory that is removed at the end.
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A directory of this test, and a model.
fn start(name: &str) -> (Directory, Model) {
    let name = format!("wgpu-optim-burn-{name}-{}", std::process::id());
    let directory = Directory(std::env::temp_dir().join(name));
    let linear = |from, to| LinearConfig::new(from, to).init(&shared().device);
    (directory, Model { hidden: linear(INPUTS, 8), output: linear(8, 1) })
}

#[test]
fn trains_two_epochs() {
    let (directory, model) = start("epochs");
    let before = loss(&model);
    let after = loss(&train(&directory.0, model, None));
    assert!(after < 0.5 * before, "the loss went from {before} to {after}");
}

/// Model, state and step counts of the first epoch: the second is the same again, but for how Burn
/// computes products of matrices.
#[test]
fn resumes_from_a_checkpoint() {
    let (directory, model) = start("checkpoint");
    // Parameters are made when first used.
    let _ = loss(&model);
    let trained = train(&directory.0, model.clone(), None);
    let resumed = train(&directory.0, model, Some(1));
    for (resumed, trained) in weights(&resumed).iter().zip(weights(&trained)) {
        assert!((resumed - trained).abs() < 1e-5, "{resumed}, not {trained}");
    }
}
