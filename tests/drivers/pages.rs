//! Optimizers whose state shares a page with that of other optimizers: no result changes.

use std::slice;

use wgpu_optim::{
    Adagrad, CpuOptimizer, Gpu, GpuGroupOptimizer, GpuOptimizer, GpuVec, GradientGuard, ParamGroup,
    Precision, wgpu,
};

use crate::Check;
use crate::driver::Driver;
use crate::reference::values;

pub(crate) const CHECKS: &[Check] = &[
    ("pages: an optimizer is dropped before its encoder is submitted", dropped),
    ("pages: state is stepped, and dropped before the encoder is submitted", lent),
    ("pages: gradients and parameters are another optimizer's state", borrowed),
];

const LEN: usize = 120;
const WIDTH: usize = 8;

fn rule() -> Adagrad {
    Adagrad { initial_accumulator: 0.5, ..Adagrad::default() }
}

fn new(gpu: &Gpu) -> GpuOptimizer<Adagrad> {
    let optimizer = GpuOptimizer::new(gpu, rule(), LEN).unwrap();
    optimizer.with_precision(Precision::Exact)
}

/// Records one step of an optimizer with a state of `LEN` elements, and drops the optimizer.
type Record = fn(&Gpu, &mut wgpu::CommandEncoder, &GpuVec, &GpuVec);

const RECORDS: [(&str, Record); 5] = [
    ("dense", dense),
    ("guarded", guarded),
    ("rows", rows),
    ("row-wise", row_wise),
    ("groups", group),
];

fn clipped() -> GradientGuard {
    GradientGuard { max_norm: Some(1.0), ..GradientGuard::default() }
}

fn dense(gpu: &Gpu, encoder: &mut wgpu::CommandEncoder, params: &GpuVec, grads: &GpuVec) {
    new(gpu).record(encoder, params, grads).unwrap();
}

fn guarded(gpu: &Gpu, encoder: &mut wgpu::CommandEncoder, params: &GpuVec, grads: &GpuVec) {
    new(gpu).with_guard(clipped()).unwrap().record(encoder, params, grads).unwrap();
}

fn rows(gpu: &Gpu, encoder: &mut wgpu::CommandEncoder, params: &GpuVec, grads: &GpuVec) {
    let named: Vec<u32> = (0..(LEN / WIDTH) as u32).collect();
    new(gpu).record_rows(encoder, params, grads, &named).unwrap();
}

fn row_wise(gpu: &Gpu, encoder: &mut wgpu::CommandEncoder, params: &GpuVec, grads: &GpuVec) {
    let optimizer = GpuOptimizer::row_wise(gpu, rule(), LEN, 1).unwrap();
    optimizer.with_precision(Precision::Exact).record(encoder, params, grads).unwrap();
}

fn group(gpu: &Gpu, encoder: &mut wgpu::CommandEncoder, params: &GpuVec, grads: &GpuVec) {
    let groups = [ParamGroup { rule: rule(), lens: vec![LEN] }];
    let optimizer = GpuGroupOptimizer::new(gpu, &groups).unwrap();
    let mut optimizer = optimizer.with_precision(Precision::Exact);
    optimizer.record(encoder, slice::from_ref(params), slice::from_ref(grads)).unwrap();
}

fn dropped(driver: &Driver) {
    let gpu = driver.gpu();
    let (host, gradient) = (values(LEN, 1, 5), values(LEN, 2, 5));
    let (old, grads) = (gpu.upload(&host).unwrap(), gpu.upload(&gradient).unwrap());
    for (what, record) in RECORDS {
        let mut encoder = gpu.device().create_command_encoder(&Default::default());
        for _ in 0..3 {
            record(gpu, &mut encoder, &old, &grads);
        }
        // New optimizers reuse the state of dropped ones as soon as it is free.
        let mut optimizers: Vec<_> = (0..4).map(|_| new(gpu)).collect();
        gpu.queue().submit([encoder.finish()]);
        let mut expected = host.clone();
        let mut twin = CpuOptimizer::new(rule(), LEN).unwrap();
        twin.step(&mut expected, &gradient).unwrap();
        for optimizer in &mut optimizers {
            let params = gpu.upload(&host).unwrap();
            optimizer.step(&params, &grads).unwrap();
            driver.check_exact(what, &expected, &params.download_blocking(gpu).unwrap());
            let state = optimizer.state(0).download_blocking(gpu).unwrap();
            driver.check_exact(&format!("{what}, state"), twin.state(0), &state);
        }
    }
}

/// An optimizer that reuses freed memory fills it before the next submission.
fn lent(driver: &Driver) {
    let gpu = driver.gpu();
    let (host, gradient) = (values(LEN, 1, 5), values(LEN, 2, 5));
    for ((what, record), params_too) in
        RECORDS.into_iter().flat_map(|record| [(record, false), (record, true)])
    {
        let lend = |values: &[f32]| {
            let vector = new(gpu).state(0).clone();
            gpu.write(&vector, values).unwrap();
            vector
        };
        let own = gpu.upload(&host).unwrap();
        let params = if params_too { lend(&host) } else { own.clone() };
        let grads = lend(&gradient);
        let mut encoder = gpu.device().create_command_encoder(&Default::default());
        record(gpu, &mut encoder, &params, &grads);
        drop((params, grads));
        let newer: Vec<_> = (0..4).map(|_| new(gpu)).collect();
        gpu.queue().submit([encoder.finish()]);
        if !params_too {
            let guard = if what == "guarded" { clipped() } else { GradientGuard::default() };
            let mut twin = CpuOptimizer::new(rule(), LEN).unwrap().with_guard(guard).unwrap();
            let mut expected = host.clone();
            twin.step(&mut expected, &gradient).unwrap();
            driver.check_exact(what, &expected, &own.download_blocking(gpu).unwrap());
        }
        for optimizer in &newer {
            let state = optimizer.state(0).download_blocking(gpu).unwrap();
            driver.check_exact(&format!("{what}, state of another"), &[0.5; LEN], &state);
        }
    }
}

/// An optimizer, and the state of two others, all in one page.
fn lenders(gpu: &Gpu) -> (GpuOptimizer<Adagrad>, GpuVec, GpuVec) {
    let buffer = |optimizer: &GpuOptimizer<Adagrad>| {
        optimizer.state(0).buffers().next().map(|(buffer, _)| buffer.clone())
    };
    // A page has room for many vectors; other checks may use some of it.
    let mut all: Vec<_> = (0..64).map(|_| new(gpu)).collect();
    let page = buffer(&all[63]);
    all.retain(|optimizer| buffer(optimizer) == page);
    assert!(all.len() >= 3, "{} share a page", all.len());
    let state = |optimizer: GpuOptimizer<Adagrad>| optimizer.state(0).clone();
    (all.pop().unwrap(), state(all.pop().unwrap()), state(all.pop().unwrap()))
}

fn borrowed(driver: &Driver) {
    let gpu = driver.gpu();
    let guards = [None, Some(1.0)];
    let (host, gradient) = (values(LEN, 1, 5), values(LEN, 2, 5));
    let named: Vec<u32> = [3, 1, 3].into();
    for (guard, row) in guards.into_iter().flat_map(|guard| [(guard, false), (guard, true)]) {
        for params_too in [false, true] {
            let (optimizer, lent, params) = lenders(gpu);
            let guard = GradientGuard { max_norm: guard, ..GradientGuard::default() };
            let mut optimizer = optimizer.with_guard(guard).unwrap();
            let params = if params_too { params } else { gpu.zeros(LEN).unwrap() };
            gpu.write(&params, &host).unwrap();
            gpu.write(&lent, &gradient).unwrap();
            let mut expected = host.clone();
            let mut twin = CpuOptimizer::new(rule(), LEN).unwrap().with_guard(guard).unwrap();
            for _ in 0..2 {
                if row {
                    let count = named.len() * WIDTH;
                    let part = lent.slice(0..count).unwrap();
                    optimizer.step_rows(&params, &part, &named).unwrap();
                    twin.step_rows(&mut expected, &gradient[..count], &named).unwrap();
                } else {
                    optimizer.step(&params, &lent).unwrap();
                    twin.step(&mut expected, &gradient).unwrap();
                }
            }
            let what = format!("borrowed, rows: {row}, {guard:?}, parameters: {params_too}");
            driver.check_exact(&what, &expected, &params.download_blocking(gpu).unwrap());
            let state = optimizer.state(0).download_blocking(gpu).unwrap();
            driver.check_exact(&what, twin.state(0), &state);
            driver.check_exact(&what, &gradient, &lent.download_blocking(gpu).unwrap());
        }
    }
    // Rows that share state, with gradients in the same page.
    let (_, lent, _) = lenders(gpu);
    gpu.write(&lent, &gradient).unwrap();
    let optimizer = GpuOptimizer::row_wise(gpu, rule(), LEN, 1).unwrap();
    let mut optimizer = optimizer.with_precision(Precision::Exact);
    let params = gpu.upload(&host).unwrap();
    optimizer.step(&params, &lent).unwrap();
    let mut twin = CpuOptimizer::row_wise(rule(), LEN, 1).unwrap();
    let mut expected = host.clone();
    twin.step(&mut expected, &gradient).unwrap();
    driver.check_exact("borrowed, row-wise", &expected, &params.download_blocking(gpu).unwrap());
}
