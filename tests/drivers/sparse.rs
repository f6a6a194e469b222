//! Sparse linear models, validation and progressive losses: the GPU against the CPU engine.

use std::ops::ControlFlow;

use ndarray::Array1;
use wgpu_optim::data::{SparseDataset, synthetic};
use wgpu_optim::linear::{
    Data, EarlyStop, Engine, Examples, LinearModel, Loss, Penalty, TrainError, Trained, Training,
    predict_sparse_blocking, train_blocking,
};
use wgpu_optim::{Adagrad, AnyRule, Gpu, Precision, Rule, with_rule};

use crate::Check;
use crate::driver::Driver;
use crate::reference::values;

pub(crate) const CHECKS: &[Check] = &[
    ("sparse: training on data of many shapes", shapes),
    ("sparse: training with every choice of formula of every rule", every_formula),
    ("sparse: more rows than a submission holds", many_submissions),
    ("sparse: sums of many terms", many_terms),
    ("sparse: predictions", predictions),
    ("progressive losses, dense, streamed and sparse", progressive),
    ("early stopping returns the model of the best epoch", early_stop),
];

fn rule() -> Adagrad {
    Adagrad { learning_rate: 0.1, ..Adagrad::default() }
}

/// `rows` rows with 0 to `max` of `columns` features each, and classes for targets.
fn sparse(rows: usize, columns: usize, max: usize) -> SparseDataset {
    let numbers = values(rows * (max + 1), 11, 3);
    let draw = |index: usize| (numbers[index].to_bits() >> 3) as usize;
    let (mut starts, mut entries, mut kept) = (vec![0], Vec::new(), Vec::new());
    for row in 0..rows {
        let count = draw(row * (max + 1)) % (max + 1);
        let mut chosen: Vec<u32> =
            (1..=count).map(|k| (draw(row * (max + 1) + k) % columns) as u32).collect();
        chosen.sort_unstable();
        chosen.dedup();
        kept.extend(chosen.iter().map(|&column| numbers[(column as usize + row) % numbers.len()]));
        entries.extend(chosen);
        starts.push(entries.len());
    }
    let target = Array1::from_iter((0..rows).map(|row| (draw(row) >> 5 & 1) as f32));
    SparseDataset::new(columns, starts, entries, kept, target).unwrap()
}

fn train(engine: Engine<'_>, data: Examples<'_>, training: &Training) -> Trained {
    train_by(rule(), engine, data, training)
}

fn train_by<R: Rule>(
    rule: R,
    engine: Engine<'_>,
    data: Examples<'_>,
    training: &Training,
) -> Trained {
    train_blocking(engine, rule, data, training, |_| ControlFlow::Continue(())).unwrap()
}

/// Asserts that the results have the same bits on the CPU engine and on the device: in exact
/// precision, and in native precision if the driver rounds correctly.
fn agree(driver: &Driver, gpu: &Gpu, data: Examples<'_>, training: &Training) {
    agree_by(rule(), driver, gpu, data, training);
}

fn agree_by<R: Rule>(rule: R, driver: &Driver, gpu: &Gpu, data: Examples<'_>, training: &Training) {
    let expected = train_by(rule, Engine::Cpu, data, training);
    for precision in [Precision::Native, Precision::Exact] {
        if precision == Precision::Exact || driver.rounds_correctly() {
            let actual = train_by(rule, Engine::Gpu { gpu, precision }, data, training);
            let what = format!("{precision} {training:?} {rule:?} on {}", driver.name);
            let seconds_per_epoch = expected.seconds_per_epoch;
            assert_eq!(Trained { seconds_per_epoch, ..actual }, expected, "{what}");
        }
    }
}

fn shapes(driver: &Driver) {
    for (rows, columns, max) in [(1, 1, 1), (50, 7, 5), (300, 1000, 40), (2000, 30, 3)] {
        let data = sparse(rows, columns, max);
        for (batch_size, loss, penalty) in [
            (1, Loss::Squared, Penalty::default()),
            (10, Loss::Logistic, Penalty::default()),
            (64, Loss::Logistic, Penalty { l1: 0.01, l2: 0.003 }),
            (5000, Loss::Squared, Penalty { l1: 0.0, l2: 0.1 }),
        ] {
            if rows > 1000 && batch_size == 1 {
                continue; // thousands of steps test no more than a hundred
            }
            let training =
                Training { loss, penalty, batch_size, evaluate_every: 70, ..Training::default() };
            agree(driver, driver.gpu(), (&data).into(), &training);
        }
    }
}

fn every_formula(driver: &Driver) {
    for rule in AnyRule::examples() {
        with_rule!(rule, |rule| formula(driver, rule));
    }
}

/// A table of 50 features, of which each batch has some.
fn formula<R: Rule>(driver: &Driver, mut rule: R) {
    // Small enough for rules that maximize.
    rule.set_learning_rate(0.01);
    let data = sparse(120, 50, 9);
    let training = Training { batch_size: 10, epochs: 2, ..Training::default() };
    agree_by(rule, driver, driver.gpu(), (&data).into(), &training);
}

fn many_submissions(driver: &Driver) {
    // The buffer for rows then holds little more than the longest 4000 rows.
    let small = driver.with_limits(|limits| limits.max_buffer_size = 7 << 20);
    let data = sparse(60_000, 5000, 60);
    let training =
        Training { batch_size: 4000, epochs: 1, evaluate_every: 0, ..Training::default() };
    agree(driver, &small, (&data).into(), &training);
}

/// lavapipe silently ends the loops of an invocation after 65,535 iterations. A column that occurs
/// in 30,000 rows of a batch, and a row of 60,000 features, allow two iterations for each term. A
/// batch with more rows than one iteration each allows is refused.
fn many_terms(driver: &Driver) {
    let rows = 30_000;
    let narrow = sparse(rows, 3, 3);
    let training =
        Training { batch_size: rows, epochs: 1, evaluate_every: 0, ..Training::default() };
    agree(driver, driver.gpu(), (&narrow).into(), &training);

    let columns = 60_000;
    let (starts, entries) = (vec![0, columns, columns], (0..columns as u32).collect());
    let target = Array1::from(vec![1.0, 0.0]);
    let kept = values(columns, 5, 1).into_iter().map(|value| value / 8192.0).collect();
    let wide = SparseDataset::new(columns, starts, entries, kept, target).unwrap();
    agree(driver, driver.gpu(), (&wide).into(), &training);

    // One invocation takes three columns and the bias, which every row has.
    let max = 65_484;
    let many = |rows: usize| {
        let entries = (0..rows as u32).map(|row| row % 3).collect();
        let target = values(rows, 6, 1).into();
        SparseDataset::new(3, (0..=rows).collect(), entries, values(rows, 7, 1), target).unwrap()
    };
    let training = Training { batch_size: max, ..training };
    agree(driver, driver.gpu(), (&many(max)).into(), &training);
    let training = Training { batch_size: max + 1, ..training };
    let engine = Engine::Gpu { gpu: driver.gpu(), precision: Precision::Native };
    let refused =
        train_blocking(engine, rule(), &many(max + 1), &training, |_| ControlFlow::Continue(()));
    let terms = TrainError::Terms { what: "rows of a batch", found: max + 1, max };
    assert_eq!(refused.unwrap_err(), terms);
}

fn predictions(driver: &Driver) {
    let data = sparse(10_000, 300, 20);
    let model = LinearModel { weights: values(300, 3, 2), bias: 0.75 };
    let gpu = driver.gpu();
    let on = |engine| predict_sparse_blocking(engine, &model, &data).unwrap();
    let exact = on(Engine::Gpu { gpu, precision: Precision::Exact });
    assert_eq!(exact, on(Engine::Cpu));
}

fn progressive(driver: &Driver) {
    let dense = synthetic(300, 41, 2).dataset;
    let narrow = synthetic(300, 5, 2).dataset;
    let sparse = sparse(300, 100, 9);
    let small = driver.with_limits(|limits| limits.max_storage_buffer_binding_size = 4096);
    let training = Training { progressive: true, epochs: 2, batch_size: 32, ..Training::default() };
    let streamed = Training { gpu_memory: Some(3000), ..training.clone() };
    let parts = Training { batch_size: 200, ..streamed.clone() };
    for (gpu, data, training) in [
        (driver.gpu(), Data::Dense(&dense), training.clone()),
        (driver.gpu(), Data::Dense(&narrow), training.clone()),
        (&small, Data::Dense(&dense), training.clone()),
        (driver.gpu(), Data::Dense(&dense), streamed.clone()),
        (driver.gpu(), Data::Dense(&narrow), streamed.clone()),
        (driver.gpu(), Data::Dense(&dense), parts.clone()),
        (driver.gpu(), Data::Sparse(&sparse), training.clone()),
    ] {
        agree(driver, gpu, data.into(), &training);
        let trained = train(Engine::Cpu, data.into(), &training);
        // After 1, 2, 4, ... 512 and 600 rows.
        assert_eq!(trained.progressive.len(), 11);
    }
}

fn early_stop(driver: &Driver) {
    let data = synthetic(200, 30, 2).dataset;
    // The validation targets are unrelated, so their loss rises with more training.
    let other = synthetic(50, 30, 3).dataset;
    let stop = EarlyStop { patience: 2, least_improvement: 0.0 };
    let training = Training { early_stop: Some(stop), epochs: 50, ..Training::default() };
    let both = Examples { training: Data::Dense(&data), validation: Some(Data::Dense(&other)) };
    agree(driver, driver.gpu(), both, &training);
    let trained = train(Engine::Cpu, both, &training);
    assert!(trained.epochs < 50, "{}", trained.epochs);
    let losses: Vec<f64> = trained.validation.iter().map(|point| point.loss).collect();
    let lowest = losses.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(losses.len(), trained.epochs as usize);
    assert_eq!(losses.iter().position(|&loss| loss == lowest), Some(losses.len() - 3));
    // Training for that many epochs gives the same model.
    let epochs = losses.len() as u32 - 2;
    let again = train(Engine::Cpu, both, &Training { epochs, early_stop: None, ..training });
    assert_eq!(trained.model, again.model);
    assert_eq!(trained.loss, again.loss);
}
