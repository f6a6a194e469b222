//! Parity of every rule but Adagrad with PyTorch, optax and Keras, step by step, on the CPU engine.
//! tests/drivers/golden.rs runs the same comparison on every driver.
//!
//! `cargo test --test golden_rules -- --nocapture` prints the share of the bound that is used.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints its table on request"
)]

#[path = "golden/gradients.rs"]
mod gradients;
#[path = "golden/row_wise.rs"]
mod row_wise;
#[path = "golden/rules.rs"]
mod rules;

use rules::{Stepper, compare_all};
use wgpu_optim::{CpuOptimizer, Rule};

struct Cpu;

impl Stepper for Cpu {
    fn rounds_to_nearest(&self) -> bool {
        true
    }

    fn step<R: Rule>(
        &self,
        rule: R,
        step: u64,
        vectors: &[Vec<f32>],
        grads: &[f32],
    ) -> Vec<Vec<f32>> {
        let mut optimizer = CpuOptimizer::new(rule, grads.len()).unwrap();
        optimizer.set_steps(step - 1);
        for (k, state) in vectors[1..].iter().enumerate() {
            optimizer.state_mut(k).copy_from_slice(state);
        }
        let mut x = vectors[0].clone();
        optimizer.step(&mut x, grads).unwrap();
        let state = (0..optimizer.state_count()).map(|k| optimizer.state(k).to_vec());
        [x].into_iter().chain(state).collect()
    }
}

#[test]
fn every_rule_agrees_with_the_frameworks() {
    for (call, worst) in compare_all(&Cpu) {
        println!("{worst:.3} of the bound: {call}");
    }
}
