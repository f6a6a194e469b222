//! Running error analysis (`Running`): for every rule, against a simulated device that errs as much
//! as WGSL allows; for Adagrad, also against the bound that docs/numerics.md derives by hand.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "the figures of docs/numerics.md, with --nocapture")]

#[path = "support/by_hand.rs"]
mod by_hand;
#[path = "worst/mod.rs"]
mod worst;

use std::cell::RefCell;
use std::ops::{Add, Div, Mul, Neg, Sub};

use by_hand::{Errors, Input};
use wgpu_optim::numerics::{Real, Running, Wgsl};
use wgpu_optim::rules::{OwnSquare, StateElement};
use wgpu_optim::{Adagrad, AnyRule, Rule, WeightDecay, with_rule};
use worst::{Device, Random};

thread_local! {
    /// The simulated device of this thread.
    static DEVICE: RefCell<Device> = const { RefCell::new(Device { up: 0, flush: false }) };
}

/// A number of that device.
#[derive(Clone, Copy, Debug, Default)]
struct Worst(f32);

impl Worst {
    fn of_device(operation: impl FnOnce(&mut Device) -> f32) -> Self {
        DEVICE.with_borrow_mut(|device| Self(operation(device)))
    }
}

impl Add for Worst {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self::of_device(|device| device.add(self.0, other.0))
    }
}

impl Sub for Worst {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self::of_device(|device| device.add(self.0, -other.0))
    }
}

impl Mul for Worst {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        Self::of_device(|device| device.mul(self.0, other.0))
    }
}

impl Div for Worst {
    type Output = Self;

    fn div(self, other: Self) -> Self {
        Self::of_device(|device| device.div(self.0, other.0))
    }
}

impl Neg for Worst {
    type Output = Self;

    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl Real for Worst {
    fn of(value: f32) -> Self {
        Self(value)
    }

    fn sqrt(self) -> Self {
        Self::of_device(|device| device.square_root(self.0))
    }

    fn maximum(self, other: Self) -> Self {
        Self::of_device(|device| device.flushed(Real::maximum(self.0, other.0)))
    }
}

/// Steps of one rule from inputs of all magnitudes, each on many devices. Returns the maximum
/// shares of the bounds of parameter and state that an error reached.
fn steps<R: Rule>(seed: u64, rule: R) -> (f64, f64) {
    let mut random = Random(seed);
    let (mut worst, mut bounded) = ((0.0_f64, 0.0_f64), 0);
    let inputs = 2000;
    for step in 1..=inputs {
        let exponents = if random.bits() & 1 == 0 { 4 } else { 25 };
        let mut number = || random.number(exponents);
        let (mut x, g) = (number(), number());
        let state = [number(), number(), number()];
        x = if step % 4 == 0 { 0.0 } else { x };
        // Averages of squares are not negative; other state may be.
        let state = |k: usize| match R::STATE[k] {
            "momentum_buffer" | "gradient_average" => state[k],
            _ if step % 8 < 2 => 0.0,
            _ => state[k].abs(),
        };
        let uniforms = rule.uniforms(u64::from(step) % 20 + 1);
        let input = Running::<Wgsl>::input;
        let mut running = R::State::from_fn(|k| input(state(k)));
        let bound = rule.update(&uniforms, input(x), input(g), OwnSquare, &mut running);
        let all = [bound].into_iter().chain(running.as_ref().iter().copied());
        let bounds: Vec<_> = all.collect();
        bounded += u32::from(bounds.iter().all(|bound| bound.error().is_some()));
        for trial in 0..64_u32 {
            let up = match trial / 2 {
                0 => 0,
                1 => u32::MAX,
                _ => random.bits() as u32,
            };
            DEVICE.set(Device { up, flush: trial % 2 == 1 });
            let mut device = R::State::from_fn(|k| Worst(state(k)));
            let device_x = rule.update(&uniforms, Worst(x), Worst(g), OwnSquare, &mut device);
            let all = [device_x].into_iter().chain(device.as_ref().iter().copied());
            for (k, (found, bound)) in all.zip(&bounds).enumerate() {
                let Some(allowed) = bound.error() else { continue };
                let off = (f64::from(found.0) - bound.value()).abs();
                assert!(off <= allowed, "{rule:?}, {k}: {off:e}, {bound:?}, {x:e} {g:e}");
                let part = if off == 0.0 { 0.0 } else { off / allowed };
                let place = if k == 0 { &mut worst.0 } else { &mut worst.1 };
                *place = place.max(part);
            }
        }
    }
    assert!(bounded > inputs / 10 * 8, "{rule:?}: {bounded} of {inputs} have a bound");
    worst
}

/// Every error is within the bound, and comes so close that a bound half as large would fail.
#[test]
fn the_worst_device_stays_within_every_rules_bound() {
    for rule in AnyRule::examples() {
        let (x, state) = with_rule!(rule, |rule| steps(1, rule));
        println!("reached {x:.3} of x's bound, {state:.3} of the state's: {rule:?}");
        assert!(x > 0.5, "{rule:?}: {x}");
        assert!(state == 0.0 || state > 0.5, "{rule:?}: {state}");
    }
}

/// For Adagrad, the bound of the analysis is at most 1.001 times the one derived by hand. With L2
/// decay, the analysis does not know that the gradient's errors in the numerator and in the divisor
/// are the same error. That can at most double the bound; here the factor is below 1.1.
#[test]
fn for_adagrad_it_is_as_tight_as_the_derivation_by_hand() {
    for rule in AnyRule::examples() {
        let AnyRule::Adagrad(rule) = rule else { continue };
        let max = if matches!(rule.weight_decay, WeightDecay::L2(_)) { 1.1 } else { 1.001 };
        let (mut random, mut largest) = (Random(3), 0.0_f64);
        for _ in 0..20_000 {
            let [x, g, s] = [0; 3].map(|_| random.number(15));
            let uniforms = rule.uniforms(1);
            let input = Input {
                parameter: x,
                gradient: if rule.maximize { -g } else { g },
                accumulator: s.abs(),
                learning_rate: uniforms.learning_rate,
                epsilon: uniforms.epsilon,
                weight_decay: uniforms.weight_decay,
            };
            let hand = by_hand::step(&rule, &input).unwrap();
            let mut state = [Running::<Wgsl>::input(s.abs())];
            let running =
                rule.update(&uniforms, Running::input(x), Running::input(g), OwnSquare, &mut state);
            let ratio = running.error().unwrap() / hand.parameter;
            assert!(ratio <= max, "{rule:?}: {ratio}, {input:?}");
            let state = state[0].error().unwrap() / hand.accumulator;
            assert!(state <= max, "{rule:?}: {state}, {input:?}");
            largest = largest.max(ratio);
        }
        println!("at most {largest:.4} of the bound by hand: {rule:?}");
    }
}

/// The same over a hundred steps. With decoupled decay the bound is wider: the analysis does not
/// know that `w * x` depends on `x`, so errors of x grow by 1 + w a step where they really shrink
/// by 1 - w.
#[test]
fn over_many_steps_it_is_as_tight_unless_decay_is_decoupled() {
    for weight_decay in [WeightDecay::None, WeightDecay::L2(0.01), WeightDecay::Decoupled(0.1)] {
        let rule =
            Adagrad { learning_rate: 0.1, epsilon: 1e-6, weight_decay, ..Adagrad::default() };
        let mut largest = 0.0_f64;
        for seed in 0..200 {
            let mut random = Random(seed);
            let mut x = Running::<Wgsl>::input(random.number(4));
            let mut state = [Running::input(random.number(4).abs())];
            let mut hand = Errors::default();
            for step in 1..=100 {
                let gradient = random.number(4);
                let uniforms = rule.uniforms(step);
                let input = Input {
                    parameter: x.value(),
                    gradient,
                    accumulator: state[0].value(),
                    learning_rate: uniforms.learning_rate,
                    epsilon: uniforms.epsilon,
                    weight_decay: uniforms.weight_decay,
                };
                hand = by_hand::accumulate(&rule, &input, hand).unwrap();
                x = rule.update(&uniforms, x, Running::input(gradient), OwnSquare, &mut state);
                assert!(state[0].error().unwrap() <= 1.001 * hand.accumulator, "{rule:?}");
                largest = largest.max(x.error().unwrap() / hand.parameter);
            }
        }
        println!("over 100 steps at most {largest:.4} of the bound by hand: {weight_decay:?}");
        let max = if weight_decay.is_decoupled() { 4.0 } else { 1.001 };
        assert!(largest <= max, "{rule:?}: {largest}");
    }
}
