//! Non-finite gradients and clipping: every policy against the CPU engine, and against results
//! worked out by hand.

use wgpu_optim::{
    Adagrad, AnyRule, Gpu, GpuOptimizer, GpuVec, GradientError, GradientGuard, GuardReport,
    NonFinite, Precision, ReportError, Rule, wgpu, with_rule,
};

use crate::Check;
use crate::driver::{Driver, placed};
use crate::reference::{Reference, by_state, values};

pub(crate) const CHECKS: &[Check] = &[
    ("guard: every choice of formula of every rule under every policy", every_formula),
    ("guard: non-finite values of every kind under every policy", every_value),
    ("guard: clipping 3-4-5 by hand", by_hand),
    ("guard: the norm has the canonical order in every layout", layouts),
    ("guard: lowered limits, pieces smaller than a block", lowered_limits),
    ("guard: a norm that overflows", overflow),
    ("guard: good and bad steps recorded in one encoder", recorded),
    ("guard: two levels of blocks", two_levels),
];

pub(crate) const POLICIES: [NonFinite; 4] =
    [NonFinite::Propagate, NonFinite::SkipElement, NonFinite::SkipStep, NonFinite::Report];
pub(crate) const PRECISIONS: [Precision; 2] = [Precision::Native, Precision::Exact];
/// Both infinities, and quiet and signalling NaN of either sign with payloads.
const BAD: [u32; 7] =
    [0x7f80_0000, 0xff80_0000, 0x7fc0_0000, 0x7f80_0001, 0xff80_0001, 0x7fd5_5555, 0xffff_ffff];

/// A device's optimizer and its twin, stepped side by side.
struct Pair<'a, R: Rule> {
    driver: &'a Driver,
    gpu: &'a Gpu,
    params: GpuVec,
    optimizer: GpuOptimizer<R>,
    reference: Reference<R>,
}

impl<'a, R: Rule> Pair<'a, R> {
    fn new(
        driver: &'a Driver,
        gpu: &'a Gpu,
        rule: R,
        precision: Precision,
        guard: GradientGuard,
        len: usize,
    ) -> Self {
        let host = values(len, 1, 5);
        let params = gpu.upload(&host).unwrap();
        let optimizer = GpuOptimizer::new(gpu, rule, len).unwrap();
        // The precision after the guard: neither may forget the other.
        let optimizer = optimizer.with_guard(guard).unwrap().with_precision(precision);
        let mut reference = Reference::new(rule, &host);
        reference.optimizer = reference.optimizer.with_guard(guard).unwrap();
        Self { driver, gpu, params, optimizer, reference }
    }

    /// Steps both; `grads` are the gradients on the device.
    fn step(&mut self, grads: &GpuVec, host: &[f32]) {
        self.optimizer.step(&self.params, grads).unwrap();
        self.reference.step(host);
    }

    /// Asserts that both have the same parameters, state and report.
    fn check(&self, what: &str) {
        let Self { driver, gpu, optimizer, reference, .. } = self;
        let (twin, precision) = (&reference.optimizer, optimizer.precision());
        let what = format!("{what}, {precision}, {:?}, {:?}", twin.guard(), twin.rule());
        let params = self.params.download_blocking(gpu).unwrap();
        let report = optimizer.report_blocking().unwrap();
        let expected = twin.report();
        let equal = precision == Precision::Exact || driver.rounds_correctly();
        // No bound is stated for gradients that a native norm has scaled.
        if equal || twin.guard().max_norm.is_none() {
            driver.check(&what, reference, &params, optimizer, gpu);
        }
        if equal {
            let bits = |report: &GuardReport| report.norm.map(f32::to_bits);
            assert_eq!(bits(&report), bits(&expected), "{what}: norm");
        }
        let counts = |r: &GuardReport| (r.non_finite, r.first, r.skipped_steps);
        assert_eq!(counts(&report), counts(&expected), "{what} on {}", driver.name);
        assert_eq!(optimizer.steps(), twin.steps(), "{what}");
    }
}

/// Whether gradients may be non-finite. Not if native arithmetic computes with them: WGSL lets a
/// device assume that NaN and infinity are absent.
pub(crate) fn may_see_bad(guard: GradientGuard, precision: Precision) -> bool {
    guard.non_finite != NonFinite::Propagate || precision == Precision::Exact
}

/// Every policy, without clipping and with it.
pub(crate) fn guards(max_norm: f32) -> Vec<GradientGuard> {
    let with = |max_norm| POLICIES.map(|non_finite| GradientGuard { non_finite, max_norm });
    [with(None), with(Some(max_norm))].concat()
}

/// `content` at element `offset` of a buffer that has only the usages of a gradient.
fn caller(gpu: &Gpu, content: &[f32], offset: usize) -> GpuVec {
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
    placed(gpu, content, offset, 5, usage)
}

/// The values in several buffers of our own, split at `cuts`.
fn several(gpu: &Gpu, content: &[f32], cuts: &[usize]) -> GpuVec {
    let ends = cuts.iter().copied().chain([content.len()]);
    let mut first = 0;
    let parts = ends.map(|end| {
        let part = gpu.upload(&content[first..end]).unwrap();
        first = end;
        part
    });
    GpuVec::concatenate(parts.collect::<Vec<_>>()).unwrap()
}

/// A guard and a precision, for a check of any rule.
#[derive(Clone, Copy)]
struct Guarded<'a> {
    driver: &'a Driver,
    gpu: &'a Gpu,
    precision: Precision,
    guard: GradientGuard,
}

/// `rules` in the given precisions under `guards`.
fn each<'a>(
    driver: &'a Driver,
    rules: Vec<AnyRule>,
    precisions: &[Precision],
    guards: &[GradientGuard],
) -> Vec<(AnyRule, Guarded<'a>)> {
    let mut all = Vec::new();
    for rule in rules {
        for &precision in precisions {
            let guarded = |&guard| (rule, Guarded { driver, gpu: driver.gpu(), precision, guard });
            all.extend(guards.iter().map(guarded));
        }
    }
    all
}

impl<'a> Guarded<'a> {
    fn pair<R: Rule>(self, rule: R, len: usize) -> Pair<'a, R> {
        Pair::new(self.driver, self.gpu, rule, self.precision, self.guard, len)
    }
}

fn every_formula(driver: &Driver) {
    for (rule, guarded) in each(driver, AnyRule::examples(), &[Precision::Native], &guards(2.0)) {
        with_rule!(rule, |rule| guarded.formula(rule));
    }
    // A guard does the same for every formula, and exact kernels take long to compile.
    for (rule, guarded) in each(driver, by_state(), &[Precision::Exact], &guards(2.0)) {
        with_rule!(rule, |rule| guarded.formula(rule));
    }
}

impl Guarded<'_> {
    /// A step that is clipped, one with non-finite gradients, and one below the maximum norm, all
    /// over aligned vectors. Loading other vectors does not depend on the formula, and is checked
    /// below.
    fn formula<R: Rule>(self, rule: R) {
        let len = 261;
        let mut pair = self.pair(rule, len);
        for step in 0..3 {
            let mut gradient = values(len, 20 + step, 5);
            if step == 1 && may_see_bad(self.guard, self.precision) {
                gradient[17] = f32::NAN;
                gradient[len - 1] = f32::NEG_INFINITY;
            }
            if step == 2 {
                gradient.iter_mut().for_each(|g| *g *= 2_f32.powi(-12));
            }
            pair.step(&self.gpu.upload(&gradient).unwrap(), &gradient);
        }
        pair.check("every formula");
    }
}

fn every_value(driver: &Driver) {
    for (rule, guarded) in each(driver, by_state(), &PRECISIONS, &guards(20.0)) {
        with_rule!(rule, |rule| guarded.every_value(rule));
    }
}

impl Guarded<'_> {
    fn every_value<R: Rule>(self, rule: R) {
        let Self { gpu, precision, guard, .. } = self;
        let len = 4099;
        if !may_see_bad(guard, precision) {
            return;
        }
        let mut pair = self.pair(rule, len);
        for (round, &bits) in (0..).zip(&BAD) {
            let mut gradient = values(len, 50 + round, 5);
            let places = [0, len - 1, 2000, 4095, 4096, 1, 4097];
            gradient[places[round as usize]] = f32::from_bits(bits);
            if round % 2 == 1 {
                gradient[1234] = f32::from_bits(bits);
            }
            let (unaligned, cut) = (caller(gpu, &gradient, 3), several(gpu, &gradient, &[7]));
            pair.step(if round % 2 == 0 { &unaligned } else { &cut }, &gradient);
            // A finite step in between: nothing of a bad step may remain.
            let good = values(len, 90 + round, 5);
            pair.step(&gpu.upload(&good).unwrap(), &good);
        }
        pair.check("every bad value");
        let report = pair.optimizer.report_blocking().unwrap();
        let counted = if guard == GradientGuard::default() { 0 } else { 10 };
        assert_eq!(report.non_finite, counted, "{guard:?}");
        assert_eq!(report.skipped_steps, if skips(guard) { 7 } else { 0 }, "{guard:?}");
    }
}

fn skips(guard: GradientGuard) -> bool {
    matches!(guard.non_finite, NonFinite::SkipStep | NonFinite::Report)
}

/// The norm of (3, 4) is 5. With a maximum of 2.5 the gradients become (1.5, 2), so s is (2.25, 4).
/// x = 1 - 0.5 * g / sqrt(s) is 0.5 for both: Adagrad's first step does not depend on the scale.
fn by_hand(driver: &Driver) {
    let gpu = driver.gpu();
    let rule = Adagrad { learning_rate: 0.5, epsilon: 0.0, ..Adagrad::default() };
    let grads = gpu.upload(&[3.0, 4.0]).unwrap();
    // A norm of 5 is not clipped at a maximum of 5: s is (9, 16).
    for (max_norm, expected) in [(2.5, [2.25, 4.0]), (5.0, [9.0, 16.0]), (100.0, [9.0, 16.0])] {
        for precision in [Precision::Native, Precision::Exact] {
            for non_finite in POLICIES {
                let guard = GradientGuard { non_finite, max_norm: Some(max_norm) };
                let params = gpu.upload(&[1.0; 2]).unwrap();
                let mut optimizer = GpuOptimizer::new(gpu, rule, 2)
                    .unwrap()
                    .with_precision(precision)
                    .with_guard(guard)
                    .unwrap();
                optimizer.step(&params, &grads).unwrap();
                let report = optimizer.report_blocking().unwrap();
                let state = optimizer.state(0).download_blocking(gpu).unwrap();
                if precision == Precision::Exact || driver.rounds_correctly() {
                    assert_eq!(report, GuardReport { norm: Some(5.0), ..GuardReport::default() });
                    assert_eq!(state, expected, "{guard:?} {precision}");
                    assert_eq!(params.download_blocking(gpu).unwrap(), [0.5; 2]);
                } else {
                    // Norm, scale, product, square and sum are each off by a few units.
                    let off = state.iter().zip(expected).map(|(s, e)| (s / e - 1.0).abs());
                    assert!(off.fold(0.0, f32::max) < 32.0 * f32::EPSILON, "{state:?}");
                }
            }
        }
    }
}

/// One gradient in one buffer, unaligned, and split at odd places and into short pieces.
fn layouts(driver: &Driver) {
    let guard = GradientGuard { non_finite: NonFinite::SkipStep, max_norm: Some(1.0) };
    for (rule, guarded) in each(driver, by_state(), &PRECISIONS, &[guard]) {
        with_rule!(rule, |rule| guarded.layouts(rule));
    }
}

impl Guarded<'_> {
    fn layouts<R: Rule>(self, rule: R) {
        let gpu = self.gpu;
        let len = 20_001;
        let gradient = values(len, 77, 12);
        let views = [
            gpu.upload(&gradient).unwrap(),
            caller(gpu, &gradient, 0),
            caller(gpu, &gradient, 1),
            several(gpu, &gradient, &[1, 2, 3, 4, 5, 4095, 4097, 8192, 8193, 20_000]),
            several(gpu, &gradient, &[4096, 12_288]),
            several(gpu, &gradient, &[100, 1000, 2000, 3000]),
        ];
        let mut pair = self.pair(rule, len);
        for (number, view) in views.iter().enumerate() {
            pair.step(view, &gradient);
            pair.check(&format!("layout {number}"));
        }
    }
}

fn lowered_limits(driver: &Driver) {
    let small = driver.with_low_limits();
    for rule in by_state() {
        for len in [5, 1025, 40_001] {
            for guard in guards(1.0) {
                for precision in PRECISIONS {
                    let guarded = Guarded { driver, gpu: &small, precision, guard };
                    with_rule!(rule, |rule| guarded.pieces(rule, len));
                }
            }
        }
    }
}

impl Guarded<'_> {
    fn pieces<R: Rule>(self, rule: R, len: usize) {
        let mut pair = self.pair(rule, len);
        for (step, bad) in [(0, None), (1, Some(len - 1)), (2, Some(len / 2)), (3, None)] {
            let mut gradient = values(len, 200 + step, 5);
            if let Some(bad) = bad.filter(|_| self.guard.non_finite != NonFinite::Propagate) {
                gradient[bad] = f32::NAN;
            }
            pair.step(&self.gpu.upload(&gradient).unwrap(), &gradient);
        }
        pair.check(&format!("{len} elements in pieces"));
    }
}

/// Finite gradients whose squares exceed `f32::MAX` are scaled by 0, or the step is skipped.
fn overflow(driver: &Driver) {
    for (rule, guarded) in each(driver, by_state(), &[Precision::Exact], &guards(1.0)) {
        with_rule!(rule, |rule| guarded.overflow(rule));
    }
}

impl Guarded<'_> {
    fn overflow<R: Rule>(self, rule: R) {
        let guard = self.guard;
        let gradient = vec![1e30; 300];
        let mut pair = self.pair(rule, gradient.len());
        pair.step(&self.gpu.upload(&gradient).unwrap(), &gradient);
        pair.check("overflow");
        if guard.max_norm.is_some() {
            let report = pair.optimizer.report_blocking().unwrap();
            assert_eq!((report.norm, report.non_finite), (Some(f32::INFINITY), 0));
            let checked = pair.optimizer.check_gradients_blocking();
            let expected = ReportError::Gradient(GradientError::NormOverflow);
            assert_eq!(checked.err(), skips(guard).then_some(expected));
        }
    }
}

/// Nine steps in one submission, two of them with non-finite gradients.
fn recorded(driver: &Driver) {
    let guard = GradientGuard { non_finite: NonFinite::SkipStep, max_norm: Some(10.0) };
    for (rule, guarded) in each(driver, by_state(), &[Precision::Exact], &[guard]) {
        with_rule!(rule, |rule| guarded.recorded(rule));
    }
}

impl Guarded<'_> {
    fn recorded<R: Rule>(self, rule: R) {
        let gpu = self.gpu;
        let len = 5000;
        let mut pair = self.pair(rule, len);
        let mut all = Vec::new();
        for step in 0..3 {
            let mut gradient = values(len, 300 + step, 5);
            if step == 1 {
                gradient[4500] = f32::INFINITY;
                gradient[4999] = f32::NAN;
            }
            all.push((gpu.upload(&gradient).unwrap(), gradient));
        }
        let mut encoder = gpu.device().create_command_encoder(&Default::default());
        for (number, &index) in [0, 1, 2, 0, 2, 1, 2, 0, 2].iter().enumerate() {
            let (grads, gradient) = &all[index];
            let rate = 0.5 / (number + 1) as f32;
            pair.optimizer.set_learning_rate(rate).unwrap();
            pair.reference.optimizer.set_learning_rate(rate).unwrap();
            pair.optimizer.record(&mut encoder, &pair.params, grads).unwrap();
            pair.reference.step(gradient);
        }
        assert_eq!(pair.optimizer.report_blocking().unwrap(), GuardReport::default());
        gpu.queue().submit([encoder.finish()]);
        pair.check("nine steps in one encoder");
        let report = pair.optimizer.report_blocking().unwrap();
        let counts = (report.non_finite, report.first, report.skipped_steps);
        assert_eq!(counts, (4, Some(4500), 2));
    }
}

/// With more than 4096 blocks the partials are reduced twice: 16,777,216 elements and one more.
fn two_levels(driver: &Driver) {
    let gpu = driver.gpu();
    let len = (1 << 24) + 1;
    let guard = GradientGuard { non_finite: NonFinite::SkipElement, max_norm: Some(3.0) };
    let mut gradient = values(len, 8, 5);
    gradient[(1 << 24) - 1] = f32::NAN;
    gradient[1 << 24] = f32::INFINITY;
    let rule = Adagrad { learning_rate: 0.1, ..Adagrad::default() };
    let mut pair = Pair::new(driver, gpu, rule, Precision::Native, guard, len);
    pair.step(&gpu.upload(&gradient).unwrap(), &gradient);
    pair.check("two levels");
    let report = pair.optimizer.report_blocking().unwrap();
    assert_eq!((report.non_finite, report.first), (2, Some((1 << 24) - 1)));
}
