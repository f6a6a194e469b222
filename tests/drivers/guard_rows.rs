//! A guard over the summed gradients of rows, and over the gradients of row-wise optimizers: every
//! policy against the CPU engine, and against results worked out by hand.

use wgpu_optim::{
    Adagrad, Adam, CpuOptimizer, Gpu, GpuOptimizer, GradientGuard, NonFinite, Precision, Rule,
};

use crate::Check;
use crate::driver::Driver;
use crate::guard::{POLICIES, guards, may_see_bad};
use crate::reference::values;
use crate::rows::{Pair, indices};

pub(crate) const CHECKS: &[Check] = &[
    ("guard of rows: every policy, rows of any length", every_policy),
    ("guard of rows: it scans the sums", sums),
    ("guard of rows: a row named 40,000 times", often),
    ("guard of rows: gradients and sums in many parts", parts),
    ("guard of rows: row-wise optimizers, named rows and all rows", row_wise),
    ("guard of rows: row-wise optimizers in many parts", row_wise_parts),
    ("guard of rows: the mean is of clipped gradients, by hand", by_hand),
    ("guard of rows: good and bad steps recorded in one encoder", recorded),
];

/// A guard and a precision, for a check on one device.
#[derive(Clone, Copy)]
struct Guarded<'a> {
    driver: &'a Driver,
    gpu: &'a Gpu,
    precision: Precision,
    guard: GradientGuard,
}

impl<'a> Guarded<'a> {
    /// A table on both engines. Its rows share state if `row_wise`.
    fn pair<R: Rule>(self, rule: R, rows: usize, width: usize, row_wise: bool) -> Pair<'a, R> {
        let Self { driver, gpu, precision, guard } = self;
        let host = values(rows * width, 1, 5);
        let (optimizer, reference) = if row_wise {
            let reference = CpuOptimizer::row_wise(rule, rows, width);
            (GpuOptimizer::row_wise(gpu, rule, rows, width), reference)
        } else {
            (GpuOptimizer::new(gpu, rule, host.len()), CpuOptimizer::new(rule, host.len()))
        };
        let optimizer = optimizer.unwrap().with_guard(guard).unwrap().with_precision(precision);
        let reference = reference.unwrap().with_guard(guard).unwrap();
        Pair { driver, gpu, params: gpu.upload(&host).unwrap(), host, reference, optimizer }
    }

    /// Gradients of step number `step`, from 0. In step 1 some are non-finite, if they may be;
    /// those of step 2 have a small norm.
    fn gradients(self, len: usize, step: u32) -> Vec<f32> {
        let mut gradients = values(len, step + 2, 5);
        if step == 1 && may_see_bad(self.guard, self.precision) {
            gradients[len / 2] = f32::NAN;
            gradients[len - 1] = f32::INFINITY;
        }
        if step == 2 {
            gradients.iter_mut().for_each(|g| *g *= 2_f32.powi(-12));
        }
        gradients
    }

    /// Three steps over `count` row gradients; some rows are named twice.
    fn named<R: Rule>(self, rule: R, (rows, width, count): (usize, usize, usize), row_wise: bool) {
        let mut pair = self.pair(rule, rows, width, row_wise);
        for step in 0..3 {
            let gradients = self.gradients(count * width, step);
            pair.step(&gradients, &indices(rows, count, step.into()));
        }
        let Self { precision, guard, .. } = self;
        pair.check(&format!("{count} of {rows} rows of {width}, {precision}, {guard:?}, {rule:?}"));
    }

    /// Three steps over all rows of a row-wise optimizer.
    fn all<R: Rule>(self, rule: R, rows: usize, width: usize) {
        let mut pair = self.pair(rule, rows, width, true);
        for step in 0..3 {
            pair.step_dense(&self.gradients(rows * width, step));
        }
        let Self { precision, guard, .. } = self;
        pair.check(&format!("all {rows} rows of {width}, {precision}, {guard:?}, {rule:?}"));
    }
}

fn every_policy(driver: &Driver) {
    let gpu = driver.gpu();
    for &precision in driver.precisions() {
        for guard in guards(2.0) {
            let guarded = Guarded { driver, gpu, precision, guard };
            for (width, count) in [(1, 9000), (3, 3000), (4, 1100), (64, 100)] {
                guarded.named(Adagrad::default(), (2000, width, count), false);
            }
            guarded.named(Adam::default(), (50, 7, 40), false);
        }
    }
}

/// Gradients whose sum overflows count as one non-finite value, and so do two infinities in one
/// sum. The report gives the position among the sums.
fn sums(driver: &Driver) {
    for non_finite in POLICIES {
        let guard = GradientGuard { non_finite, max_norm: Some(4.0) };
        let guarded = Guarded { driver, gpu: driver.gpu(), precision: Precision::Exact, guard };
        let mut pair = guarded.pair(Adagrad::default(), 9, 2, false);
        let big = f32::MAX;
        let infinite = [f32::INFINITY, f32::NEG_INFINITY];
        pair.step(&[1.0, big, 2.0, 0.5, 3.0, big], &[7, 2, 7]);
        pair.check("a sum that overflows");
        assert_eq!(pair.reference.report().first, Some(3), "of rows 2 and 7");
        pair.step(&[infinite[0], 1.0, 2.0, 0.5, infinite[1], 1.0], &[7, 2, 7]);
        pair.check("infinities in one sum");
        assert_eq!(pair.reference.report().non_finite, 2);
        // Rows 0 and 1 with sums (3, 0) and (4, 0).
        pair.step(&[1.0, 1.0, 4.0, 0.0, 2.0, -1.0], &[0, 1, 0]);
        pair.check("3-4-5");
        assert_eq!(pair.optimizer.report_blocking().unwrap().norm, Some(5.0));
    }
}

fn often(driver: &Driver) {
    for &precision in driver.precisions() {
        for (width, max_norm) in [(1, None), (3, Some(1.0)), (4, Some(1.0))] {
            let guard = GradientGuard { non_finite: NonFinite::SkipElement, max_norm };
            let guarded = Guarded { driver, gpu: driver.gpu(), precision, guard };
            let mut named: Vec<u32> = vec![0, 1, 3, 3, 6];
            named.extend(std::iter::repeat_n(2, 40_000));
            named.extend([5, 6]);
            let mut pair = guarded.pair(Adagrad::default(), 7, width, false);
            let mut gradients = values(named.len() * width, 2, 5);
            gradients[30_000 * width] = f32::NAN;
            pair.step(&gradients, &named);
            pair.check(&format!("a row of {width} named 40,000 times, {precision}"));
        }
    }
}

/// Limits so low that the table, its gradients, the sums and the lists are split.
fn small(driver: &Driver) -> Gpu {
    driver.with_limits(|limits| {
        limits.max_storage_buffer_binding_size = 4096;
        limits.max_buffer_size = 64 << 10;
        limits.max_storage_buffers_per_shader_stage = 6;
        limits.max_compute_workgroups_per_dimension = 3;
        limits.max_compute_invocations_per_workgroup = 256;
        limits.max_compute_workgroup_size_x = 256;
        limits.max_compute_workgroup_size_y = 256;
    })
}

fn parts(driver: &Driver) {
    let gpu = &small(driver);
    for &precision in driver.precisions() {
        for non_finite in POLICIES {
            let guard = GradientGuard { non_finite, max_norm: Some(2.0) };
            let guarded = Guarded { driver, gpu, precision, guard };
            // Split gradients and split rows; rows longer than a binding; split lists.
            for shape in [(5000, 8, 20), (999, 9, 400), (12, 1500, 9), (20_000, 1, 5000)] {
                guarded.named(Adagrad::default(), shape, false);
            }
        }
    }
}

/// Only in exact precision: natively, lavapipe multiplies by the reciprocal of the divisor that all
/// columns share, as WGSL allows.
fn row_wise(driver: &Driver) {
    let (gpu, precision) = (driver.gpu(), Precision::Exact);
    for guard in guards(2.0) {
        let guarded = Guarded { driver, gpu, precision, guard };
        for (rows, width, count) in [(900, 1, 500), (90, 3, 70), (30, 64, 40)] {
            guarded.named(Adagrad::default(), (rows, width, count), true);
            guarded.all(Adagrad::default(), rows, width);
        }
        if guard.max_norm.is_some() {
            let rule = Adam { amsgrad: true, ..Adam::default() };
            guarded.named(rule, (30, 5, 40), true);
            guarded.all(rule, 900, 5);
        }
    }
}

fn row_wise_parts(driver: &Driver) {
    let (gpu, precision) = (&small(driver), Precision::Exact);
    for non_finite in POLICIES {
        let guard = GradientGuard { non_finite, max_norm: Some(2.0) };
        let guarded = Guarded { driver, gpu, precision, guard };
        guarded.named(Adagrad::default(), (999, 9, 400), true);
        guarded.named(Adagrad::default(), (20, 1000, 9), true);
        guarded.all(Adagrad::default(), 1000, 1);
        guarded.all(Adagrad::default(), 999, 9);
        guarded.all(Adagrad::default(), 20, 1000);
    }
}

/// A row with gradients (3, 4) has a norm of 5. With a maximum of 2.5 they become (1.5, 2), whose
/// mean square is 3.125. In (2, NaN) the second element is skipped and counts as 0.
fn by_hand(driver: &Driver) {
    let gpu = driver.gpu();
    let rule = Adagrad::default();
    let guard = GradientGuard { non_finite: NonFinite::SkipElement, max_norm: Some(2.5) };
    for (gradient, norm, mean) in
        [([3.0, 4.0], 5.0, 3.125), ([2.0, f32::NAN], 2.0, 2.0), ([1.0, 2.0], 5_f32.sqrt(), 2.5)]
    {
        for named in [false, true] {
            let optimizer = GpuOptimizer::row_wise(gpu, rule, 3, 2).unwrap();
            let optimizer = optimizer.with_precision(Precision::Exact);
            let mut optimizer = optimizer.with_guard(guard).unwrap();
            let params = gpu.upload(&[1.0; 6]).unwrap();
            if named {
                let grads = gpu.upload(&gradient).unwrap();
                optimizer.step_rows(&params, &grads, &[1]).unwrap();
            } else {
                let all = [0.0, 0.0, gradient[0], gradient[1], 0.0, 0.0];
                optimizer.step(&params, &gpu.upload(&all).unwrap()).unwrap();
            }
            assert_eq!(optimizer.report_blocking().unwrap().norm, Some(norm));
            let state = optimizer.state(0).download_blocking(gpu).unwrap();
            assert_eq!(state, [0.0, mean, 0.0], "{gradient:?}, named: {named}");
            let found = params.download_blocking(gpu).unwrap();
            assert_eq!(found[3] == 1.0, gradient[1].is_nan(), "{found:?}");
        }
    }
}

/// Each step has its own rows, learning rate and gradients; some steps have non-finite gradients.
fn recorded(driver: &Driver) {
    let gpu = driver.gpu();
    let (rows, width) = (100, 8);
    for &precision in driver.precisions() {
        let guard = GradientGuard { non_finite: NonFinite::SkipStep, max_norm: Some(10.0) };
        let guarded = Guarded { driver, gpu, precision, guard };
        let mut pair = guarded.pair(Adagrad::default(), rows, width, false);
        let mut encoder = gpu.device().create_command_encoder(&Default::default());
        for step in 0..12_u32 {
            // More rows in each step, so that sums and partials grow within the encoder.
            let count = 1 + 60 * step as usize;
            let mut gradients = values(count * width, step, 5);
            if step % 5 == 3 {
                gradients[step as usize] = f32::NAN;
            }
            let named = indices(rows, count, u64::from(step));
            let rate = 1.0 / (1.0 + step as f32);
            pair.optimizer.set_learning_rate(rate).unwrap();
            pair.reference.set_learning_rate(rate).unwrap();
            let row_gradients = gpu.upload(&gradients).unwrap();
            pair.optimizer.record_rows(&mut encoder, &pair.params, &row_gradients, &named).unwrap();
            pair.reference.step_rows(&mut pair.host, &gradients, &named).unwrap();
        }
        gpu.queue().submit([encoder.finish()]);
        pair.check(&format!("12 recorded steps, {precision}"));
        assert_eq!(pair.reference.report().skipped_steps, 2);
    }
}
