//! Steps in which some tensors have dense gradients, some have row gradients, and some have none,
//! with and without a guard: equal to the CPU engine's.

use wgpu_optim::{
    Adagrad, Adam, AnyRule, GpuVec, GradientGuard, NonFinite, Precision, Rule, TensorGradient,
    with_rule,
};

use crate::Check;
use crate::driver::Driver;
use crate::groups::side_by_side;
use crate::guard::{guards, may_see_bad};
use crate::guard_groups::{GroupPair, two_groups};
use crate::reference::{patterns, values};
use crate::rows::indices;

pub(crate) const CHECKS: &[Check] = &[
    ("mixed: dense, row and missing gradients in one step, with every guard", every_guard),
    ("mixed: lowered limits", lowered_limits),
    ("mixed: a tensor without a gradient keeps every bit", missing),
    ("mixed: a step without any gradient", all_missing),
    ("mixed: N steps in one encoder with N learning rates", recorded),
];

/// The number of rows of each tensor, and their width.
const TABLES: [(usize, usize); 7] =
    [(50, 8), (4097, 1), (3, 1), (333, 3), (1, 1), (64, 64), (700, 1)];

/// The gradients of one tensor on the host.
enum Given {
    Dense(Vec<f32>),
    Rows(Vec<f32>, Vec<u32>),
    Missing,
}

/// The gradients of each tensor in step number `step`. Over three steps, each tensor has every
/// kind.
fn given(step: u32, bad: bool) -> Vec<Given> {
    let last = TABLES.len() - 1;
    let of_table = |(index, &(rows, width)): (usize, &(usize, usize))| {
        let seed = 100 * step + index as u32;
        let spoil = |mut values: Vec<f32>| {
            if bad && index == last {
                *values.last_mut().unwrap() = f32::NAN;
            }
            values
        };
        match (index as u32 + step) % 3 {
            0 => Given::Dense(spoil(values(rows * width, seed, 5))),
            1 => {
                let count = rows.div_ceil(3) + 2;
                let gradients = spoil(values(count * width, seed, 5));
                Given::Rows(gradients, indices(rows, count, seed.into()))
            }
            _ => Given::Missing,
        }
    };
    TABLES.iter().enumerate().map(of_table).collect()
}

fn lens() -> Vec<usize> {
    TABLES.iter().map(|(rows, width)| rows * width).collect()
}

/// The gradients in the form of each engine; `uploaded` are those on the device.
fn engines<'a>(
    given: &'a [Given],
    uploaded: &'a [Option<GpuVec>],
) -> (Vec<TensorGradient<'a, GpuVec>>, Vec<TensorGradient<'a, [f32]>>) {
    let pairs = given.iter().zip(uploaded).map(|(given, vector)| match (given, vector) {
        (Given::Dense(values), Some(vector)) => {
            (TensorGradient::Dense(vector), TensorGradient::Dense(&**values))
        }
        (Given::Rows(values, indices), Some(gradients)) => (
            TensorGradient::Rows { gradients, indices },
            TensorGradient::Rows { gradients: &**values, indices },
        ),
        _ => (TensorGradient::Missing, TensorGradient::Missing),
    });
    pairs.unzip()
}

impl<R: Rule> GroupPair<'_, R> {
    fn upload(&self, given: &[Given]) -> Vec<Option<GpuVec>> {
        let vector = |given: &Given| match given {
            Given::Dense(values) | Given::Rows(values, _) => Some(self.gpu.upload(values).unwrap()),
            Given::Missing => None,
        };
        given.iter().map(vector).collect()
    }

    fn step_given(&mut self, given: &[Given]) {
        let uploaded = self.upload(given);
        let (device, host) = engines(given, &uploaded);
        self.optimizer.step_mixed(&self.params, &device).unwrap();
        self.step_twin(&host);
    }
}

fn steps_of<R: Rule>(
    at: (&Driver, &wgpu_optim::Gpu),
    _: R,
    precision: Precision,
    guard: GradientGuard,
) {
    let mut pair = GroupPair::new(at, &two_groups::<R>(&lens()), precision, guard, side_by_side);
    for step in 0..6 {
        pair.step_given(&given(step, step == 2 && may_see_bad(guard, precision)));
    }
    // Without rows, so that the cached pass is used, and that of the guard.
    for step in 0..3 {
        let mut given = given(step, false);
        for tensor in given.iter_mut().filter(|tensor| matches!(tensor, Given::Rows(..))) {
            *tensor = Given::Missing;
        }
        pair.step_given(&given);
        pair.step_given(&given);
    }
    pair.check("mixed");
}

fn every_guard(driver: &Driver) {
    let at = (driver, driver.gpu());
    for &precision in driver.precisions() {
        for guard in guards(2.0) {
            steps_of(at, Adagrad::default(), precision, guard);
        }
    }
    let precision = *driver.precisions().last().unwrap();
    for name in ["sgd", "rmsprop", "adam"] {
        for max_norm in [None, Some(2.0)] {
            let guard = GradientGuard { max_norm, ..GradientGuard::default() };
            let rule = AnyRule::named(name).unwrap();
            with_rule!(rule, |rule| steps_of(at, rule, precision, guard));
        }
    }
}

fn lowered_limits(driver: &Driver) {
    let gpu = driver.with_limits(|limits| {
        limits.max_storage_buffer_binding_size = 4096;
        limits.max_buffer_size = 64 << 10;
        limits.max_storage_buffers_per_shader_stage = 6;
        limits.max_compute_workgroups_per_dimension = 3;
        limits.max_compute_invocations_per_workgroup = 256;
        limits.max_compute_workgroup_size_x = 256;
        limits.max_compute_workgroup_size_y = 256;
    });
    for &precision in driver.precisions() {
        for guard in [guards(2.0)[0], guards(2.0)[5], guards(2.0)[6]] {
            steps_of((driver, &gpu), Adagrad::default(), precision, guard);
        }
    }
}

/// Parameters and state with all kinds of bits, next to tensors that are stepped.
fn missing(driver: &Driver) {
    let gpu = driver.gpu();
    for guard in [GradientGuard::default(), guards(2.0)[7]] {
        let groups = two_groups::<Adam>(&lens());
        let pair =
            &mut GroupPair::new((driver, gpu), &groups, Precision::Exact, guard, side_by_side);
        let given = given(0, false);
        let is_missing = |&tensor: &usize| matches!(given[tensor], Given::Missing);
        let missing: Vec<_> = (0..given.len()).filter(is_missing).collect();
        assert_eq!(missing, [2, 5]);
        let vectors: Vec<GpuVec> = missing
            .iter()
            .flat_map(|&tensor| {
                let state = (0..pair.optimizer.state_count())
                    .map(|k| pair.optimizer.state(tensor, k).clone());
                [pair.params[tensor].clone()].into_iter().chain(state).collect::<Vec<_>>()
            })
            .collect();
        let content: Vec<_> = (40..).zip(&vectors).map(|(s, v)| patterns(v.len(), s)).collect();
        for (vector, content) in vectors.iter().zip(&content) {
            gpu.write(vector, content).unwrap();
        }
        for _ in 0..2 {
            pair.step_given(&given);
        }
        for (vector, content) in vectors.iter().zip(&content) {
            let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&vector.download_blocking(gpu).unwrap()), bits(content));
        }
        // The others were stepped.
        let found = pair.params[0].download_blocking(gpu).unwrap();
        driver.check_exact("stepped", &pair.hosts[0], &found);
    }
}

/// The norm of no gradients is 0, whatever the previous step left in memory.
fn all_missing(driver: &Driver) {
    let at = (driver, driver.gpu());
    for guard in guards(2.0) {
        let groups = two_groups::<Adagrad>(&lens());
        let mut pair = GroupPair::new(at, &groups, Precision::Exact, guard, side_by_side);
        let none: Vec<_> = TABLES.iter().map(|_| Given::Missing).collect();
        pair.step_given(&none);
        pair.check("no gradient at first");
        pair.step_given(&given(0, may_see_bad(guard, Precision::Exact)));
        pair.step_given(&none);
        pair.check("no gradient");
        // Bound again, to memory that other steps have written.
        pair.optimizer.forget_bindings();
        pair.step_given(&none);
        pair.check("no gradient, bound again");
        let mut one: Vec<_> = TABLES.iter().map(|_| Given::Missing).collect();
        one[0] = Given::Dense(values(400, 3, 5));
        pair.step_given(&one);
        pair.optimizer.forget_bindings();
        pair.step_given(&none);
        pair.check("no gradient after one block");
    }
}

fn recorded(driver: &Driver) {
    let gpu = driver.gpu();
    for guard in [GradientGuard::default(), guards(10.0)[6]] {
        let groups = two_groups::<Adagrad>(&lens());
        let mut pair =
            GroupPair::new((driver, gpu), &groups, Precision::Exact, guard, side_by_side);
        // Twice, so that the second round reuses the slots of the first.
        for _ in 0..2 {
            let mut encoder = gpu.device().create_command_encoder(&Default::default());
            for step in 0..18 {
                let is_bad = step % 7 == 5 && guard.non_finite == NonFinite::SkipStep;
                let given = given(step, is_bad);
                let uploaded = pair.upload(&given);
                let (device, host) = engines(&given, &uploaded);
                let (group, rate) = (step as usize % 2, 1.0 / (1.0 + step as f32));
                pair.optimizer.set_learning_rate(group, rate).unwrap();
                pair.twin.set_learning_rate(group, rate).unwrap();
                pair.optimizer.record_mixed(&mut encoder, &pair.params, &device).unwrap();
                pair.step_twin(&host);
            }
            gpu.queue().submit([encoder.finish()]);
            gpu.wait_blocking().unwrap();
        }
        pair.check("36 recorded steps");
    }
}
