//! Gradients and training of linear models: the GPU against the CPU engine, in the canonical order.

use std::ops::ControlFlow;

use ndarray::{Array1, Array2};
use wgpu_optim::data::{Dataset, synthetic};
use wgpu_optim::linear::{
    Engine, LinearModel, Loss, Penalty, Trained, Training, predict_blocking, train_blocking,
};
use wgpu_optim::{Adagrad, AnyRule, Gpu, Precision, Rule, Schedule, with_rule};

use crate::Check;
use crate::driver::Driver;
use crate::reference::{each_rule, values};

pub(crate) const CHECKS: &[Check] = &[
    ("training on tables of many shapes", shapes),
    ("training with every choice of formula of every rule", every_formula),
    ("a batch of 4096 rows and 10,000 features", large_batch),
    ("small models on both sides of the limits of one dispatch", small_models),
    ("small models and streaming under lowered limits", lowered_limits),
    ("more loop iterations than a driver allows", many_iterations),
    ("rows in several tables, batches in several pieces", several_tables),
    ("the logistic loss and penalties", logistic),
    ("rows streamed through buffers of many sizes", streamed),
    ("streaming takes no more memory than documented", streaming_memory),
    ("padding after the columns has no effect", padding),
    ("a run of many submissions keeps its history in order", history),
    ("predictions", predictions),
    ("an observer's break ends the run", interrupted),
];

const RULE: Adagrad = Adagrad {
    learning_rate: 0.1,
    epsilon: 1e-6,
    epsilon_placement: wgpu_optim::EpsilonPlacement::InsideRoot,
    initial_accumulator: 0.0,
    learning_rate_decay: 0.0,
    weight_decay: wgpu_optim::WeightDecay::None,
    maximize: false,
};

fn train(engine: Engine<'_>, data: &Dataset, training: &Training) -> Trained {
    train_by(RULE, engine, data, training)
}

fn train_by<R: Rule>(rule: R, engine: Engine<'_>, data: &Dataset, training: &Training) -> Trained {
    train_blocking(engine, rule, data, training, |_| ControlFlow::Continue(())).unwrap()
}

fn native(gpu: &Gpu) -> Engine<'_> {
    Engine::Gpu { gpu, precision: Precision::Native }
}

/// Trains on the CPU engine and on the device in both precisions, and compares models and
/// histories.
fn agree(driver: &Driver, gpu: &Gpu, data: &Dataset, training: &Training) {
    let expected = train(Engine::Cpu, data, training);
    for precision in [Precision::Native, Precision::Exact] {
        let what = format!(
            "{}x{}, {precision}, {training:?} on {}",
            data.rows(),
            data.feature_count(),
            driver.name
        );
        let actual = train(Engine::Gpu { gpu, precision }, data, training);
        if precision == Precision::Exact || driver.rounds_correctly() {
            let bits = |model: &LinearModel| {
                let all = model.weights.iter().chain([&model.bias]);
                all.map(|value| value.to_bits()).collect::<Vec<_>>()
            };
            assert_eq!(bits(&actual.model), bits(&expected.model), "{what}");
            assert_eq!(actual.history, expected.history, "{what}");
        } else {
            // Rounding differs in each step, so only the final loss is compared.
            let relative = (actual.loss - expected.loss).abs() / expected.loss;
            assert!(relative < 1e-5, "{what}: losses are {relative:e} apart");
        }
    }
}

fn shapes(driver: &Driver) {
    for (rows, features) in [(1, 1), (7, 3), (33, 31), (100, 32), (65, 100), (4097, 5)] {
        let data = synthetic(rows, features, 3).dataset;
        for batch_size in [1, 10, 64, 5000] {
            if rows > 100 && batch_size == 1 {
                continue; // thousands of steps test no more than a hundred
            }
            let training = Training {
                batch_size,
                epochs: 1,
                seed: 5,
                evaluate_every: 50,
                ..Training::default()
            };
            agree(driver, driver.gpu(), &data, &training);
        }
    }
}

/// A small model for every formula, because its kernel contains the rule's update. Then, once for
/// each rule and in every precision, the same model, the same with streamed rows, and a model that
/// the optimizer's own kernel steps: those kernels do not depend on the formula.
fn every_formula(driver: &Driver) {
    let precisions = driver.precisions();
    let last = &precisions[precisions.len() - 1..];
    for rule in AnyRule::examples() {
        with_rule!(rule, |rule| formula(driver, last, (120, 7, 10, None), rule));
    }
    for rule in each_rule() {
        for shape in [(120, 7, 10, None), (120, 7, 10, Some(1000)), (33, 1100, 16, None)] {
            with_rule!(rule, |rule| formula(driver, precisions, shape, rule));
        }
    }
}

/// Rows, features, rows of a batch, and the device memory for the table in bytes.
type Shape = (u32, usize, usize, Option<u64>);

fn formula<R: Rule>(
    driver: &Driver,
    precisions: &[Precision],
    (rows, features, batch_size, gpu_memory): Shape,
    mut rule: R,
) {
    // Small enough for rules that maximize.
    rule.set_learning_rate(0.01);
    let data = synthetic(rows, features, 4).dataset;
    let training = Training { batch_size, epochs: 2, gpu_memory, ..Training::default() };
    let expected = train_by(rule, Engine::Cpu, &data, &training);
    for &precision in precisions {
        let engine = Engine::Gpu { gpu: driver.gpu(), precision };
        let actual = train_by(rule, engine, &data, &training);
        let seconds_per_epoch = expected.seconds_per_epoch;
        let what = format!("{rows}x{features}, {precision}, {rule:?} on {}", driver.name);
        assert_eq!(Trained { seconds_per_epoch, ..actual }, expected, "{what}");
    }
}

fn large_batch(driver: &Driver) {
    // 164 MB: larger than lavapipe's largest binding.
    let (rows, features) = (4096, 10_000);
    let table = Array2::from_shape_vec((rows, features), values(rows * features, 1, 3)).unwrap();
    let target = Array1::from(values(rows, 2, 3));
    let data = Dataset::new(table, target).unwrap();
    let training =
        Training { batch_size: rows, epochs: 1, seed: 0, evaluate_every: 0, ..Training::default() };
    agree(driver, driver.gpu(), &data, &training);
}

/// Models at and around each limit of the kernel for small models: the rows of a batch, the groups
/// of columns, the work of a batch, and the width of a row that one invocation predicts. The last
/// takes more steps than a submission has. Each step has its own learning rate.
fn small_models(driver: &Driver) {
    for (rows, features, batch_size) in [
        (2100, 15, 1023),
        (2100, 15, 1024),
        (2100, 14, 1025),
        (50, 1019, 15),
        (50, 1023, 16),
        (50, 1024, 15),
        (70, 31, 20),
        (70, 32, 20),
        (5000, 1, 1),
    ] {
        let data = synthetic(rows, features, 3).dataset;
        let schedule = Schedule::Exponential { factor: 0.999 };
        let training = Training { batch_size, evaluate_every: 0, schedule, ..Training::default() };
        agree(driver, driver.gpu(), &data, &training);
    }
}

/// lavapipe silently ends the loops of an invocation after 65,535 iterations. One invocation would
/// need more in two cases: if all batches of 16 rows, or of one row, were in one dispatch; and if
/// it added its run of a batch of two million rows, 65,625 rows, at once.
fn many_iterations(driver: &Driver) {
    for (rows, features, batch_size) in [(5000, 300, 16), (100, 900, 1)] {
        let data = synthetic(rows, features, 6).dataset;
        let training = Training { batch_size, epochs: 1, evaluate_every: 0, ..Training::default() };
        agree(driver, driver.gpu(), &data, &training);
    }
    let batch_size = 2_100_000;
    let feature = Array2::from_shape_fn((batch_size, 1), |(row, _)| (row % 251) as f32 / 251.0);
    let target = Array1::from_shape_fn(batch_size, |row| (row % 17) as f32 / 17.0);
    let data = Dataset::new(feature, target).unwrap();
    let training = Training { batch_size, epochs: 1, evaluate_every: 0, ..Training::default() };
    if driver.rounds_correctly() {
        let on = |engine| train(engine, &data, &training).model;
        assert_eq!(on(native(driver.gpu())), on(Engine::Cpu), "{}", driver.name);
    }
}

/// Buffers too small for all hyper-parameters of a submission, and for a streaming buffer of the
/// usual size with its targets.
fn lowered_limits(driver: &Driver) {
    let small = driver.with_limits(|limits| {
        limits.max_storage_buffer_binding_size = 32 << 10;
        limits.max_buffer_size = 32 << 10;
    });
    for (rows, features, batch_size, gpu_memory) in
        [(1000, 3, 1, None), (3000, 7, 10, Some(60_000))]
    {
        let data = synthetic(rows, features, 4).dataset;
        let training =
            Training { batch_size, gpu_memory, evaluate_every: 0, ..Training::default() };
        agree(driver, &small, &data, &training);
    }
}

fn several_tables(driver: &Driver) {
    // A table holds 23 rows of 41 features, so a batch of 500 has 22 pieces. The wide table has its
    // partial sums in blocks of 8 groups of columns.
    let small = driver.with_limits(|limits| {
        limits.max_storage_buffer_binding_size = 4096;
        // A submission then has room for 128 dispatches, less than one batch needs.
        limits.max_buffer_size = 32 << 10;
    });
    for (rows, features, batch_size) in [(700, 41, 500), (300, 200, 7), (90, 900, 33)] {
        let data = synthetic(rows, features, 4).dataset;
        let training =
            Training { batch_size, epochs: 2, seed: 1, evaluate_every: 100, ..Training::default() };
        agree(driver, &small, &data, &training);
    }
}

/// Classes are the sign of the target. Small and large models, in one table and in several.
fn logistic(driver: &Driver) {
    let small = driver.with_limits(|limits| limits.max_storage_buffer_binding_size = 4096);
    for (gpu, rows, features, batch_size, gpu_memory) in [
        (driver.gpu(), 300, 7, 10, None),
        (driver.gpu(), 300, 7, 10, Some(2000)),
        (driver.gpu(), 200, 100, 200, None),
        (&small, 200, 100, 50, None),
    ] {
        let data = synthetic(rows, features, 4).dataset;
        let target = data.target().mapv(|value| if value > 0.0 { 1.0 } else { 0.0 });
        let data = Dataset::new(data.features().to_owned(), target).unwrap();
        for penalty in
            [Penalty::default(), Penalty { l1: 0.01, l2: 0.0 }, Penalty { l1: 0.003, l2: 0.1 }]
        {
            let loss = Loss::Logistic;
            let training =
                Training { loss, penalty, batch_size, gpu_memory, ..Training::default() };
            agree(driver, gpu, &data, &training);
        }
    }
}

fn streamed(driver: &Driver) {
    // Streaming buffers that hold one row, several batches, a part of a batch, and one that the
    // last batch of an epoch does not fill; small and large models. The first number is bytes for
    // rows.
    for (gpu_memory, rows, features, batch_size) in [
        (0, 30, 4, 7),
        (2000, 700, 41, 3),
        (2000, 700, 41, 100),
        (40_000, 1111, 5, 10),
        (40_000, 300, 900, 64),
    ] {
        let data = synthetic(rows, features, 4).dataset;
        let training = Training {
            batch_size,
            epochs: 2,
            seed: 1,
            evaluate_every: 100,
            gpu_memory: Some(gpu_memory),
            ..Training::default()
        };
        agree(driver, driver.gpu(), &data, &training);
    }
}

/// 24 MB of rows streamed through 1 MB. The allowance: that buffer and two staging buffers of its
/// size, order and residuals of the rows, and a fixed amount for hyper-parameters and the rest.
fn streaming_memory(driver: &Driver) {
    // Its own device, because other checks allocate on the shared one.
    let gpu = driver.with_limits(|_| ());
    let device = gpu.device();
    let allocated =
        || device.generate_allocator_report().map(|report| report.total_allocated_bytes);
    let Some(before) = allocated() else { return };
    let data = synthetic(12_000, 499, 4).dataset;
    let training = Training {
        batch_size: 100,
        epochs: 1,
        gpu_memory: Some(1 << 20),
        evaluate_every: 6000,
        ..Training::default()
    };
    let mut peak = 0;
    let observe = |_: &_| {
        peak = peak.max(allocated().unwrap_or_default().saturating_sub(before));
        ControlFlow::Continue(())
    };
    train_blocking(native(&gpu), RULE, &data, &training, observe).unwrap();
    let allowed = 3 * (1 << 20) + 8 * 12_000 + (1 << 20);
    assert!((1 << 20..=allowed).contains(&peak), "{peak} bytes");
}

/// With an epsilon of 0, the padding after the last column becomes NaN. It must not reach a sum.
fn padding(driver: &Driver) {
    let rule = Adagrad { epsilon: 0.0, ..RULE };
    let data = synthetic(40, 5, 2).dataset;
    let training = Training::default();
    let run = |engine| {
        train_blocking(engine, rule, &data, &training, |_| ControlFlow::Continue(())).unwrap()
    };
    let exact = Engine::Gpu { gpu: driver.gpu(), precision: Precision::Exact };
    assert_eq!(run(exact).model, run(Engine::Cpu).model);
}

fn history(driver: &Driver) {
    let data = synthetic(1000, 4, 9).dataset;
    let training =
        Training { batch_size: 5, epochs: 3, seed: 2, evaluate_every: 10, ..Training::default() };
    agree(driver, driver.gpu(), &data, &training);
}

fn predictions(driver: &Driver) {
    let data = synthetic(3001, 37, 6).dataset;
    let model = LinearModel { weights: values(37, 3, 2), bias: 0.75 };
    let expected = predict_blocking(Engine::Cpu, &model, data.features()).unwrap();
    let actual = predict_blocking(native(driver.gpu()), &model, data.features()).unwrap();
    if driver.rounds_correctly() {
        assert_eq!(actual, expected);
    }
    assert_eq!(actual.len(), 3001);
}

fn interrupted(driver: &Driver) {
    let data = synthetic(1000, 4, 9).dataset;
    let training = Training { epochs: 1000, ..Training::default() };
    let mut calls = 0;
    let error = train_blocking(native(driver.gpu()), RULE, &data, &training, |progress| {
        calls += 1;
        if progress.examples > 5000 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
    .unwrap_err();
    assert_eq!(error.to_string(), "training was interrupted in epoch 6");
    assert!(calls > 1);
}
