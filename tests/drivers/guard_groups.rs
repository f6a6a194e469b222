//! A guard over many tensors: every policy against the CPU engine, in every layout of the
//! gradients.

use std::ops::Range;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use wgpu_optim::{
    Adagrad, AnyRule, CpuError, CpuGroupOptimizer, Gpu, GpuGroupOptimizer, GpuVec, GradientError,
    GradientGuard, NonFinite, ParamGroup, Precision, ReportError, Rule, TensorGradient, wgpu,
    with_rule,
};

use crate::Check;
use crate::driver::{Driver, POISON, USAGES, placed};
use crate::groups::{LAYS, Lay, hosts, side_by_side};
use crate::guard::{POLICIES, guards, may_see_bad};
use crate::reference::mix;
use crate::rows::check_report;

pub(crate) const CHECKS: &[Check] = &[
    ("guard of groups: every policy, two formulas", every_policy),
    ("guard of groups: gradients in every layout", every_place),
    ("guard of groups: NaN in the last of 1,000 tensors", last_of_many),
    ("guard of groups: limits so low that a block is split", lowered_limits),
    ("guard of groups: 3-4-12 by hand", by_hand),
    ("guard of groups: no bit depends on the layout", any_layout),
];

/// Odd lengths on both sides of one block, and of several.
const LENS: [usize; 10] = [1, 3, 4095, 4097, 12_289, 5, 511, 4096, 8191, 2];

/// A group optimizer on a device and its twin on the CPU, stepped side by side.
pub(crate) struct GroupPair<'a, R: Rule> {
    pub(crate) driver: &'a Driver,
    pub(crate) gpu: &'a Gpu,
    pub(crate) params: Vec<GpuVec>,
    pub(crate) optimizer: GpuGroupOptimizer<R>,
    pub(crate) hosts: Vec<Vec<f32>>,
    pub(crate) twin: CpuGroupOptimizer<R>,
}

impl<'a, R: Rule> GroupPair<'a, R> {
    pub(crate) fn new(
        (driver, gpu): (&'a Driver, &'a Gpu),
        groups: &[ParamGroup<R>],
        precision: Precision,
        guard: GradientGuard,
        lay: impl Fn(&Gpu, &[Vec<f32>]) -> Vec<GpuVec>,
    ) -> Self {
        let twin = CpuGroupOptimizer::new(groups).unwrap().with_guard(guard).unwrap();
        let hosts = hosts(twin.lens(), 1);
        let optimizer = GpuGroupOptimizer::new(gpu, groups).unwrap();
        // The precision after the guard: neither may forget the other.
        let optimizer = optimizer.with_guard(guard).unwrap().with_precision(precision);
        Self { driver, gpu, params: lay(gpu, &hosts), optimizer, hosts, twin }
    }

    /// Steps both; `grads` are the gradients on the device.
    pub(crate) fn step(&mut self, grads: &[GpuVec], gradients: &[Vec<f32>]) {
        self.optimizer.step(&self.params, grads).unwrap();
        let gradients: Vec<_> = gradients.iter().map(|g| TensorGradient::Dense(&**g)).collect();
        self.step_twin(&gradients);
    }

    pub(crate) fn step_twin(&mut self, gradients: &[TensorGradient<'_, [f32]>]) {
        let mut params: Vec<&mut [f32]> = self.hosts.iter_mut().map(Vec::as_mut_slice).collect();
        match self.twin.step_mixed(&mut params, gradients) {
            // The host of a GPU does not know that the device skipped the step, and counts it.
            Err(CpuError::Gradient(_)) => self.twin.set_steps(self.twin.steps() + 1),
            other => other.unwrap(),
        }
    }

    /// Asserts that both have the same parameters, state and report.
    pub(crate) fn check(&self, what: &str) {
        let Self { driver, gpu, params, optimizer, hosts, twin } = self;
        let (guard, precision) = (twin.guard(), optimizer.precision());
        let what = format!("{what}, {precision}, {guard:?}, {:?}", twin.rule(0));
        let equal = |what: &str, expected: &[f32], found: &[f32]| {
            driver.check_exact(what, expected, found);
        };
        for (index, (host, found)) in hosts.iter().zip(download(gpu, params)).enumerate() {
            equal(&format!("{what}: parameters {index}"), host, &found);
        }
        assert_eq!(optimizer.state_count(), twin.state_count());
        for k in 0..twin.state_count() {
            let state: Vec<_> = (0..hosts.len()).map(|t| optimizer.state(t, k).clone()).collect();
            for (index, found) in download(gpu, &state).iter().enumerate() {
                equal(&format!("{what}: state {k} of {index}"), twin.state(index, k), found);
            }
        }
        let report = optimizer.report_blocking().unwrap();
        check_report(&format!("{what} on {}", driver.name), &twin.report(), &report);
        assert_eq!(optimizer.steps(), twin.steps(), "{what}");
    }
}

/// The content of vectors, with one transfer for each buffer.
#[allow(clippy::mutable_key_type, reason = "a buffer's identity does not change")]
fn download(gpu: &Gpu, vectors: &[GpuVec]) -> Vec<Vec<f32>> {
    let mut ranges: Vec<(&wgpu::Buffer, Range<u64>)> = Vec::new();
    for (buffer, bytes) in vectors.iter().flat_map(GpuVec::buffers) {
        match ranges.iter_mut().find(|(known, _)| *known == buffer) {
            Some((_, all)) => *all = all.start.min(bytes.start)..all.end.max(bytes.end),
            None => ranges.push((buffer, bytes)),
        }
    }
    let download = |(buffer, bytes): &(&wgpu::Buffer, Range<u64>)| {
        let len = (bytes.end - bytes.start) as usize / 4;
        let whole = GpuVec::from_buffer(*buffer, bytes.start, len).unwrap();
        whole.download_blocking(gpu).unwrap()
    };
    let contents: Vec<Vec<f32>> = ranges.iter().map(download).collect();
    let part = |(buffer, bytes): (&wgpu::Buffer, Range<u64>)| {
        let number = ranges.iter().position(|(known, _)| *known == buffer).unwrap();
        let at = |byte: u64| (byte - ranges[number].1.start) as usize / 4;
        contents[number][at(bytes.start)..at(bytes.end)].to_vec()
    };
    let content = |vector: &GpuVec| vector.buffers().flat_map(part).collect();
    vectors.iter().map(content).collect()
}

/// Two groups over `lens`, with different formulas if the rule has several.
pub(crate) fn two_groups<R: Rule>(lens: &[usize]) -> Vec<ParamGroup<R>> {
    let examples = R::examples();
    let (first, last) = lens.split_at(lens.len() / 2);
    let group = |rule: R, lens: &[usize]| ParamGroup { rule, lens: lens.to_vec() };
    vec![group(examples[0], first), group(examples[examples.len() - 1], last)]
}

/// Gradients of step number `step`, from 0. In step 1 some are non-finite if `bad`; those of step 2
/// have a small norm.
pub(crate) fn gradients(lens: &[usize], step: u32, bad: bool) -> Vec<Vec<f32>> {
    let mut all = hosts(lens, 1000 * (step + 1));
    let last = all.len() - 1;
    if step == 1 && bad {
        *all[last].last_mut().unwrap() = f32::NAN;
        let middle = &mut all[last / 2];
        let at = middle.len() / 2;
        middle[at] = f32::NEG_INFINITY;
    }
    if step == 2 {
        all.iter_mut().flatten().for_each(|g| *g *= 2_f32.powi(-12));
    }
    all
}

/// Three steps of two groups: one that is clipped, one with non-finite gradients, and one below the
/// maximum norm.
fn three_steps<R: Rule>(
    at: (&Driver, &Gpu),
    groups: &[ParamGroup<R>],
    (precision, guard): (Precision, GradientGuard),
    (name, lay): (&str, Lay),
) {
    let mut pair = GroupPair::new(at, groups, precision, guard, side_by_side);
    let lens = pair.optimizer.lens().to_vec();
    let bad = may_see_bad(guard, precision);
    for step in 0..3 {
        let gradients = gradients(&lens, step, bad);
        pair.step(&lay(at.1, &gradients), &gradients);
    }
    pair.check(name);
    // Without non-finite gradients, reports that were never written would compare equal.
    if bad && guard.non_finite != NonFinite::Propagate {
        assert_eq!(pair.twin.report().non_finite, 2);
    }
}

fn every_policy(driver: &Driver) {
    let at = (driver, driver.gpu());
    for name in ["sgd", "adagrad", "adam"] {
        let rule = AnyRule::named(name).unwrap();
        // A guard does the same for every formula, and exact kernels take long to compile.
        let precisions = driver.precisions();
        let precisions = if name == "adagrad" { precisions } else { &precisions[..1] };
        for &precision in precisions {
            for guard in guards(2.0) {
                let choice = (precision, guard);
                with_rule!(rule, |rule| {
                    three_steps(at, &groups_of(rule, &LENS), choice, LAYS[0]);
                });
            }
        }
    }
}

fn groups_of<R: Rule>(_: R, lens: &[usize]) -> Vec<ParamGroup<R>> {
    two_groups(lens)
}

fn every_place(driver: &Driver) {
    let at = (driver, driver.gpu());
    for &precision in driver.precisions() {
        for non_finite in POLICIES {
            let guard = GradientGuard { non_finite, max_norm: Some(2.0) };
            for lay in &LAYS[1..] {
                three_steps(at, &two_groups::<Adagrad>(&LENS), (precision, guard), *lay);
            }
        }
    }
}

fn last_of_many(driver: &Driver) {
    let lens: Vec<_> = (0..1000).map(|index| 1 + index % 7).collect();
    let total: usize = lens.iter().sum();
    for guard in guards(2.0) {
        let at = (driver, driver.gpu());
        let groups = two_groups::<Adagrad>(&lens);
        let mut pair = GroupPair::new(at, &groups, Precision::Exact, guard, side_by_side);
        let good = hosts(&lens, 5000);
        let mut bad = good.clone();
        *bad[999].last_mut().unwrap() = f32::NAN;
        for gradients in [&good, &bad, &good] {
            pair.step(&side_by_side(driver.gpu(), gradients), gradients);
        }
        pair.check("1,000 tensors");
        let checked = pair.optimizer.check_gradients_blocking().err();
        let error = GradientError::NonFinite { count: 1, first: total as u64 - 1 };
        let scans = guard != GradientGuard::default();
        assert_eq!(checked, scans.then_some(ReportError::Gradient(error)), "{guard:?}");
        pair.optimizer.clear_report().unwrap();
        pair.twin.clear_report();
        pair.step(&side_by_side(driver.gpu(), &good), &good);
        pair.check("1,000 tensors, the report cleared");
    }
}

fn lowered_limits(driver: &Driver) {
    let gpu = driver.with_limits(|limits| {
        limits.max_storage_buffer_binding_size = 4096;
        limits.max_buffer_size = 64 << 10;
        // A step binds the blocks, the decision, the state, and one buffer each of parameters and
        // gradients. The scan has two windows.
        limits.max_storage_buffers_per_shader_stage = 5;
        limits.max_compute_workgroups_per_dimension = 3;
        limits.max_compute_invocations_per_workgroup = 256;
        limits.max_compute_workgroup_size_x = 256;
        limits.max_compute_workgroup_size_y = 256;
    });
    let at = (driver, &gpu);
    let lens = [1, 3, 4095, 4097, 20_001, 5];
    for &precision in driver.precisions() {
        for guard in guards(2.0) {
            for lay in [LAYS[0], LAYS[2], LAYS[3]] {
                three_steps(at, &two_groups::<Adagrad>(&lens), (precision, guard), lay);
            }
        }
    }
}

/// The norm of (3) and (4, 12) is 13. With a maximum of 6.5 they become (1.5) and (2, 6).
fn by_hand(driver: &Driver) {
    let gpu = driver.gpu();
    let rule = Adagrad { learning_rate: 0.5, epsilon: 0.0, ..Adagrad::default() };
    let groups = [
        ParamGroup { rule, lens: vec![1] },
        ParamGroup { rule: Adagrad { learning_rate: 0.25, ..rule }, lens: vec![2] },
    ];
    let guard = GradientGuard { non_finite: NonFinite::SkipStep, max_norm: Some(6.5) };
    let optimizer = GpuGroupOptimizer::new(gpu, &groups).unwrap().with_guard(guard).unwrap();
    let mut optimizer = optimizer.with_precision(Precision::Exact);
    let params = gpu.upload_many(&[&[1.0], &[1.0, 1.0]]).unwrap();
    let grads = gpu.upload_many(&[&[3.0], &[4.0, 12.0]]).unwrap();
    optimizer.step(&params, &grads).unwrap();
    assert_eq!(optimizer.report_blocking().unwrap().norm, Some(13.0));
    let state = [0, 1].map(|tensor| optimizer.state(tensor, 0).clone());
    assert_eq!(download(gpu, &state), [vec![2.25], vec![4.0, 36.0]]);
    assert_eq!(download(gpu, &params), [vec![0.5], vec![0.75, 0.75]]);
}

/// Vectors in a layout that depends on `seed`: in buffers of their own at any element, together in
/// one buffer, or in a few pieces.
fn laid(gpu: &Gpu, seed: u64, hosts: &[Vec<f32>]) -> Vec<GpuVec> {
    let draw = |index: usize, salt: u64| mix(seed ^ (index as u64) << 8 ^ salt << 40) as usize;
    let (mut content, mut starts) = (Vec::new(), Vec::new());
    for (index, host) in hosts.iter().enumerate() {
        content.resize(content.len() + draw(index, 0) % 6, POISON);
        starts.push(content.len());
        content.extend(host);
    }
    let together = placed(gpu, &content, 0, 3, USAGES);
    let lay = |(index, host): (usize, &Vec<f32>)| match draw(index, 1) % 3 {
        0 => placed(gpu, host, draw(index, 2) % 9, 1, USAGES),
        1 => together.slice(starts[index]..starts[index] + host.len()).unwrap(),
        _ => {
            let cut = draw(index, 3) % host.len();
            let parts = [&host[..cut], &host[cut..]].into_iter().filter(|part| !part.is_empty());
            GpuVec::concatenate(parts.map(|part| gpu.upload(part).unwrap())).unwrap()
        }
    };
    hosts.iter().enumerate().map(lay).collect()
}

fn any_layout(driver: &Driver) {
    let gpu = driver.gpu();
    let precision = *driver.precisions().last().unwrap();
    let lens = proptest::collection::vec(1_usize..9000, 2..6);
    let cases = (lens, any::<u64>(), any::<u64>(), 0..POLICIES.len(), any::<bool>());
    // Few cases, because many layouts compile new kernels.
    let mut runner =
        TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    let result = runner.run(&cases, |(lens, params_at, grads_at, policy, is_bad)| {
        let guard = GradientGuard { non_finite: POLICIES[policy], max_norm: Some(1.0) };
        let lay = |gpu: &Gpu, hosts: &[Vec<f32>]| laid(gpu, params_at, hosts);
        let groups = two_groups::<Adagrad>(&lens);
        let mut pair = GroupPair::new((driver, gpu), &groups, precision, guard, lay);
        let mut gradients = hosts(&lens, grads_at as u32 % 1000);
        if is_bad && may_see_bad(guard, precision) {
            let tensor = grads_at as usize % lens.len();
            gradients[tensor][params_at as usize % lens[tensor]] = f32::INFINITY;
        }
        pair.step(&laid(gpu, grads_at, &gradients), &gradients);
        pair.step(&laid(gpu, !grads_at, &gradients), &gradients);
        pair.check(&format!("tensors of {lens:?} laid by {params_at} and {grads_at}"));
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
