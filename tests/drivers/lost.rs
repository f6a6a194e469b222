//! Lost devices: every call reports the loss, whether we or the caller opened the device.

use std::ops::ControlFlow;

use ndarray::Array1;
use wgpu_optim::data::{SparseDataset, synthetic};
use wgpu_optim::linear::{
    Data, Engine, LinearModel, Training, predict_blocking, predict_sparse_blocking, train_blocking,
};
use wgpu_optim::{
    Adagrad, Gpu, GpuGroupOptimizer, GpuOptimizer, GpuRequest, GpuVec, GradientGuard, NonFinite,
    ParamGroup, Precision,
};

use crate::Check;
use crate::driver::Driver;

pub(crate) const CHECKS: &[Check] = &[
    ("every call on a destroyed device reports the loss", every_call),
    ("a device destroyed during training", in_training),
];

/// The whole message of every error about a lost device.
const LOST: &str = "the device was lost: make a new one";

/// Recording does not submit, so it may report the loss only after this many calls.
const RECORDS: usize = 128;

const LEN: usize = 1000;

fn rule() -> Adagrad {
    Adagrad { learning_rate: 0.1, ..Adagrad::default() }
}

/// The text of a failed call's error, for all types of errors.
type Outcome = Result<(), String>;

fn text<T, E: std::fmt::Display>(result: Result<T, E>) -> Outcome {
    result.map(drop).map_err(|error| error.to_string())
}

/// A call that is prepared before the device is lost: its name, after how many calls it must report
/// the loss, and the call.
type Call = (&'static str, usize, Box<dyn FnMut() -> Outcome>);

fn call<T, E: std::fmt::Display>(
    name: &'static str,
    mut work: impl FnMut() -> Result<T, E> + 'static,
) -> Call {
    (name, 1, Box::new(move || text(work())))
}

/// A device for one check. It is never dropped: these drivers are known to fail when many devices
/// are created and destroyed.
fn open(driver: &Driver) -> Gpu {
    let request = GpuRequest::named(driver.gpu().info().name);
    let gpu = Gpu::request_blocking(&request).unwrap();
    std::mem::forget(gpu.clone());
    gpu
}

/// The device as a caller passes it, which does not know of the loss from another call.
fn handed_in(gpu: &Gpu) -> Gpu {
    Gpu::from_wgpu(gpu.device().clone(), gpu.queue().clone())
}

fn every_call(driver: &Driver) {
    let opened = open(driver);
    let mut calls: Vec<Call> = [vectors, steps, rows_and_groups, models]
        .into_iter()
        .flat_map(|calls| calls(&opened))
        .collect();
    opened.wait_blocking().unwrap();
    assert!(!opened.is_lost());
    opened.device().destroy();
    let mut wrong = Vec::new();
    for (name, within, call) in &mut calls {
        let noticed = (0..*within).find_map(|_| call().err());
        let again = call().err();
        if [&noticed, &again].map(Option::as_deref) != [Some(LOST); 2] {
            wrong.push((*name, noticed, again));
        }
    }
    assert!(wrong.is_empty(), "{}: {wrong:#?}", driver.name);
    assert!(opened.is_lost() && handed_in(&opened).is_lost());
}

fn vectors(opened: &Gpu) -> Vec<Call> {
    let with = |name, work: fn(&Gpu, &GpuVec) -> Outcome| {
        let gpu = handed_in(opened);
        let vector = gpu.upload(&[1.0; LEN]).unwrap();
        call(name, move || work(&gpu, &vector))
    };
    vec![
        with("zeros", |gpu, _| text(gpu.zeros(LEN))),
        with("upload", |gpu, _| text(gpu.upload(&[1.0; 4]))),
        with("write", |gpu, vector| text(gpu.write(vector, &[2.0; LEN]))),
        with("fill", |gpu, vector| text(gpu.fill(vector, 2.0))),
        with("download", |gpu, vector| text(vector.download_blocking(gpu))),
        with("wait", |gpu, _| text(gpu.wait_blocking())),
        with("an optimizer", |gpu, _| text(GpuOptimizer::new(gpu, rule(), LEN))),
    ]
}

fn steps(opened: &Gpu) -> Vec<Call> {
    let guard = GradientGuard { non_finite: NonFinite::SkipStep, max_norm: Some(1.0) };
    let stepped = |warm: bool, guard: GradientGuard| {
        let gpu = handed_in(opened);
        let (params, grads) = (gpu.zeros(LEN).unwrap(), gpu.zeros(LEN).unwrap());
        let optimizer = GpuOptimizer::new(&gpu, rule(), LEN).unwrap();
        let mut optimizer = optimizer.with_guard(guard).unwrap();
        if warm {
            optimizer.step(&params, &grads).unwrap();
            optimizer.step(&params, &grads).unwrap();
        }
        (gpu, optimizer, params, grads)
    };
    let plain = GradientGuard::default();
    let step = |name, warm, guard| {
        let (_, mut optimizer, params, grads) = stepped(warm, guard);
        call(name, move || optimizer.step(&params, &grads))
    };
    let (_, mut renewed, params, grads) = stepped(true, plain);
    let mut rate = 0.1;
    let renewed = call("a step with a new rate", move || {
        rate += 0.1;
        renewed.set_learning_rate(rate)?;
        renewed.step(&params, &grads)
    });
    let (gpu, mut recorded, params, grads) = stepped(true, plain);
    let recorded = call("a recorded step", move || {
        let mut encoder = gpu.device().create_command_encoder(&Default::default());
        recorded.record(&mut encoder, &params, &grads)
    });
    let (_, reported, ..) = stepped(true, guard);
    let (_, cleared, ..) = stepped(true, guard);
    vec![
        step("a first step", false, plain),
        step("a step", true, plain),
        renewed,
        (recorded.0, RECORDS, recorded.2),
        step("a first guarded step", false, guard),
        step("a guarded step", true, guard),
        call("a report", move || reported.report_blocking()),
        call("clearing a report", move || cleared.clear_report()),
    ]
}

fn rows_and_groups(opened: &Gpu) -> Vec<Call> {
    let rows = |warm: bool| {
        let gpu = handed_in(opened);
        let (params, grads) = (gpu.zeros(LEN).unwrap(), gpu.zeros(20).unwrap());
        let mut optimizer = GpuOptimizer::new(&gpu, rule(), LEN).unwrap();
        if warm {
            optimizer.step_rows(&params, &grads, &[1, 7]).unwrap();
        }
        move || optimizer.step_rows(&params, &grads, &[1, 7])
    };
    let groups = |warm: bool| {
        let gpu = handed_in(opened);
        let lens = vec![5, LEN];
        let (params, grads) = (gpu.zeros_many(&lens).unwrap(), gpu.zeros_many(&lens).unwrap());
        let mut optimizer =
            GpuGroupOptimizer::new(&gpu, &[ParamGroup { rule: rule(), lens }]).unwrap();
        if warm {
            optimizer.step(&params, &grads).unwrap();
        }
        move || optimizer.step(&params, &grads)
    };
    vec![
        call("a first step of rows", rows(false)),
        call("a step of rows", rows(true)),
        call("a first step of groups", groups(false)),
        call("a step of groups", groups(true)),
    ]
}

fn sparse() -> SparseDataset {
    let target = Array1::from_iter((0..60_u8).map(f32::from));
    let (starts, columns) = ((0..=60).collect(), (0..60).map(|row| row % 9).collect());
    SparseDataset::new(9, starts, columns, vec![1.0; 60], target).unwrap()
}

fn models(opened: &Gpu) -> Vec<Call> {
    let on = |name, work: fn(Engine<'_>) -> Outcome| {
        let gpu = handed_in(opened);
        call(name, move || work(Engine::Gpu { gpu: &gpu, precision: Precision::Native }))
    };
    vec![
        on("training", |engine| train(engine, None, &mut || ())),
        on("streamed training", |engine| train(engine, Some(2000), &mut || ())),
        on("sparse training", |engine| {
            let observe = |_: &_| ControlFlow::Continue(());
            text(train_blocking(engine, rule(), &sparse(), &Training::default(), observe))
        }),
        on("prediction", |engine| {
            let data = synthetic(60, 9, 4).dataset;
            text(predict_blocking(engine, &model(), data.features()))
        }),
        on("sparse prediction", |engine| {
            text(predict_sparse_blocking(engine, &model(), &sparse()))
        }),
    ]
}

fn model() -> LinearModel {
    LinearModel { weights: vec![0.5; 9], bias: 0.5 }
}

fn train(engine: Engine<'_>, gpu_memory: Option<u64>, observe: &mut dyn FnMut()) -> Outcome {
    let training = Training { gpu_memory, ..Training::default() };
    train_on(engine, (&synthetic(2000, 9, 4).dataset).into(), &training, observe)
}

fn train_on(
    engine: Engine<'_>,
    data: Data<'_>,
    training: &Training,
    observe: &mut dyn FnMut(),
) -> Outcome {
    let observe = |_: &_| {
        observe();
        ControlFlow::Continue(())
    };
    text(train_blocking(engine, rule(), data, training, observe))
}

/// Dense, streamed and sparse training. The device is destroyed after the first sample of the loss.
/// Progressive losses are read back often.
fn in_training(driver: &Driver) {
    let (dense, sparse) = (synthetic(2000, 9, 4).dataset, sparse());
    let runs: [(Data<'_>, Option<u64>); 3] =
        [((&dense).into(), None), ((&dense).into(), Some(2000)), ((&sparse).into(), None)];
    for (data, gpu_memory) in runs {
        for progressive in [false, true] {
            let gpu = open(driver);
            let engine = Engine::Gpu { gpu: &gpu, precision: Precision::Native };
            let training = Training { gpu_memory, progressive, ..Training::default() };
            train_on(engine, data, &training, &mut || ()).unwrap();
            let lost = train_on(engine, data, &training, &mut || gpu.device().destroy());
            assert_eq!(lost, Err(LOST.to_owned()), "{gpu_memory:?} {progressive}");
        }
    }
}
