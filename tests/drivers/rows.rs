//! Steps over named rows of a table equal the CPU engine's, and nothing else is written.

use wgpu_optim::{
    Adagrad, AnyRule, CpuError, CpuOptimizer, Gpu, GpuOptimizer, GpuVec, GuardReport, Precision,
    RowsError, Rule, StepError, wgpu, with_rule,
};

use crate::Check;
use crate::boundaries::{GUARD, guarded, unguarded};
use crate::driver::Driver;
use crate::reference::{by_state, mix, patterns, values};

pub(crate) const CHECKS: &[Check] = &[
    ("rows: every rule, with repeated indices", every_rule),
    ("rows of any length, in either precision", widths),
    ("rows in views of poisoned buffers", views),
    ("rows of tables and gradients in many parts", parts),
    ("rows named more often than a driver's loops may iterate", often),
    ("rows: non-finite and subnormal values", special),
    ("rows: N steps in one encoder, each with its own rows", recorded),
    ("rows that are refused change nothing", refused),
];

/// `count` indices of `rows` rows. About a third of them repeat an earlier one.
pub(crate) fn indices(rows: usize, count: usize, seed: u64) -> Vec<u32> {
    let index = |at: usize| mix(seed << 32 | if at % 3 == 2 { at as u64 - 2 } else { at as u64 });
    (0..count).map(|at| (index(at) % rows as u64) as u32).collect()
}

/// A table and its state on both engines.
pub(crate) struct Pair<'a, R: Rule> {
    pub(crate) driver: &'a Driver,
    pub(crate) gpu: &'a Gpu,
    pub(crate) host: Vec<f32>,
    pub(crate) reference: CpuOptimizer<R>,
    pub(crate) params: GpuVec,
    pub(crate) optimizer: GpuOptimizer<R>,
}

impl<'a, R: Rule> Pair<'a, R> {
    fn new(
        driver: &'a Driver,
        gpu: &'a Gpu,
        rule: R,
        precision: Precision,
        host: Vec<f32>,
    ) -> Self {
        let params = gpu.upload(&host).unwrap();
        let optimizer = GpuOptimizer::new(gpu, rule, host.len()).unwrap();
        let optimizer = optimizer.with_precision(precision);
        let reference = CpuOptimizer::new(rule, host.len()).unwrap();
        Self { driver, gpu, host, reference, params, optimizer }
    }

    pub(crate) fn step(&mut self, gradients: &[f32], indices: &[u32]) {
        let row_gradients = self.gpu.upload(gradients).unwrap();
        self.optimizer.step_rows(&self.params, &row_gradients, indices).unwrap();
        let stepped = self.reference.step_rows(&mut self.host, gradients, indices);
        self.count(stepped);
    }

    /// A step over all rows, each with one gradient.
    pub(crate) fn step_dense(&mut self, gradients: &[f32]) {
        let grads = self.gpu.upload(gradients).unwrap();
        self.optimizer.step(&self.params, &grads).unwrap();
        let stepped = self.reference.step(&mut self.host, gradients);
        self.count(stepped);
    }

    fn count(&mut self, stepped: Result<(), CpuError>) {
        match stepped {
            // The host of a GPU does not know that the device skipped the step, and counts it.
            Err(CpuError::Gradient(_)) => self.reference.set_steps(self.reference.steps() + 1),
            other => other.unwrap(),
        }
    }

    pub(crate) fn check(&self, what: &str) {
        let found = self.params.download_blocking(self.gpu).unwrap();
        self.driver.check_exact(&format!("{what}, params"), &self.host, &found);
        assert_eq!(self.optimizer.state_count(), self.reference.state_count());
        for index in 0..self.optimizer.state_count() {
            let found = self.optimizer.state(index).download_blocking(self.gpu).unwrap();
            let what = format!("{what}, state {index}");
            self.driver.check_exact(&what, self.reference.state(index), &found);
        }
        assert_eq!(self.optimizer.steps(), self.reference.steps());
        let (found, expected) =
            (self.optimizer.report_blocking().unwrap(), self.reference.report());
        check_report(&format!("{what} on {}", self.driver.name), &expected, &found);
    }
}

/// Asserts that two reports are equal, with equal bits of the norm.
pub(crate) fn check_report(what: &str, expected: &GuardReport, found: &GuardReport) {
    let fields =
        |r: &GuardReport| (r.non_finite, r.first, r.skipped_steps, r.norm.map(f32::to_bits));
    assert_eq!(fields(found), fields(expected), "{what}: the report");
}

/// Steps over some rows of a table, compared with the CPU engine.
fn agree<R: Rule>(
    driver: &Driver,
    gpu: &Gpu,
    precision: Precision,
    rows: usize,
    width: usize,
    count: usize,
    rule: R,
) {
    let mut pair = Pair::new(driver, gpu, rule, precision, values(rows * width, 1, 5));
    for seed in 0..3 {
        let named = indices(rows, count, seed);
        pair.step(&values(count * width, seed as u32 + 2, 5), &named);
    }
    pair.check(&format!("{count} of {rows} rows of {width}, {precision}, {rule:?}"));
}

fn every_rule(driver: &Driver) {
    let gpu = driver.gpu();
    let precision = *driver.precisions().last().unwrap();
    for rule in AnyRule::examples() {
        with_rule!(rule, |rule| agree(driver, gpu, precision, 21, 8, 30, rule));
    }
}

fn widths(driver: &Driver) {
    let gpu = driver.gpu();
    for &precision in driver.precisions() {
        for rule in by_state() {
            for (rows, width, count) in [(300, 1, 200), (50, 7, 33), (1, 5, 1), (40, 64, 25)] {
                with_rule!(rule, |rule| agree(driver, gpu, precision, rows, width, count, rule));
            }
        }
        for width in [2, 3, 4, 6, 12, 63, 65, 1000] {
            let rule = AnyRule::named("adagrad").unwrap();
            with_rule!(rule, |rule| agree(driver, gpu, precision, 9, width, 7, rule));
        }
        let rule = AnyRule::named("adagrad").unwrap();
        with_rule!(rule, |rule| agree(driver, gpu, precision, 50_000, 16, 20_000, rule));
    }
}

/// lavapipe silently ends the loops of an invocation after 65,535 iterations. Rows of four columns
/// and of three, in one binding and in several.
fn often(driver: &Driver) {
    let rule = AnyRule::named("adagrad").unwrap();
    let small = driver.with_limits(|limits| limits.max_storage_buffer_binding_size = 1 << 20);
    for gpu in [driver.gpu(), &small] {
        for &precision in driver.precisions() {
            for width in [4, 3] {
                with_rule!(rule, |rule| often_of(driver, gpu, precision, width, rule));
            }
        }
    }
}

/// Of seven rows, rows 1 and 2 are named 70,000 and 40,000 times, the others at most twice.
fn often_of<R: Rule>(driver: &Driver, gpu: &Gpu, precision: Precision, width: usize, rule: R) {
    let mut named: Vec<u32> = [0, 1, 3, 3, 6].into();
    named.extend((0..110_000).map(|at| if at % 11 < 7 { 1 } else { 2 }));
    named.extend([5, 6]);
    let mut pair = Pair::new(driver, gpu, rule, precision, values(7 * width, 1, 5));
    pair.step(&values(named.len() * width, 2, 5), &named);
    pair.check(&format!("rows of {width} named often, {precision}"));
}

/// At aligned and unaligned offsets, with gradients in the same buffer; nothing else may be
/// written.
fn views(driver: &Driver) {
    let gpu = driver.gpu();
    let (rows, count) = (11, 6);
    let named = indices(rows, count, 9);
    for (width, offset, gap) in [(8, 0, 0), (8, 1, 3), (5, 2, 1), (4, 0, 2), (3, 3, 0)] {
        let (len, grads_len) = (rows * width, count * width);
        let mut content = values(len, 1, 5);
        let gradients = values(grads_len, 2, 5);
        let grads_at = len + 64 + gap;
        // Parameters, poison, gradients.
        let poison = f32::from_bits(0x7fc0_dead);
        let mut both = content.clone();
        both.resize(grads_at, poison);
        both.extend(&gradients);
        let whole = guarded(gpu, &both, GUARD + offset);
        let view = |at: usize, len| whole.slice(at..at + len).unwrap();
        let mut optimizer = GpuOptimizer::new(gpu, Adagrad::default(), len).unwrap();
        optimizer = optimizer.with_precision(Precision::Exact);
        optimizer.step_rows(&view(0, len), &view(grads_at, grads_len), &named).unwrap();
        let mut reference = CpuOptimizer::new(Adagrad::default(), len).unwrap();
        reference.step_rows(&mut content, &gradients, &named).unwrap();
        // Poison is checked around the content, and by its bits between the two.
        let found = unguarded(gpu, &whole);
        both[..len].copy_from_slice(&content);
        let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&found), bits(&both), "rows of {width} at {offset} on {}", driver.name);
    }
}

/// Limits so low that the table, its gradients, the lists and even rows are split.
fn parts(driver: &Driver) {
    let small = driver.with_low_limits();
    let gpu = &small;
    for &precision in driver.precisions() {
        for rule in by_state() {
            // A split table; split gradients; rows longer than a binding; split lists.
            for (rows, width, count) in
                [(5000, 8, 20), (999, 9, 400), (500, 8, 400), (12, 1500, 9), (20_000, 1, 5000)]
            {
                with_rule!(rule, |rule| agree(driver, gpu, precision, rows, width, count, rule));
            }
        }
    }
    let mut optimizer = GpuOptimizer::new(gpu, Adagrad::default(), 4).unwrap();
    let (params, grads) = (gpu.zeros(4).unwrap(), gpu.zeros(2000).unwrap());
    let error = optimizer.step_rows(&params, &grads, &[1; 2000]).unwrap_err();
    let limit = "max_storage_buffer_binding_size";
    assert_eq!(error, StepError::Limit { limit, needed: 8016, allowed: 4096 });
    optimizer.step_rows(&params, &grads, &[1; 1000]).unwrap();
}

fn special(driver: &Driver) {
    let (rows, width, count) = (200, 12, 300);
    let rule = Adagrad { learning_rate: 0.1, ..Adagrad::default() };
    let host = patterns(rows * width, 1);
    let mut pair = Pair::new(driver, driver.gpu(), rule, Precision::Exact, host);
    pair.step(&patterns(count * width, 2), &indices(rows, count, 1));
    pair.check("special values");
    // A sum starts with the first gradient, so -0 + -0 is -0, which a parameter of -0 shows.
    let rule = Adagrad { learning_rate: 1.0, epsilon: 1.0, ..rule };
    let mut pair = Pair::new(driver, driver.gpu(), rule, Precision::Exact, vec![-0.0; 8]);
    pair.step(&[-0.0; 8], &[0, 0]);
    assert!(pair.host[..4].iter().all(|x| x.to_bits() == 0), "-0 - -0 is 0");
    pair.check("signed zeros");
}

/// Many steps, each with its own rows and learning rate; a second round, which reuses the lists of
/// the first; and encoders that are submitted out of order or dropped.
fn recorded(driver: &Driver) {
    let gpu = driver.gpu();
    let (rows, width) = (100, 8);
    let rule = Adagrad::default();
    let mut pair = Pair::new(driver, gpu, rule, Precision::Exact, values(rows * width, 1, 5));
    let encoder = || gpu.device().create_command_encoder(&Default::default());
    for round in 0..2 {
        let mut encoder = encoder();
        for step in 0..40_u32 {
            let count = 1 + (7 * step as usize + round) % 50;
            let gradients = values(count * width, step, 5);
            let named = indices(rows, count, u64::from(step));
            let rate = 1.0 / (1.0 + step as f32);
            pair.optimizer.set_learning_rate(rate).unwrap();
            pair.reference.set_learning_rate(rate).unwrap();
            let row_gradients = gpu.upload(&gradients).unwrap();
            pair.optimizer.record_rows(&mut encoder, &pair.params, &row_gradients, &named).unwrap();
            pair.reference.step_rows(&mut pair.host, &gradients, &named).unwrap();
        }
        gpu.queue().submit([encoder.finish()]);
        gpu.wait_blocking().unwrap();
    }
    pair.check("80 recorded steps");

    let gradients = values(2 * width, 3, 5);
    let row_gradients = gpu.upload(&gradients).unwrap();
    let (mut late, mut early, mut dropped) = (encoder(), encoder(), encoder());
    let mut record = |encoder: &mut wgpu::CommandEncoder, named: [u32; 2]| {
        pair.optimizer.record_rows(encoder, &pair.params, &row_gradients, &named).unwrap();
    };
    record(&mut late, [3, 4]);
    record(&mut early, [5, 3]);
    record(&mut dropped, [6, 7]);
    drop(dropped);
    gpu.queue().submit([early.finish()]);
    gpu.queue().submit([late.finish()]);
    for named in [[5, 3], [3, 4]] {
        pair.reference.step_rows(&mut pair.host, &gradients, &named).unwrap();
    }
    pair.reference.set_steps(pair.optimizer.steps());
    pair.check("out of order");
}

fn refused(driver: &Driver) {
    let gpu = driver.gpu();
    let host = values(24, 1, 5);
    let mut pair = Pair::new(driver, gpu, Adagrad::default(), Precision::Exact, host);
    let gradients = values(9, 2, 5);
    let row_gradients = gpu.upload(&gradients).unwrap();
    let error = pair.optimizer.step_rows(&pair.params, &row_gradients, &[0, 7, 8]).unwrap_err();
    assert_eq!(error, RowsError::Index { at: 2, row: 8, rows: 8 }.into());
    pair.check("after a refusal");
    pair.step(&gradients, &[0, 7, 7]);
    pair.check("after the recovery");
}
