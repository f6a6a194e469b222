//! Uses the CPU engine, without a GPU or driver.
//!
//! Minimizes the textbook function f(x1, x2) = 0.1 x1^2 + 2 x2^2 from (-5, -2) by 20 steps of
//! Adagrad, at two learning rates. Halfway, the run is saved, and another optimizer resumes it.
//!
//! Run with `cargo run --release --example cpu_only`.
#![allow(clippy::print_stdout, reason = "an example shows its result")]

use wgpu_optim::{Adagrad, CpuError, CpuOptimizer};

const STEPS: u64 = 20;

fn main() -> Result<(), CpuError> {
    for learning_rate in [0.4, 2.0] {
        let rule = Adagrad { learning_rate, ..Adagrad::default() };
        let mut x = [-5.0, -2.0];

        let mut first = CpuOptimizer::new(rule, x.len())?;
        descend(&mut first, &mut x, STEPS / 2)?;

        // A checkpoint needs the parameters, each state vector, and the number of steps.
        let (state, steps) = (first.state(0).to_vec(), first.steps());
        let mut second = CpuOptimizer::new(rule, x.len())?;
        second.state_mut(0).copy_from_slice(&state);
        second.set_steps(steps);
        descend(&mut second, &mut x, STEPS - steps)?;

        let [x1, x2] = x;
        println!("learning rate {learning_rate}: after {STEPS} steps x1 = {x1:.4}, x2 = {x2:.4}");
    }
    Ok(())
}

fn descend(
    optimizer: &mut CpuOptimizer<Adagrad>,
    x: &mut [f32; 2],
    steps: u64,
) -> Result<(), CpuError> {
    for _ in 0..steps {
        let gradient = [0.2 * x[0], 4.0 * x[1]];
        optimizer.step(x, &gradient)?;
    }
    Ok(())
}
