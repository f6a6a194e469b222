//! Parity of the CPU engine with PyTorch, optax, Keras and MXNet, and regression tests for faults
//! found in other optimizers.
//!
//! The golden files hold 100 steps of the frameworks over gradients from 1e-20 to 1e10. Each side
//! rounds a known number of times a step. The bound adds up the errors of those roundings along our
//! own trajectory, and the tests assert it:
//!
//! ```text
//! |s_T - s'_T| <= sum over t of  2 u s_t + k_s u g_t^2                              u = 2^-24
//! |x_T - x'_T| <= sum over t of  ulp(x_t) + k u |v_t| + |v_t| |s_t - s'_t| / (2 s_t)
//! ```
//!
//! with `v_t` the update. `k` is 8.5 for PyTorch, 7.8 for optax, 7 for Keras, and 4 more where the
//! learning rate decays. `k_s` is 1 for PyTorch and optax, which fuse the square into the sum, and
//! 2 for Keras. In addition, x stays within 4 ULP of x for each step taken, and Keras without decay
//! gives our bits. tests/golden/README.md derives all this and names each difference between the
//! frameworks. `cargo test --test golden -- --nocapture` prints the measured maxima.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints its table on request"
)]

#[path = "support/bound.rs"]
mod bound;
#[path = "golden/mod.rs"]
mod golden;

use golden::{After, Arithmetic, Engine, Run, check, golden_files, gradients, regressions};
use wgpu_optim::rules::OwnSquare;
use wgpu_optim::{Adagrad, CpuOptimizer, Rule, WeightDecay};

struct Cpu;

struct CpuRun {
    optimizer: CpuOptimizer<Adagrad>,
    x: Vec<f32>,
}

impl Engine for Cpu {
    fn arithmetic(&self) -> Arithmetic {
        Arithmetic::NEAREST
    }

    fn start(&self, rule: Adagrad, x: &[f32]) -> Box<dyn Run> {
        let optimizer = CpuOptimizer::new(rule, x.len()).unwrap();
        Box::new(CpuRun { optimizer, x: x.to_vec() })
    }
}

impl Run for CpuRun {
    fn set_learning_rate(&mut self, learning_rate: f32) {
        self.optimizer.set_learning_rate(learning_rate).unwrap();
    }

    fn step(&mut self, gradients: &[f32]) -> After {
        let gradients = gradients.to_vec();
        self.optimizer.step(&mut self.x, &gradients).unwrap();
        After { x: self.x.clone(), s: self.optimizer.state(0).to_vec(), gradients }
    }
}

#[test]
fn presets_agree_with_their_frameworks() {
    println!(
        "framework case                       x/bound s/bound  x ulp s ulp  x ulp/step (bound)"
    );
    let mut failures = Vec::new();
    for file in golden_files() {
        assert!(file.cases.iter().any(|case| case.name == "defaults"));
        for case in &file.cases {
            let what = format!("{} {}: the file is incomplete", file.framework, case.name);
            assert_eq!(case.shown.len(), 12, "{what}"); // three lengths at four steps
            match check(&Cpu, &file, case) {
                Ok(m) => {
                    println!(
                        "{:9} {:25} {:8.4} {:7.4} {:6} {:5} {:10.4} ({:.2})",
                        file.framework,
                        case.name,
                        m.x_of_bound,
                        m.s_of_bound,
                        m.x_distance,
                        m.s_distance,
                        m.x_per_step,
                        m.bound_per_step
                    );
                }
                Err(failure) => failures.push(failure),
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn weight_decay_reaches_numerator_and_accumulator() {
    regressions::weight_decay(&Cpu);
}

#[test]
fn initial_accumulator_is_honoured() {
    regressions::initial_accumulator(&Cpu);
}

#[test]
fn tail_equals_body() {
    regressions::tail_equals_body(&Cpu);
}

#[test]
fn gradients_are_never_modified() {
    regressions::gradients_stay(&Cpu);
}

#[test]
fn learning_rate_decay_counts_from_the_first_step() {
    regressions::learning_rate_decay(&Cpu);
}

/// MXNet 2 is no longer maintained. Its formula is that of the documentation of
/// `mxnet.optimizer.AdaGrad` (version 2), with `rescale_grad` 1 and no clipping:
///
/// ```text
/// grad = grad + wd * weight
/// history += square(grad)
/// weight -= learning_rate * grad / (sqrt(history) + epsilon)
/// ```
///
/// with a learning rate of 0.01, an epsilon of 1e-6 and a history that starts at 0. Evaluated from
/// left to right in double precision, it has the operations of our rule, hence the same bits.
#[test]
fn mxnet_formula_in_double_precision() {
    for (wd, weight_decay) in [(0.0, WeightDecay::None), (0.01f32, WeightDecay::L2(0.01))] {
        let rule = Adagrad { weight_decay, ..Adagrad::mxnet() };
        let (learning_rate, epsilon) = (f64::from(0.01f32), f64::from(1e-6f32));
        let mut weight: Vec<f64> = gradients::initial(7, 1000).into_iter().map(f64::from).collect();
        let mut history = vec![0.0f64; weight.len()];
        let (mut x, mut state) = (weight.clone(), vec![[0.0f64]; weight.len()]);
        for step in 1..=100 {
            for (i, gradient) in gradients::gradients(7, step, weight.len()).iter().enumerate() {
                let gradient = f64::from(*gradient);
                let grad = gradient + f64::from(wd) * weight[i];
                history[i] += grad * grad;
                weight[i] -= learning_rate * grad / (history[i].sqrt() + epsilon);
                x[i] = rule.update(&rule.uniforms(step), x[i], gradient, OwnSquare, &mut state[i]);
                assert_eq!(
                    (x[i], state[i][0]),
                    (weight[i], history[i]),
                    "wd {wd}, [{i}] at {step}"
                );
            }
        }
    }
}
