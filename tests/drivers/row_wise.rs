//! Optimizers whose rows share their accumulators, for rows of any length and vectors split
//! anywhere. In exact precision they equal the CPU engine, in native precision they are within the
//! bound of running error analysis. lavapipe, which divides correctly elsewhere, multiplies by the
//! reciprocal of a divisor that all columns share, as WGSL allows.

use std::collections::BTreeMap;

use wgpu_optim::numerics::{Running, Wgsl};
use wgpu_optim::rules::{MeanSquare, StateElement};
use wgpu_optim::{
    Adagrad, Adam, AnyRule, CpuOptimizer, Gpu, GpuOptimizer, Precision, RowsError, Rule, with_rule,
};

use crate::Check;
use crate::driver::Driver;
use crate::reference::{patterns, values};
use crate::rows::{Pair, indices};

pub(crate) const CHECKS: &[Check] = &[
    ("row-wise: every rule that supports it, in either precision", every_rule),
    ("row-wise: rows of any length", widths),
    ("row-wise: tables, state and gradients in many parts", parts),
    ("row-wise: long rows named more often than loops may iterate", often),
    ("row-wise: non-finite and subnormal values", special),
    ("row-wise: N steps in one encoder, each with its own rows", recorded),
    ("row-wise: dense steps of every rule that supports it", dense),
    ("row-wise: dense steps under lowered limits", dense_in_parts),
];

const PRECISIONS: [Precision; 2] = [Precision::Exact, Precision::Native];

/// Parameters and state on the exact trajectory, with the error bound of a native device. It
/// implements the definition again, independently of both engines.
struct Trajectory<R: Rule> {
    rule: R,
    width: usize,
    params: Vec<Running<Wgsl>>,
    /// The state vectors that the rule uses.
    state: Vec<Vec<Running<Wgsl>>>,
}

impl<R: Rule> Trajectory<R> {
    fn new(optimizer: &CpuOptimizer<R>, params: &[f32]) -> Self {
        let input = |values: &[f32]| values.iter().map(|&value| Running::input(value)).collect();
        Self {
            rule: *optimizer.rule(),
            width: optimizer.row_width().unwrap(),
            params: input(params),
            state: (0..optimizer.state_count()).map(|k| input(optimizer.state(k))).collect(),
        }
    }

    fn step(&mut self, number: u64, gradients: &[f32], indices: &[u32]) {
        let mut rows = BTreeMap::<u32, Vec<Running<Wgsl>>>::new();
        for (&row, gradient) in indices.iter().zip(gradients.chunks(self.width)) {
            let terms = gradient.iter().map(|&value| Running::input(value));
            match rows.get_mut(&row) {
                Some(sums) => sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum = *sum + term),
                None => drop(rows.insert(row, terms.collect())),
            }
        }
        for (row, gradient) in rows {
            let mut lanes = [Running::input(0.0); 32];
            for (column, &g) in gradient.iter().enumerate() {
                lanes[column % 32] = lanes[column % 32] + g * g;
            }
            for half in [16, 8, 4, 2, 1] {
                for lane in 0..half {
                    lanes[lane] = lanes[lane] + lanes[lane + half];
                }
            }
            let mean = MeanSquare(lanes[0] / Running::input(self.width as f32));
            self.step_row(row as usize, &self.rule.uniforms(number), &gradient, mean);
        }
    }

    fn step_row(
        &mut self,
        row: usize,
        uniforms: &R::Uniforms,
        gradient: &[Running<Wgsl>],
        mean: MeanSquare<Running<Wgsl>>,
    ) {
        let used: Vec<_> = (0..R::STATE.len()).filter(|&k| self.rule.uses_state(k)).collect();
        let place = |k: usize, element| if self.rule.can_share(k) { row } else { element };
        let mut shared = Vec::new();
        for (element, &g) in (row * self.width..).zip(gradient) {
            let mut state = R::State::<Running<Wgsl>>::from_fn(|_| Running::input(0.0));
            for (vector, &k) in self.state.iter().zip(&used) {
                state.as_mut()[k] = vector[place(k, element)];
            }
            let x = self.params[element];
            self.params[element] = self.rule.update(uniforms, x, g, mean, &mut state);
            for (number, (vector, &k)) in self.state.iter_mut().zip(&used).enumerate() {
                // Shared state changes only after the last element of the row.
                match self.rule.can_share(k) {
                    true => shared.push((number, state.as_ref()[k])),
                    false => vector[element] = state.as_ref()[k],
                }
            }
        }
        for (number, value) in shared {
            self.state[number][row] = value;
        }
    }

    /// Asserts that every element of a vector is within its bound.
    fn check(what: &str, bounds: &[Running<Wgsl>], found: &[f32]) {
        assert_eq!(bounds.len(), found.len(), "{what}");
        let mut bounded = 0;
        for (index, (running, &found)) in bounds.iter().zip(found).enumerate() {
            let Some(allowed) = running.error() else { continue };
            bounded += 1;
            let exact = running.value();
            let error = (f64::from(found) - exact).abs();
            assert!(error <= allowed, "{what}: {index} is {found:e}, exactly {exact:e}");
        }
        assert!(2 * bounded > found.len(), "{what}: {bounded} of {} have a bound", found.len());
    }
}

/// Steps over some rows of a table, compared with the CPU engine.
#[derive(Clone, Copy)]
struct Agree<'a> {
    driver: &'a Driver,
    gpu: &'a Gpu,
    precision: Precision,
    rows: usize,
    width: usize,
    /// The number of row gradients; 0 for a dense gradient.
    count: usize,
}

impl<'a> Agree<'a> {
    fn pair<R: Rule>(self, rule: R, host: Vec<f32>) -> Option<Pair<'a, R>> {
        let Self { driver, gpu, precision, rows, width, .. } = self;
        let reference = CpuOptimizer::row_wise(rule, rows, width).ok()?;
        let optimizer = GpuOptimizer::row_wise(gpu, rule, rows, width).unwrap();
        let params = gpu.upload(&host).unwrap();
        let optimizer = optimizer.with_precision(precision);
        Some(Pair { driver, gpu, host, reference, params, optimizer })
    }

    /// Steps on both engines and compares them. False if rows cannot share any state of the rule.
    fn check<R: Rule>(self, rule: R) -> bool {
        let Self { driver, gpu, precision, rows, width, count } = self;
        let Some(mut pair) = self.pair(rule, values(rows * width, 1, 5)) else { return false };
        let mut trajectory = Trajectory::new(&pair.reference, &pair.host);
        for seed in 0..3 {
            let (dense, gradients) = (count == 0, if count == 0 { rows } else { count });
            let gradients = values(gradients * width, seed as u32 + 2, 5);
            let named = if dense { (0..rows as u32).collect() } else { indices(rows, count, seed) };
            if dense {
                pair.step_dense(&gradients);
            } else {
                pair.step(&gradients, &named);
            }
            trajectory.step(seed + 1, &gradients, &named);
        }
        let what = format!("row-wise, {count} of {rows} rows of {width}, {precision}, {rule:?}");
        if precision == Precision::Exact {
            pair.check(&what);
            return true;
        }
        let what = format!("{what} on {}", driver.name);
        let found = pair.params.download_blocking(gpu).unwrap();
        Trajectory::<R>::check(&what, &trajectory.params, &found);
        for (k, bounds) in trajectory.state.iter().enumerate() {
            let found = pair.optimizer.state(k).download_blocking(gpu).unwrap();
            Trajectory::<R>::check(&format!("{what}, state {k}"), bounds, &found);
        }
        true
    }
}

fn every_rule(driver: &Driver) {
    let gpu = driver.gpu();
    for precision in PRECISIONS {
        let agree = Agree { driver, gpu, precision, rows: 21, width: 8, count: 30 };
        let tried = AnyRule::examples()
            .into_iter()
            .filter(|rule| with_rule!(*rule, |rule| agree.check(rule)));
        let mut names: Vec<_> = tried.map(AnyRule::name).collect();
        names.dedup();
        assert_eq!(names, ["adagrad", "rmsprop", "adadelta", "adam"]);
    }
}

/// Widths around the 4 columns of an invocation, the 32 columns of one iteration over a row, and
/// several iterations.
fn widths(driver: &Driver) {
    let gpu = driver.gpu();
    for precision in PRECISIONS {
        for width in [1, 3, 4, 5, 31, 32, 33, 64, 100, 1000] {
            let agree = Agree { driver, gpu, precision, rows: 9, width, count: 7 };
            assert!(agree.check(Adagrad::default()) && agree.check(Adam::default()));
        }
        // More rows than one workgroup takes, and than one thread of the CPU engine.
        let agree = Agree { driver, gpu, precision, rows: 20_000, width: 16, count: 8000 };
        assert!(agree.check(Adagrad::default()));
    }
}

fn parts(driver: &Driver) {
    let small = driver.with_low_limits();
    for precision in PRECISIONS {
        // A split table; split gradients; rows in two parts of the table; split state; split lists;
        // rows that just fit one binding.
        for (rows, width, count) in
            [(5000, 8, 20), (999, 9, 400), (500, 8, 400), (20_000, 1, 5000), (20, 1000, 9)]
        {
            let agree = Agree { driver, gpu: &small, precision, rows, width, count };
            assert!(agree.check(Adagrad::default()));
            assert!(agree.check(Adam { amsgrad: true, ..Adam::default() }));
        }
    }
    let mut optimizer = GpuOptimizer::row_wise(&small, Adagrad::default(), 20, 1025).unwrap();
    let (params, grads) = (small.zeros(20 * 1025).unwrap(), small.zeros(1025).unwrap());
    let error = optimizer.step_rows(&params, &grads, &[3]).unwrap_err().to_string();
    assert!(error.contains("4100") && error.contains("4096"), "{error}");
}

/// lavapipe silently ends the loops of an invocation after 65,535 iterations. Here one invocation
/// would need 32 columns of 2200 terms for a mean.
fn often(driver: &Driver) {
    let gpu = driver.gpu();
    let (rows, width) = (4, 1024);
    let mut named = vec![2; 2200];
    named.extend([0, 3, 0]);
    let count = named.len();
    let agree = Agree { driver, gpu, precision: Precision::Exact, rows, width, count };
    let mut pair = agree.pair(Adagrad::default(), values(rows * width, 1, 5)).unwrap();
    pair.step(&values(count * width, 2, 5), &named);
    pair.check("row-wise, a row named 2200 times");
    let error = GpuOptimizer::row_wise(gpu, Adagrad::default(), 1, 698_561).unwrap_err();
    assert_eq!(error, RowsError::TooLong { width: 698_561, max: 698_560 }.into());
}

fn special(driver: &Driver) {
    let gpu = driver.gpu();
    let (rows, width, count) = (200, 12, 300);
    let agree = Agree { driver, gpu, precision: Precision::Exact, rows, width, count };
    let rule = Adagrad { learning_rate: 0.1, ..Adagrad::default() };
    let mut pair = agree.pair(rule, patterns(rows * width, 1)).unwrap();
    pair.step(&patterns(count * width, 2), &indices(rows, count, 1));
    pair.check("row-wise special values");
}

fn recorded(driver: &Driver) {
    let gpu = driver.gpu();
    let (rows, width) = (100, 8);
    let agree = Agree { driver, gpu, precision: Precision::Exact, rows, width, count: 0 };
    let mut pair = agree.pair(Adagrad::default(), values(rows * width, 1, 5)).unwrap();
    let mut encoder = gpu.device().create_command_encoder(&Default::default());
    for step in 0..20_u32 {
        let count = 1 + 7 * step as usize % 50;
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
    pair.check("20 recorded row-wise steps");
}

/// Widths around the 4 columns of an invocation and the 32 partial sums of a row.
const WIDTHS: [usize; 5] = [1, 2, 5, 64, 1024];

fn dense(driver: &Driver) {
    let gpu = driver.gpu();
    for precision in PRECISIONS {
        let mut count = 0;
        for rule in AnyRule::examples() {
            for width in WIDTHS {
                let agree = Agree { driver, gpu, precision, rows: 7, width, count: 0 };
                count += usize::from(with_rule!(rule, |rule| agree.check(rule)));
            }
        }
        assert!(count >= 5 * WIDTHS.len(), "{count}");
        // More rows than a workgroup takes.
        let agree = Agree { driver, gpu, precision, rows: 3000, width: 5, count: 0 };
        assert!(agree.check(Adagrad::default()));
    }
}

fn dense_in_parts(driver: &Driver) {
    let small = driver.with_low_limits();
    for precision in PRECISIONS {
        // Gradients in one binding, with rows in one run and in several; then gradients in several
        // bindings, the last case in several buffers.
        for (rows, width) in
            [(100, 5), (1000, 1), (500, 2), (2500, 1), (2500, 2), (500, 5), (40, 64), (20, 1024)]
        {
            let agree = Agree { driver, gpu: &small, precision, rows, width, count: 0 };
            assert!(agree.check(Adagrad::default()));
            assert!(agree.check(Adam { amsgrad: true, ..Adam::default() }));
        }
    }
}
