//! Optimizers whose rows share their accumulators: equal to the CPU engine's, whatever the length of
//! a row and however its vectors are cut.

use wgpu_optim::{
    Adagrad, Adam, AnyRule, CpuOptimizer, Gpu, GpuOptimizer, Precision, Rule, RuleVisitor,
};

use crate::Check;
use crate::driver::Driver;
use crate::reference::{patterns, values};
use crate::rows::{Pair, indices, precisions};

pub(crate) const CHECKS: &[Check] = &[
    ("row-wise: every rule that can be, in either precision", every_rule),
    ("row-wise: rows of any length", widths),
    ("row-wise: tables, state and gradients in many parts", parts),
    ("row-wise: rows that are not finite, and subnormal ones", special),
    ("row-wise: N steps in one encoder, each with its own", recorded),
];

/// Steps over some rows of a table, compared with the CPU engine's.
#[derive(Clone, Copy)]
struct Agree<'a> {
    driver: &'a Driver,
    gpu: &'a Gpu,
    precision: Precision,
    rows: usize,
    width: usize,
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
}

impl RuleVisitor for Agree<'_> {
    /// Whether rows can share something of the rule's state.
    type Output = bool;

    fn visit<R: Rule>(self, rule: R) -> bool {
        let Self { precision, rows, width, count, .. } = self;
        let Some(mut pair) = self.pair(rule, values(rows * width, 1, 5)) else { return false };
        for seed in 0..3 {
            let named = indices(rows, count, seed);
            pair.step(&values(count * width, seed as u32 + 2, 5), &named);
        }
        pair.check(&format!("row-wise, {count} of {rows} rows of {width}, {precision}, {rule:?}"));
        true
    }
}

fn every_rule(driver: &Driver) {
    let gpu = driver.gpu();
    for &precision in precisions(driver) {
        let agree = Agree { driver, gpu, precision, rows: 21, width: 8, count: 30 };
        let tried = AnyRule::examples().into_iter().filter(|rule| rule.visit(agree));
        let mut names: Vec<_> = tried.map(AnyRule::name).collect();
        names.dedup();
        assert_eq!(names, ["adagrad", "rmsprop", "adadelta", "adam"]);
    }
}

/// On both sides of the 4 columns that an invocation takes, the 32 of a row's turn, and several turns.
fn widths(driver: &Driver) {
    let gpu = driver.gpu();
    for &precision in precisions(driver) {
        for width in [1, 3, 4, 5, 31, 32, 33, 64, 100, 1000] {
            for rule in [Adagrad::default().into(), AnyRule::from(Adam::default())] {
                rule.visit(Agree { driver, gpu, precision, rows: 9, width, count: 7 });
            }
        }
        // More rows than one workgroup has, and than one thread of the CPU engine.
        let rule = AnyRule::from(Adagrad::default());
        rule.visit(Agree { driver, gpu, precision, rows: 50_000, width: 16, count: 20_000 });
    }
}

fn parts(driver: &Driver) {
    let small = driver.lowered(|limits| {
        limits.max_storage_buffer_binding_size = 4096;
        limits.max_buffer_size = 64 << 10;
        limits.max_compute_workgroups_per_dimension = 2;
        limits.max_compute_invocations_per_workgroup = 64;
        limits.max_compute_workgroup_size_x = 64;
        limits.max_compute_workgroup_size_y = 64;
    });
    for &precision in precisions(driver) {
        // A table in parts; gradients too; rows in two parts of the table; state in parts; lists in
        // parts; rows that only just fit one binding.
        for (rows, width, count) in
            [(5000, 8, 20), (999, 9, 400), (500, 8, 400), (20_000, 1, 5000), (20, 1000, 9)]
        {
            let rule = Adagrad::default();
            let agree = Agree { driver, gpu: &small, precision, rows, width, count };
            assert!(AnyRule::from(rule).visit(agree));
            let adam = Adam { amsgrad: true, ..Adam::default() };
            assert!(AnyRule::from(adam).visit(agree));
        }
    }
    let mut optimizer = GpuOptimizer::row_wise(&small, Adagrad::default(), 20, 1025).unwrap();
    let (params, grads) = (small.zeros(20 * 1025).unwrap(), small.zeros(1025).unwrap());
    let error = optimizer.step_rows(&params, &grads, &[3]).unwrap_err().to_string();
    assert!(error.contains("4100") && error.contains("4096"), "{error}");
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
