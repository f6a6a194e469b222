//! The derived bounds against a device that does the worst that WGSL's accuracy table allows.
//!
//! Every operation errs by all that it may, and each one in a direction of its own: all
//! combinations of directions are tried on every input, subnormals flushed or kept.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "the figures of docs/numerics.md, with --nocapture")]

#[path = "worst/mod.rs"]
mod worst;

use wgpu_optim::numerics::{
    Bound, Errors, StepBound, StepInput, UNIT, accumulator_growth, gradient_error,
};
use wgpu_optim::rules::OwnSquare;
use wgpu_optim::{Adagrad, EpsilonPlacement, Rule, WeightDecay};
use worst::{Device, Random};

/// The update of Adagrad, operation by operation.
impl Device {
    /// Adagrad's update, as shaders/rules/adagrad.wgsl has it; the new parameter and state.
    fn step(&mut self, rule: &Adagrad, input: &StepInput<f32>) -> (f32, f32) {
        let (mut x, mut g) = (input.parameter, input.gradient);
        let w = input.weight_decay;
        match rule.weight_decay {
            WeightDecay::None => {}
            WeightDecay::L2(_) => {
                let decay = self.mul(w, x);
                g = self.add(g, decay);
            }
            WeightDecay::Decoupled(_) => {
                let decay = self.mul(w, x);
                x = self.add(x, -decay);
            }
        }
        let square = self.mul(g, g);
        let s = self.add(input.accumulator, square);
        let divisor = match rule.epsilon_placement {
            EpsilonPlacement::InsideRoot => {
                let sum = self.add(s, input.epsilon);
                self.square_root(sum)
            }
            EpsilonPlacement::OutsideRoot => {
                let root = self.square_root(s);
                self.add(root, input.epsilon)
            }
        };
        let numerator = self.mul(input.learning_rate, g);
        let update = self.div(numerator, divisor);
        (self.add(x, -update), s)
    }
}

/// The most operations that a step has, each with a direction: decay 2, square and sum 2, divisor
/// 3, numerator, quotient, difference.
const OPERATIONS: u32 = 10;

/// Every choice of formula, with its bound.
fn formulas() -> Vec<(Adagrad, StepBound)> {
    let inside = (EpsilonPlacement::InsideRoot, StepBound::EPSILON_INSIDE);
    let outside = (EpsilonPlacement::OutsideRoot, StepBound::EPSILON_OUTSIDE);
    let mut all = Vec::new();
    for (epsilon_placement, bound) in [inside, outside] {
        let base = Adagrad { epsilon_placement, ..Adagrad::default() };
        all.push((base, bound));
        all.push((Adagrad { weight_decay: WeightDecay::L2(0.1), ..base }, bound.with_l2()));
        let weight_decay = WeightDecay::Decoupled(0.1);
        all.push((Adagrad { weight_decay, ..base }, bound.with_decoupled()));
    }
    all
}

/// The exact step, in double precision, by the rule's own update.
fn exact(rule: &Adagrad, input: &StepInput<f64>) -> (f64, f64) {
    let mut uniforms = rule.uniforms(1);
    (uniforms.learning_rate, uniforms.epsilon, uniforms.weight_decay) =
        (input.learning_rate, input.epsilon, input.weight_decay);
    let mut state = [input.accumulator];
    let gradient = f64::from(input.gradient);
    (rule.update(&uniforms, input.parameter, gradient, OwnSquare, &mut state), state[0])
}

fn widened(input: &StepInput<f32>) -> StepInput<f64> {
    StepInput {
        parameter: f64::from(input.parameter),
        accumulator: f64::from(input.accumulator),
        gradient: input.gradient,
        learning_rate: input.learning_rate,
        epsilon: input.epsilon,
        weight_decay: input.weight_decay,
    }
}

/// Inputs of a step.
impl Random {
    fn input(&mut self) -> StepInput<f32> {
        let wide = if self.bits() & 1 == 0 { 4 } else { 50 };
        let mut input = StepInput {
            parameter: self.number(wide),
            gradient: self.number(wide),
            accumulator: self.number(wide).abs(),
            learning_rate: self.number(8).abs(),
            epsilon: self.number(33).abs(),
            weight_decay: self.number(8).abs().min(1.0),
        };
        match self.bits() % 8 {
            0 => input.parameter = 0.0,
            1 => input.accumulator = 0.0,
            2 => (input.accumulator, input.parameter) = (0.0, 0.0),
            // A gradient that L2 cancels, nearly or wholly.
            3 => input.gradient = -input.weight_decay * input.parameter,
            // Squares, numerators and quotients that are subnormal.
            4 => input.gradient *= 2f32.powi(-60),
            5 => input = self.sharp(),
            _ => {}
        }
        input
    }

    /// Every operation's result just above a power of two, where its ulp weighs most; the
    /// result is the update itself.
    fn sharp(&mut self) -> StepInput<f32> {
        let mut near_one = || 1.0 + (1 + self.bits() % 8192) as f32 * f32::EPSILON;
        let [gradient, learning_rate] = [near_one(), near_one()];
        StepInput {
            parameter: 0.0,
            gradient,
            accumulator: self.number(4).abs() * 2f32.powi(-16),
            learning_rate,
            epsilon: 2f32.powi(-33),
            weight_decay: 0.0,
        }
    }
}

/// The largest part of the bound that any error reached, for parameter and accumulator, and for
/// the update alone (a parameter of 0), in units of 2^-23 of it.
fn reached(rule: &Adagrad, bound: &StepBound, inputs: u32) -> (f64, f64, f64) {
    let mut random = Random(1);
    let mut worst = (0.0_f64, 0.0_f64, 0.0_f64);
    let mut bounded = 0;
    for _ in 0..inputs {
        let input = random.input();
        let Some(allowed) = bound.step(&input) else { continue };
        bounded += 1;
        let (x, s) = exact(rule, &widened(&input));
        for up in 0..2 << OPERATIONS {
            let mut device = Device { up: up >> 1, flush: up & 1 == 1 };
            let (device_x, device_s) = device.step(rule, &input);
            let part = |device: f32, exact: f64, allowed: f64| {
                let error = (f64::from(device) - exact).abs();
                if error == 0.0 { 0.0 } else { error / allowed }
            };
            worst.0 = worst.0.max(part(device_x, x, allowed.parameter));
            worst.1 = worst.1.max(part(device_s, s, allowed.accumulator));
            if input.parameter == 0.0 && x.abs() > 1e-30 {
                worst.2 = worst.2.max(part(device_x, x, UNIT * x.abs()));
            }
        }
    }
    assert!(bounded > inputs / 2, "{bounded} of {inputs} inputs have a bound");
    worst
}

#[test]
fn the_worst_step_stays_within_the_bound_and_comes_close() {
    for (rule, bound) in formulas() {
        let (parameter, accumulator, update) = reached(&rule, &bound, 3000);
        println!("{bound:?}: reached {parameter:.4} of x's, {accumulator:.4} of s's, {update:.2}");
        assert!(parameter <= 1.0 && accumulator <= 1.0, "{rule:?}: {parameter} {accumulator}");
        assert!(parameter > 0.95 && accumulator > 0.95, "{rule:?}: {parameter} {accumulator}");
        assert!(update > 0.75 * bound.update_units(), "{rule:?}: {update} units");
    }
}

#[test]
fn half_the_bound_is_broken() {
    for (rule, bound) in formulas() {
        let (parameter, accumulator, _) = reached(&rule, &bound.tightened(0.5).unwrap(), 300);
        assert!(parameter > 1.5 && accumulator > 1.5, "{rule:?}: {parameter} {accumulator}");
    }
}

/// The bound that looks at the two results only, against a CPU engine that rounds to nearest.
#[test]
fn without_weight_decay_the_presets_hold_against_the_cpu() {
    let mut random = Random(2);
    let mut worst = 0.0_f64;
    for (rule, bound) in formulas().into_iter().filter(|(r, _)| r.weight_decay == WeightDecay::None)
    {
        for _ in 0..2000 {
            let input = random.input();
            let numerator = input.learning_rate * input.gradient;
            if bound.step(&input).is_none()
                || numerator.abs() < 1e-30
                || input.gradient.abs() < 1e-18
            {
                continue;
            }
            let mut uniforms = rule.uniforms(1);
            (uniforms.learning_rate, uniforms.epsilon) = (input.learning_rate, input.epsilon);
            let mut state = [input.accumulator];
            let cpu =
                rule.update(&uniforms, input.parameter, input.gradient, OwnSquare, &mut state);
            let update = f64::from(input.parameter) - exact(&rule, &widened(&input)).0;
            for up in 0..1 << OPERATIONS {
                let (x, s) = Device { up, flush: false }.step(&rule, &input);
                Bound::PARAMETER.check("x", &[cpu], &[x], &[update as f32]).unwrap();
                Bound::STATE.check("s", &state, &[s], &[]).unwrap();
                let error = (f64::from(x) - f64::from(cpu)).abs() / (UNIT * update.abs());
                worst = worst.max(if input.parameter == 0.0 { error } else { 0.0 });
            }
        }
    }
    // The result is the update itself: 12.5 units, and 1.5 for the last rounding.
    println!("reached {worst:.2} of 14 units of 2^-23");
    assert!(worst > 8.0);
}

#[test]
fn a_hundred_steps_stay_within_the_accumulated_bound() {
    for (rule, bound) in formulas() {
        let mut worst = 0.0_f64;
        // Directions: all combinations, each kept for all steps, and random ones.
        for trial in 0..3 << OPERATIONS {
            let mut random = Random(u64::from(trial % 17));
            let mut input = StepInput {
                parameter: random.number(4),
                gradient: 0.0,
                accumulator: random.number(4).abs(),
                learning_rate: 0.1,
                epsilon: 1e-6,
                weight_decay: 0.01,
            };
            let mut ideal = widened(&input);
            let mut errors = Errors::default();
            let mut directions = Random(u64::from(trial));
            for step in 1..=100 {
                input.gradient = random.number(4);
                ideal.gradient = input.gradient;
                errors = bound.accumulate(&ideal, errors).unwrap();
                let up =
                    if trial < 2 << OPERATIONS { trial >> 1 } else { directions.bits() as u32 };
                let mut device = Device { up, flush: trial & 1 == 1 };
                (input.parameter, input.accumulator) = device.step(&rule, &input);
                (ideal.parameter, ideal.accumulator) = exact(&rule, &ideal);
                let x_error = (f64::from(input.parameter) - ideal.parameter).abs();
                let s_error = (f64::from(input.accumulator) - ideal.accumulator).abs();
                assert!(x_error <= errors.parameter, "{rule:?}, step {step}, {trial}");
                assert!(s_error <= errors.accumulator, "{rule:?}, step {step}, {trial}");
                if !matches!(rule.weight_decay, WeightDecay::L2(_)) {
                    assert!(s_error <= accumulator_growth(step) * ideal.accumulator);
                }
                worst = worst.max(if step == 100 { x_error / errors.parameter } else { 0.0 });
            }
        }
        println!("{bound:?}: 100 steps reached {worst:.3} of x's bound");
        assert!(worst > 0.1, "{rule:?}: {worst}");
    }
}

/// The canonical order of `linear`, on the worst device; `up` for each operation at random.
fn tree(sums: &mut [f32], random: &mut Random) -> f32 {
    let mut half = sums.len() / 2;
    while half > 0 {
        for index in 0..half {
            sums[index] = device(random).add(sums[index], sums[index + half]);
        }
        half /= 2;
    }
    sums[0]
}

/// A device that errs upwards seven times in eight.
fn device(random: &mut Random) -> Device {
    Device { up: if random.bits().is_multiple_of(8) { 0 } else { u32::MAX }, flush: false }
}

#[test]
fn the_gradient_stays_within_its_bound() {
    let mut worst = 0.0_f64;
    for (rows, features) in [(1_usize, 1), (10, 5), (64, 31), (65, 32), (300, 100)] {
        let mut random = Random(rows as u64);
        let columns = features + 1;
        let weights: Vec<f32> = (0..columns).map(|_| random.number(3).abs()).collect();
        let (mut runs, length) = ([0.0_f32; 32], rows.div_ceil(32));
        let (mut mean, mut magnitude) = (0.0_f64, 0.0_f64);
        for row in 0..rows {
            let x: Vec<f32> = (0..features).map(|_| random.number(3).abs()).chain([1.0]).collect();
            let target = -random.number(3).abs();
            let mut lanes = [0.0_f32; 32];
            let (mut residual, mut size) = (-f64::from(target), f64::from(target.abs()));
            for column in 0..columns {
                let product = device(&mut random).mul(x[column], weights[column]);
                lanes[column % 32] = device(&mut random).add(lanes[column % 32], product);
                let product = f64::from(x[column]) * f64::from(weights[column]);
                (residual, size) = (residual + product, size + product.abs());
            }
            let sum = tree(&mut lanes, &mut random);
            let device_residual = device(&mut random).add(sum, -target);
            let product = device(&mut random).mul(device_residual, x[0]);
            runs[row / length] = device(&mut random).add(runs[row / length], product);
            mean += residual * f64::from(x[0]) / rows as f64;
            magnitude += size * f64::from(x[0].abs()) / rows as f64;
        }
        let sum = tree(&mut runs, &mut random);
        let gradient = device(&mut random).div(sum, rows as f32);
        let error = (f64::from(gradient) - mean).abs();
        let allowed = gradient_error(rows, features) * magnitude;
        assert!(error <= allowed, "{rows}x{features}: {error} of {allowed}");
        worst = worst.max(error / allowed);
    }
    println!("reached {worst:.3} of the gradient's bound");
    assert!(worst > 0.05, "{worst}");
}
