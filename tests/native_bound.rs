//! The bounds derived by hand, against a simulated device that errs as much as WGSL allows.
//!
//! Every operation errs as far as it may, up or down. Every input is tried with all combinations of
//! directions, with subnormals flushed and kept.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "the figures of docs/numerics.md, with --nocapture")]

#[path = "support/bound.rs"]
mod bound;
#[path = "support/by_hand.rs"]
mod by_hand;
#[path = "worst/mod.rs"]
mod worst;

use bound::Bound;
use by_hand::{Errors, Input, UNIT, accumulator_growth, gradient_error, update_units};
use wgpu_optim::rules::OwnSquare;
use wgpu_optim::{Adagrad, EpsilonPlacement, Rule, WeightDecay};
use worst::{Device, Random};

impl Device {
    /// Adagrad's update with the operations of shaders/rules/adagrad.wgsl. Returns the new
    /// parameter and state.
    fn step(&mut self, rule: &Adagrad, input: &Input<f32>) -> (f32, f32) {
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

/// The maximum number of operations of a step, each with a direction: decay 2, square and sum 2,
/// divisor 3, numerator, quotient, difference.
const OPERATIONS: u32 = 10;

/// Every choice of formula.
fn formulas() -> Vec<Adagrad> {
    let mut all = Vec::new();
    for epsilon_placement in [EpsilonPlacement::InsideRoot, EpsilonPlacement::OutsideRoot] {
        for weight_decay in [WeightDecay::None, WeightDecay::L2(0.1), WeightDecay::Decoupled(0.1)] {
            all.push(Adagrad { epsilon_placement, weight_decay, ..Adagrad::default() });
        }
    }
    all
}

/// The exact step, in double precision, by the rule's own update.
fn exact(rule: &Adagrad, input: &Input<f64>) -> (f64, f64) {
    let mut uniforms = rule.uniforms(1);
    (uniforms.learning_rate, uniforms.epsilon, uniforms.weight_decay) =
        (input.learning_rate, input.epsilon, input.weight_decay);
    let mut state = [input.accumulator];
    let gradient = f64::from(input.gradient);
    (rule.update(&uniforms, input.parameter, gradient, OwnSquare, &mut state), state[0])
}

/// Inputs of a step.
impl Random {
    fn input(&mut self) -> Input<f32> {
        let wide = if self.bits() & 1 == 0 { 4 } else { 50 };
        let mut input = Input {
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

    /// Inputs for which every result is just above a power of two, where its ulp is relatively
    /// largest. The parameter is 0, so the result is the update itself.
    fn sharp(&mut self) -> Input<f32> {
        let mut near_one = || 1.0 + (1 + self.bits() % 8192) as f32 * f32::EPSILON;
        let [gradient, learning_rate] = [near_one(), near_one()];
        Input {
            parameter: 0.0,
            gradient,
            accumulator: self.number(4).abs() * 2f32.powi(-16),
            learning_rate,
            epsilon: 2f32.powi(-33),
            weight_decay: 0.0,
        }
    }
}

/// The maximum share of the bound that an error reached, for parameter and accumulator, and the
/// maximum error of the update alone (a parameter of 0) in units of 2^-23 of it.
fn reached(rule: &Adagrad, inputs: u32) -> (f64, f64, f64) {
    let mut random = Random(1);
    let mut worst = (0.0_f64, 0.0_f64, 0.0_f64);
    let mut bounded = 0;
    for _ in 0..inputs {
        let input = random.input();
        let Some(allowed) = by_hand::step(rule, &input) else { continue };
        bounded += 1;
        let (x, s) = exact(rule, &input.widened());
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

/// Every error is within the bound, and comes so close that a bound half as large would fail.
#[test]
fn the_worst_step_stays_within_the_bound_and_comes_close() {
    for rule in formulas() {
        let (parameter, accumulator, update) = reached(&rule, 3000);
        println!("reached {parameter:.4} of x's, {accumulator:.4} of s's, {update:.2}: {rule:?}");
        assert!(parameter <= 1.0 && accumulator <= 1.0, "{rule:?}: {parameter} {accumulator}");
        assert!(parameter > 0.95 && accumulator > 0.95, "{rule:?}: {parameter} {accumulator}");
        let units = update_units(rule.epsilon_placement);
        assert!(update > 0.75 * units, "{rule:?}: {update} units");
    }
}

/// `Bound::PARAMETER` and `Bound::STATE`, against a CPU engine that rounds to nearest.
#[test]
fn without_weight_decay_the_presets_hold_against_the_cpu() {
    let mut random = Random(2);
    let mut worst = 0.0_f64;
    for rule in &formulas() {
        if rule.weight_decay != WeightDecay::None {
            continue;
        }
        for _ in 0..2000 {
            let input = random.input();
            let numerator = input.learning_rate * input.gradient;
            if by_hand::step(rule, &input).is_none()
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
            let update = f64::from(input.parameter) - exact(rule, &input.widened()).0;
            for up in 0..1 << OPERATIONS {
                let (x, s) = Device { up, flush: false }.step(rule, &input);
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
    for rule in formulas() {
        let mut worst = 0.0_f64;
        // Directions: all combinations, each kept for all steps; then random ones.
        for trial in 0..3 << OPERATIONS {
            let mut random = Random(u64::from(trial % 17));
            let mut input = Input {
                parameter: random.number(4),
                gradient: 0.0,
                accumulator: random.number(4).abs(),
                learning_rate: 0.1,
                epsilon: 1e-6,
                weight_decay: 0.01,
            };
            let mut ideal = input.widened();
            let mut errors = Errors::default();
            let mut directions = Random(u64::from(trial));
            for step in 1..=100 {
                input.gradient = random.number(4);
                ideal.gradient = input.gradient;
                errors = by_hand::accumulate(&rule, &ideal, errors).unwrap();
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
        println!("100 steps reached {worst:.3} of x's bound: {rule:?}");
        assert!(worst > 0.1, "{rule:?}: {worst}");
    }
}

/// The tree of the canonical order (`linear`), on the worst device with random directions.
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

/// The input of a step with a fixed learning rate, epsilon and decay.
fn input(x: f32, g: f32, s: f32) -> Input<f32> {
    Input {
        parameter: x,
        gradient: g,
        accumulator: s,
        learning_rate: 0.1,
        epsilon: 1e-6,
        weight_decay: 0.5,
    }
}

/// With x = 0, g = 1 and s = 0 the result is the update, 0.1 / sqrt(1 + 1e-6).
#[test]
fn the_constants_are_those_of_the_document() {
    let start = input(0.0, 1.0, 0.0);
    let update = 0.1 / (1.0 + 1e-6f64).sqrt();
    let placements = [(EpsilonPlacement::InsideRoot, 9.5), (EpsilonPlacement::OutsideRoot, 10.0)];
    for (epsilon_placement, units) in placements {
        let rule = Adagrad { epsilon_placement, ..Adagrad::default() };
        let errors = by_hand::step(&rule, &start).unwrap();
        let expected = units * UNIT * update + UNIT / 16.0; // the ulp of 0.1 is 2^-27
        assert!((errors.parameter / expected - 1.0).abs() < 1e-4, "{errors:?}");
        assert_eq!(errors.accumulator, 2.0 * UNIT);
    }
}

/// With g = -w x the exact update is 0, and only the error of the gradient counts.
#[test]
fn a_gradient_that_cancels_has_an_absolute_bound() {
    let rule = Adagrad { weight_decay: WeightDecay::L2(0.5), ..Adagrad::default() };
    let errors = by_hand::step(&rule, &input(8.0, -4.0, 1.0)).unwrap();
    let from_gradient = 0.1 * 4.0 * UNIT;
    let expected = from_gradient + 8.0 * UNIT;
    assert!((errors.parameter / expected - 1.0).abs() < 1e-4, "{errors:?}");
}

#[test]
fn outside_the_domain_there_is_no_bound() {
    let rule = Adagrad::default();
    let subnormal = f32::MIN_POSITIVE / 2.0;
    for wrong in [
        input(subnormal, 1.0, 1.0),
        input(1.0, subnormal, 1.0),
        input(1.0, 1.0, subnormal),
        input(1.0, 1e20, 1.0),
        input(f32::NAN, 1.0, 1.0),
        input(1.0, f32::INFINITY, 1.0),
        Input { epsilon: 0.0, ..input(1.0, 0.0, 0.0) },
        Input { epsilon: 0.0, ..input(1.0, 1e-20, 0.0) },
    ] {
        assert_eq!(by_hand::step(&rule, &wrong), None, "{wrong:?}");
    }
    assert!(by_hand::step(&rule, &input(1.0, 1e-20, 0.0)).is_some());
}

#[test]
fn growth_counts_roundings() {
    assert!((accumulator_growth(1) / (2.0 * UNIT) - 1.0).abs() < 1e-6);
    assert!((accumulator_growth(999) / (1000.0 * UNIT) - 1.0).abs() < 1e-3);
    // 1 row, 31 features: 1 + 0 + 5 + 1, then 1 + 0 + 5 + 2.5.
    assert!((gradient_error(1, 31) / (15.5 * UNIT) - 1.0).abs() < 1e-5);
    assert!((gradient_error(64, 32) / (17.5 * UNIT) - 1.0).abs() < 1e-5);
}

#[test]
fn the_first_element_outside_is_named() {
    let expected = [1.0, 2.0, 3.0];
    let actual = [1.0, f32::from_bits(2f32.to_bits() + 3), 3.5];
    let mismatch = Bound::STATE.check("s", &expected, &actual, &[]).unwrap_err();
    assert_eq!((mismatch.index, mismatch.distance, mismatch.count), (1, 3, 2));
    assert!(Bound::STATE.check("s", &[2.0], &[f32::from_bits(2f32.to_bits() + 2)], &[]).is_ok());
}

/// The neighbours of 1 are 3 ulp of the lower one apart, but within 2 ulp of the upper one.
#[test]
fn across_a_binade_the_larger_ulp_counts() {
    let (below, above) = (1.0 - 0.5 * f32::EPSILON, 1.0 + f32::EPSILON);
    assert!(Bound::STATE.check("s", &[below], &[above], &[]).is_ok());
    assert!(Bound::STATE.check("s", &[1.0], &[f32::INFINITY], &[]).is_err());
    assert!(Bound::STATE.check("s", &[1.0], &[f32::NAN], &[]).is_err());
}

#[test]
fn exact_means_bits_and_lengths() {
    assert!(Bound::EXACT.check("x", &[0.0], &[-0.0], &[]).is_err());
    assert!(Bound::EXACT.check("x", &[0.0, 1.0], &[0.0], &[]).is_err());
    assert!(Bound::EXACT.check("x", &[f32::NAN], &[f32::NAN], &[]).is_ok());
}
