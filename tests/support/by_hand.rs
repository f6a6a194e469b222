//! The bound of a native Adagrad step that sections 2, 4 and 5 of docs/numerics.md derive by hand.
//! Names and order of the terms are those of the document.
#![allow(dead_code, reason = "each test uses a part of it")]

use wgpu_optim::{Adagrad, EpsilonPlacement, WeightDecay};

/// The largest ratio of an ulp to its number: `u` of the document.
pub(crate) const UNIT: f64 = f32::EPSILON as f64;

/// The smallest normal number, below which a device may flush to zero.
const TINY: f64 = f32::MIN_POSITIVE as f64;

/// The limit for every number in a step. It leaves room for every rounding below `f32::MAX`.
const HUGE: f64 = (1u128 << 126) as f64;

/// Covers the products of units, which are below 2^-16 units.
const SECOND_ORDER: f64 = 1.0 + 64.0 * UNIT;

/// One element before an Adagrad step, and the uniforms of that step, as the kernel reads them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Input<T> {
    pub(crate) parameter: T,
    /// Negated where the rule maximizes.
    pub(crate) gradient: f32,
    pub(crate) accumulator: T,
    pub(crate) learning_rate: f32,
    pub(crate) epsilon: f32,
    /// The uniform: for decoupled decay, the learning rate times the coefficient.
    pub(crate) weight_decay: f32,
}

impl Input<f32> {
    /// The same input in double precision, for the exact trajectory.
    pub(crate) fn widened(&self) -> Input<f64> {
        Input {
            parameter: self.parameter.into(),
            gradient: self.gradient,
            accumulator: self.accumulator.into(),
            learning_rate: self.learning_rate,
            epsilon: self.epsilon,
            weight_decay: self.weight_decay,
        }
    }
}

/// The maximum distances from the exact values.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Errors {
    pub(crate) parameter: f64,
    pub(crate) accumulator: f64,
}

/// The error that the update's own roundings may add, in units of 2^-23 of it. Inside: numerator 1,
/// half of the 3 of the sums, root 4.5, quotient 2.5. Outside: numerator 1, half of the 2 of the
/// sum, root 4.5, sum 1, quotient 2.5.
pub(crate) fn update_units(placement: EpsilonPlacement) -> f64 {
    match placement {
        EpsilonPlacement::InsideRoot => 9.5,
        EpsilonPlacement::OutsideRoot => 10.0,
    }
}

/// How far a native step from exactly `input` may end from the exact step. `None` where WGSL
/// promises nothing.
pub(crate) fn step(rule: &Adagrad, input: &Input<f32>) -> Option<Errors> {
    if input.parameter.is_subnormal() || input.accumulator.is_subnormal() {
        return None;
    }
    accumulate(rule, &input.widened(), Errors::default())
}

/// The same for a device that starts from numbers that may already be `before` away from the exact
/// `input`. Applied along an exact trajectory, it bounds many steps.
pub(crate) fn accumulate(rule: &Adagrad, input: &Input<f64>, before: Errors) -> Option<Errors> {
    let &Input { parameter: x, accumulator: s, .. } = input;
    let uniforms = [input.gradient, input.learning_rate, input.epsilon, input.weight_decay];
    if uniforms.iter().any(|value| value.is_subnormal()) {
        return None;
    }
    let [g, rate, epsilon, w] = uniforms.map(f64::from);

    // A device may also flush what it reads.
    let before = Errors {
        parameter: before.parameter + read_flushed(x, before.parameter),
        accumulator: before.accumulator + read_flushed(s, before.accumulator),
    };

    // The gradient: only L2 changes it. Its error is absolute, because the sum may cancel.
    let decay = w * x;
    let decay_error = w * before.parameter + rounding(decay, w * before.parameter);
    let (gradient, gradient_error) = match rule.weight_decay {
        WeightDecay::L2(_) => (g + decay, decay_error + rounding(g + decay, decay_error)),
        WeightDecay::None | WeightDecay::Decoupled(_) => (g, 0.0),
    };
    let min_gradient = (gradient.abs() - gradient_error).max(0.0);

    // The accumulator.
    let square = gradient * gradient;
    let inherited = (2.0 * gradient.abs() + gradient_error) * gradient_error;
    let product_error = inherited + rounding(square, inherited);
    let sum = s + square;
    let sum_error = before.accumulator + product_error;
    let accumulator_error = sum_error + rounding(sum, sum_error);

    // The divisor and its minimum: the accumulator's error and a flushed square may make it
    // smaller.
    let min_square = min_gradient * min_gradient;
    let carried = before.accumulator + if square > 0.0 && min_square < TINY { TINY } else { 0.0 };
    let full_sum = s + min_square;
    let min_sum = (full_sum - carried).max(0.0);
    let (divisor, min_divisor, carried_error) =
        if rule.epsilon_placement == EpsilonPlacement::OutsideRoot {
            let min_root = min_sum.sqrt();
            (sum.sqrt() + epsilon, min_root + epsilon, full_sum.sqrt() - min_root)
        } else {
            let min_root = (min_sum + epsilon).sqrt();
            ((sum + epsilon).sqrt(), min_root, 0.5 * carried / min_root)
        };

    // As a function of the gradient, the update is nowhere steeper than rate / divisor.
    let update = rate * gradient / divisor;
    let from_gradient = rate * gradient_error / min_divisor;
    let units = update_units(rule.epsilon_placement);
    let relative = (units * UNIT + carried_error / min_divisor) * SECOND_ORDER;
    let min_numerator = rate * min_gradient;
    let flushed = if gradient == 0.0 && gradient_error == 0.0 {
        0.0
    } else if min_numerator < 2.0 * TINY || min_numerator < 2.0 * TINY * divisor {
        TINY / min_divisor + TINY
    } else {
        0.0
    };
    let update_error = relative * (update.abs() + from_gradient) + from_gradient + flushed;

    // The parameter: decoupled decay first, then the update.
    let (start, start_error) = match rule.weight_decay {
        WeightDecay::Decoupled(_) => {
            let error = (1.0 - w).abs() * before.parameter + rounding(decay, decay_error);
            (x - decay, error + rounding(x - decay, error))
        }
        WeightDecay::None | WeightDecay::L2(_) => (x, before.parameter),
    };
    let end = start - update;
    let end_error = start_error + update_error;
    let parameter_error = end_error + rounding(end, end_error);

    let sizes = [x, rate * gradient, sum, update, end, decay, divisor];
    let holds = sizes.iter().all(|size| size.abs() <= HUGE) // false for NaN
        && min_divisor >= TINY
        && [parameter_error, accumulator_error].iter().all(|error| *error <= HUGE);
    holds.then_some(Errors { parameter: parameter_error, accumulator: accumulator_error })
}

/// The error of rounding a number within `error` of `value` to either neighbour: less than an ulp,
/// or the whole number where it may be flushed to zero.
fn rounding(value: f64, error: f64) -> f64 {
    let (smallest, largest) = (value.abs() - error, value.abs() + error);
    if largest == 0.0 {
        return 0.0;
    }
    let power_of_two = f64::from_bits(largest.to_bits() & (0x7ff << 52));
    if smallest < TINY { TINY.max(power_of_two * UNIT) } else { power_of_two * UNIT }
}

/// The error of reading a number within `error` of `value`, which may be subnormal and flushed.
fn read_flushed(value: f64, error: f64) -> f64 {
    if value.abs() - error < TINY && (value != 0.0 || error != 0.0) { TINY } else { 0.0 }
}

/// The accumulator's relative error after `steps` native steps without L2, from rounding alone:
/// `(1 + 2^-23)^(steps + 1) - 1`. Each flushed square adds up to 2^-126.
pub(crate) fn accumulator_growth(steps: u64) -> f64 {
    // exp_m1 and ln_1p keep the bits that a difference from 1 would lose.
    ((steps as f64 + 1.0) * UNIT.ln_1p()).exp_m1()
}

/// The error of a native linear gradient over a batch of `rows` rows of `features` columns,
/// relative to the mean over the rows of `|x| * (sum of |features * weights| + |bias| + |target|)`.
/// It follows the longest chain of roundings in the canonical order (`linear`).
pub(crate) fn gradient_error(rows: usize, features: usize) -> f64 {
    // A product, a chain whose first sum adds to zero and is exact, a tree of 5, the difference.
    let residual = 1 + (features + 1).div_ceil(32) - 1 + 5 + 1;
    // The same with a quotient of 2.5 instead of the difference.
    let mean = (1 + rows.div_ceil(32) - 1 + 5) as f64 + 2.5;
    ((residual as f64 + mean) * UNIT.ln_1p()).exp_m1()
}
