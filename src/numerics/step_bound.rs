//! How far a native step may lie from the exact one, from WGSL's accuracy table.
//!
//! The derivation is docs/numerics.md; names and order of the terms here follow it.

use super::{BoundError, Real};

/// WGSL's unit of error: the largest ratio of an ulp to its number.
pub const UNIT: f64 = 1.0 / (1 << 23) as f64;

/// The smallest normal number, below which a device may flush to zero.
const TINY: f64 = f32::MIN_POSITIVE as f64;

/// Nothing in a step may exceed this; it leaves room for every rounding below f32::MAX.
const HUGE: f64 = (1u128 << 126) as f64;

/// The units that the products of units may add; generous, since those are below 2^-16 units.
const SECOND_ORDER: f64 = 1.0 + 64.0 * UNIT;

/// One element before an Adagrad step, and the numbers of that step. Everything is as the kernel
/// reads it; only [`StepBound::accumulate`] needs more than f32 holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepInput<T> {
    /// The parameter.
    pub parameter: T,
    /// The gradient, negated where the rule maximizes.
    pub gradient: f32,
    /// The accumulator.
    pub accumulator: T,
    /// The learning rate of this step.
    pub learning_rate: f32,
    /// Epsilon.
    pub epsilon: f32,
    /// The uniform of that name: for decoupled decay, the learning rate times the coefficient.
    pub weight_decay: f32,
}

/// Absolute errors of an element: the largest distance from the exact values.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Errors {
    /// Of the parameter.
    pub parameter: f64,
    /// Of the accumulator.
    pub accumulator: f64,
}

/// The derived bound of a native Adagrad step, for each choice of formula. `maximize` needs no
/// choice of its own: a sign changes without error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepBound {
    /// The units of the update's relative error, from its rounding alone.
    update_units: f64,
    outside_root: bool,
    decay: Decay,
    /// The part of the derived bound that is allowed; at most 1.
    share: f64,
}

/// How weight decay enters; see `WeightDecay` of the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decay {
    None,
    L2,
    Decoupled,
}

impl StepBound {
    /// `sqrt(s + epsilon)`: numerator 1, half of the sums' 3, root 4.5, quotient 2.5.
    pub const EPSILON_INSIDE: Self =
        Self { update_units: 9.5, outside_root: false, decay: Decay::None, share: 1.0 };

    /// `sqrt(s) + epsilon`: numerator 1, half of the sum's 2, root 4.5, sum 1, quotient 2.5.
    pub const EPSILON_OUTSIDE: Self =
        Self { update_units: 10.0, outside_root: true, decay: Decay::None, share: 1.0 };

    /// The same formula with L2 weight decay.
    #[must_use]
    pub const fn with_l2(self) -> Self {
        Self { decay: Decay::L2, ..self }
    }

    /// The same formula with decoupled weight decay.
    #[must_use]
    pub const fn with_decoupled(self) -> Self {
        Self { decay: Decay::Decoupled, ..self }
    }

    /// The units of 2^-23 of the update that its own rounding may cost.
    #[must_use]
    pub const fn update_units(&self) -> f64 {
        self.update_units
    }

    /// This bound with every figure multiplied by `share`.
    ///
    /// # Errors
    /// [`BoundError`] if that would make it looser than the derived one.
    pub fn tightened(self, share: f64) -> Result<Self, BoundError> {
        if !(0.0..=1.0).contains(&share) {
            let (asked, derived) = (share * self.update_units, self.update_units);
            return Err(BoundError { asked: asked as f32, derived: derived as f32 });
        }
        Ok(Self { share: share * self.share, ..self })
    }

    /// How far a native step from exactly `input` may end from the exact step; `None` where
    /// WGSL's table promises nothing (docs/numerics.md, "Where there is no bound").
    #[must_use]
    pub fn step(&self, input: &StepInput<f32>) -> Option<Errors> {
        if input.parameter.is_subnormal() || input.accumulator.is_subnormal() {
            return None;
        }
        let exact = StepInput {
            parameter: f64::from(input.parameter),
            gradient: input.gradient,
            accumulator: f64::from(input.accumulator),
            learning_rate: input.learning_rate,
            epsilon: input.epsilon,
            weight_decay: input.weight_decay,
        };
        self.accumulate(&exact, Errors::default())
    }

    /// The same where the device starts from numbers that may already be `before` away from the
    /// exact `input`: applied along an exact trajectory, a bound over many steps.
    #[must_use]
    pub fn accumulate(&self, input: &StepInput<f64>, before: Errors) -> Option<Errors> {
        let &StepInput { parameter: x, accumulator: s, .. } = input;
        let [g, rate, epsilon, w] =
            [input.gradient, input.learning_rate, input.epsilon, input.weight_decay].map(f64::of);
        if [input.gradient, input.learning_rate, input.epsilon, input.weight_decay]
            .iter()
            .any(|value| value.is_subnormal())
        {
            return None;
        }

        // A device may flush what it reads, too.
        let before = Errors {
            parameter: before.parameter + read_flushed(x, before.parameter),
            accumulator: before.accumulator + read_flushed(s, before.accumulator),
        };

        // The gradient: only L2 touches it. Its error is absolute, for the sum may cancel.
        let decay = w * x;
        let decay_error = w * before.parameter + rounding(decay, w * before.parameter);
        let (gradient, gradient_error) = match self.decay {
            Decay::L2 => (g + decay, decay_error + rounding(g + decay, decay_error)),
            Decay::None | Decay::Decoupled => (g, 0.0),
        };
        let least_gradient = (gradient.abs() - gradient_error).max(0.0);

        // The accumulator.
        let square = gradient * gradient;
        let inherited = (2.0 * gradient.abs() + gradient_error) * gradient_error;
        let product_error = inherited + rounding(square, inherited);
        let sum = s + square;
        let sum_error = before.accumulator + product_error;
        let accumulator_error = sum_error + rounding(sum, sum_error);

        // The divisor, and the least that it can be: what the accumulator brings along, and a
        // square that is flushed, may make it smaller.
        let least_square = least_gradient * least_gradient;
        let carried =
            before.accumulator + if square > 0.0 && least_square < TINY { TINY } else { 0.0 };
        let full_sum = s + least_square;
        let least_sum = (full_sum - carried).max(0.0);
        let (divisor, least_divisor, carried_error) = if self.outside_root {
            let least_root = least_sum.sqrt();
            (sum.sqrt() + epsilon, least_root + epsilon, full_sum.sqrt() - least_root)
        } else {
            let least_root = (least_sum + epsilon).sqrt();
            ((sum + epsilon).sqrt(), least_root, 0.5 * carried / least_root)
        };

        // The update, as a function of the gradient, is nowhere steeper than rate / divisor.
        let update = rate * gradient / divisor;
        let from_gradient = rate * gradient_error / least_divisor;
        let relative = (self.update_units * UNIT + carried_error / least_divisor) * SECOND_ORDER;
        let least_numerator = rate * least_gradient;
        let flushed = if gradient == 0.0 && gradient_error == 0.0 {
            0.0
        } else if least_numerator < 2.0 * TINY || least_numerator < 2.0 * TINY * divisor {
            TINY / least_divisor + TINY
        } else {
            0.0
        };
        let update_error = relative * (update.abs() + from_gradient) + from_gradient + flushed;

        // The parameter: decoupled decay first, then the update.
        let (start, start_error) = match self.decay {
            Decay::Decoupled => {
                let error = (1.0 - w).abs() * before.parameter + rounding(decay, decay_error);
                (x - decay, error + rounding(x - decay, error))
            }
            Decay::None | Decay::L2 => (x, before.parameter),
        };
        let end = start - update;
        let end_error = start_error + update_error;
        let parameter_error = end_error + rounding(end, end_error);

        let sizes = [x, rate * gradient, sum, update, end, decay, divisor];
        let holds = sizes.iter().all(|size| size.abs() <= HUGE) // false for NaN
            && least_divisor >= TINY
            && [parameter_error, accumulator_error].iter().all(|error| *error <= HUGE);
        holds.then_some(Errors {
            parameter: self.share * parameter_error,
            accumulator: self.share * accumulator_error,
        })
    }
}

/// The error of rounding to either neighbour a number that lies within `error` of `value`: less
/// than an ulp, or all of it where it may be flushed to zero.
fn rounding(value: f64, error: f64) -> f64 {
    let (least, most) = (value.abs() - error, value.abs() + error);
    if most == 0.0 {
        return 0.0;
    }
    let power_of_two = f64::from_bits(most.to_bits() & (0x7ff << 52));
    if least < TINY { TINY.max(power_of_two * UNIT) } else { power_of_two * UNIT }
}

/// What reading a number within `error` of `value` may lose, where it may be subnormal.
fn read_flushed(value: f64, error: f64) -> f64 {
    if value.abs() - error < TINY && (value != 0.0 || error != 0.0) { TINY } else { 0.0 }
}

/// The accumulator's relative error after `steps` native steps without L2, from its rounding
/// alone: `(1 + 2^-23)^(steps + 1) - 1`. Each square that is flushed adds up to 2^-126.
#[must_use]
pub fn accumulator_growth(steps: u64) -> f64 {
    // exp_m1 and ln_1p keep what a difference from 1 would lose.
    ((steps as f64 + 1.0) * UNIT.ln_1p()).exp_m1()
}

/// The error of a native linear gradient of a batch of `rows` by `features` columns, relative to
/// the mean over the rows of `|x| * (sum of |features * weights| + |bias| + |target|)`: the
/// longest chain of roundings in the canonical order (`linear`), in double precision.
#[must_use]
pub fn gradient_error(rows: usize, features: usize) -> f64 {
    // A product, a chain whose first sum is with zero and exact, a tree of 5, the difference.
    let residual = 1 + (features + 1).div_ceil(32) - 1 + 5 + 1;
    // The same, and a quotient of 2.5 instead of the difference.
    let mean = (1 + rows.div_ceil(32) - 1 + 5) as f64 + 2.5;
    ((residual as f64 + mean) * UNIT.ln_1p()).exp_m1()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(x: f32, g: f32, s: f32) -> StepInput<f32> {
        StepInput {
            parameter: x,
            gradient: g,
            accumulator: s,
            learning_rate: 0.1,
            epsilon: 1e-6,
            weight_decay: 0.5,
        }
    }

    #[test]
    fn a_looser_bound_is_refused() {
        let bound = StepBound::EPSILON_INSIDE;
        assert_eq!(bound.tightened(2.0), Err(BoundError { asked: 19.0, derived: 9.5 }));
        assert!(bound.tightened(f64::NAN).is_err());
        let [whole, half] = [1.0, 0.5]
            .map(|share| bound.tightened(share).unwrap().step(&input(1.0, 1.0, 1.0)).unwrap());
        assert_eq!(half.parameter, 0.5 * whole.parameter);
        // Twice is not a way round.
        assert_eq!(bound.tightened(0.5).unwrap().tightened(1.0).unwrap().share, 0.5);
    }

    /// x = 0, g = 1, s = 0, so that the result is the update, 0.1 / sqrt(1 + 1e-6).
    #[test]
    fn the_constants_are_those_of_the_document() {
        let start = input(0.0, 1.0, 0.0);
        let update = 0.1 / (1.0 + 1e-6f64).sqrt();
        for (bound, units) in [(StepBound::EPSILON_INSIDE, 9.5), (StepBound::EPSILON_OUTSIDE, 10.0)]
        {
            let errors = bound.step(&start).unwrap();
            let expected = units * UNIT * update + UNIT / 16.0; // the ulp of 0.1 is 2^-27
            assert!((errors.parameter / expected - 1.0).abs() < 1e-4, "{errors:?}");
            assert_eq!(errors.accumulator, 2.0 * UNIT);
        }
    }

    /// g = -w x: the update should be 0, and the gradient's error alone decides.
    #[test]
    fn a_gradient_that_cancels_has_an_absolute_bound() {
        let errors = StepBound::EPSILON_INSIDE.with_l2().step(&input(8.0, -4.0, 1.0)).unwrap();
        let from_gradient = 0.1 * 4.0 * UNIT;
        let expected = from_gradient + 8.0 * UNIT;
        assert!((errors.parameter / expected - 1.0).abs() < 1e-4, "{errors:?}");
    }

    #[test]
    fn outside_the_domain_there_is_no_bound() {
        let bound = StepBound::EPSILON_INSIDE;
        let subnormal = f32::MIN_POSITIVE / 2.0;
        for wrong in [
            input(subnormal, 1.0, 1.0),
            input(1.0, subnormal, 1.0),
            input(1.0, 1.0, subnormal),
            input(1.0, 1e20, 1.0),
            input(f32::NAN, 1.0, 1.0),
            input(1.0, f32::INFINITY, 1.0),
            StepInput { epsilon: 0.0, ..input(1.0, 0.0, 0.0) },
            StepInput { epsilon: 0.0, ..input(1.0, 1e-20, 0.0) },
        ] {
            assert_eq!(bound.step(&wrong), None, "{wrong:?}");
        }
        assert!(bound.step(&input(1.0, 1e-20, 0.0)).is_some());
    }

    #[test]
    fn growth_counts_roundings() {
        assert!((accumulator_growth(1) / (2.0 * UNIT) - 1.0).abs() < 1e-6);
        assert!((accumulator_growth(999) / (1000.0 * UNIT) - 1.0).abs() < 1e-3);
        // 1 row, 31 features: 1 + 0 + 5 + 1, then 1 + 0 + 5 + 2.5.
        assert!((gradient_error(1, 31) / (15.5 * UNIT) - 1.0).abs() < 1e-5);
        assert!((gradient_error(64, 32) / (17.5 * UNIT) - 1.0).abs() < 1e-5);
    }
}
