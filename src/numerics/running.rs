//! Running error analysis: numbers that carry a bound on their error.
//!
//! A rule's update on [`Running`] numbers computes its own error bound. docs/numerics.md derives
//! how each operation propagates errors.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::ops::{Add, Div, Mul, Neg, Sub};

use super::Real;

/// WGSL's unit of error: the largest ratio of a number's ULP to the number.
const UNIT: f64 = f32::EPSILON as f64;

/// The smallest normal number. A device may flush smaller ones to zero.
const TINY: f64 = f32::MIN_POSITIVE as f64;

/// The largest value that is bounded. It leaves room below `f32::MAX` for every rounding.
const HUGE: f64 = (1u128 << 126) as f64;

/// Covers the rounding errors of double precision, in the value and in its bound.
const SLACK: f64 = 1.0 + 1.0 / (1 << 20) as f64;

/// How an arithmetic rounds: the maximum error of each operation.
pub trait Rounding: Copy + Debug + Default + Send + Sync + 'static {
    /// The error of a sum or difference, in ULP.
    const SUM: f64;
    /// The error of a product, in ULP.
    const PRODUCT: f64;
    /// The error of a quotient, in ULP.
    const QUOTIENT: f64;
    /// The error of a square root, relative to the root, in units of 2^-23.
    const ROOT: f64;
    /// Whether subnormal operands and results may be flushed to 0.
    const FLUSHES: bool;

    /// The relative error of a hyper-parameter, in units of 2^-23. The default, 0, is for an
    /// arithmetic that gets the same hyper-parameter as the exact computation.
    #[must_use]
    fn scalar() -> f64 {
        0.0
    }
}

/// The maximum errors that WGSL's accuracy table allows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Wgsl;

impl Rounding for Wgsl {
    const SUM: f64 = 1.0;
    const PRODUCT: f64 = 1.0;
    const QUOTIENT: f64 = 2.5;
    // A square root is 1 / inverseSqrt: errors of 2 and 2.5, and their product.
    const ROOT: f64 = 4.5 + 64.0 * UNIT;
    const FLUSHES: bool = true;
}

/// Every operation rounded once, to nearest: the CPU engine, and exact precision on any device.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Nearest;

impl Rounding for Nearest {
    const SUM: f64 = 0.5;
    const PRODUCT: f64 = 0.5;
    const QUOTIENT: f64 = 0.5;
    const ROOT: f64 = 0.5;
    const FLUSHES: bool = false;
}

/// A number in double precision, and a bound on the error of the same computation in an arithmetic
/// that rounds as `A`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Running<A> {
    value: f64,
    error: f64,
    arithmetic: PhantomData<A>,
}

impl<A: Rounding> Running<A> {
    /// A number from which both computations start.
    #[must_use]
    pub fn input(value: f32) -> Self {
        let flushed = A::FLUSHES && value.is_subnormal();
        Self::new(f64::from(value), if flushed { TINY } else { 0.0 })
    }

    /// The exact value.
    #[must_use]
    pub fn value(self) -> f64 {
        self.value
    }

    /// The maximum error of the other computation; `None` if it is not bounded.
    #[must_use]
    pub fn error(self) -> Option<f64> {
        (self.value.is_finite() && self.error.is_finite()).then_some(self.error)
    }

    fn new(value: f64, error: f64) -> Self {
        Self { value, error, arithmetic: PhantomData }
    }

    fn is_exactly(self, value: f64) -> bool {
        self.value == value && self.error == 0.0
    }

    /// The largest magnitude within the error.
    fn max_magnitude(self) -> f64 {
        self.value.abs() + self.error
    }

    /// The smallest magnitude within the error.
    fn min_magnitude(self) -> f64 {
        (self.value.abs() - self.error).max(0.0)
    }

    /// A result with `error` from its operands and `ulps` from its own rounding.
    fn rounded(value: f64, error: f64, ulps: f64) -> Self {
        let power_of_two = f64::from_bits((value.abs() + error).to_bits() & (0x7ff << 52));
        Self::flushed(value, (error + ulps * UNIT * power_of_two.max(TINY)) * SLACK)
    }

    /// A result with the effects of flushing and overflow.
    fn flushed(value: f64, error: f64) -> Self {
        let result = Self::new(value, error);
        let bounded = result.max_magnitude() <= HUGE; // false for NaN
        match result {
            _ if !bounded => Self::new(value, f64::INFINITY),
            _ if A::FLUSHES && result.min_magnitude() < TINY => Self::new(value, error + TINY),
            _ => result,
        }
    }
}

impl<A: Rounding> Add for Running<A> {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        // A sum with 0 is an f32, so it is exact.
        if self.is_exactly(0.0) {
            return other;
        }
        if other.is_exactly(0.0) {
            return self;
        }
        Self::rounded(self.value + other.value, self.error + other.error, A::SUM)
    }
}

impl<A: Rounding> Sub for Running<A> {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl<A: Rounding> Mul for Running<A> {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        for (factor, rest) in [(self, other), (other, self)] {
            // A product with 0 or 1 is an f32, so it is exact.
            if factor.is_exactly(0.0) && rest.error.is_finite() {
                return factor;
            }
            if factor.is_exactly(1.0) {
                return rest;
            }
        }
        let error = self.value.abs() * other.error + other.max_magnitude() * self.error;
        Self::rounded(self.value * other.value, error, A::PRODUCT)
    }
}

impl<A: Rounding> Div for Running<A> {
    type Output = Self;

    fn div(self, other: Self) -> Self {
        let (value, low) = (self.value / other.value, other.min_magnitude());
        // WGSL bounds the error only for divisors from 2^-126 to 2^126.
        if low < TINY || other.max_magnitude() > HUGE {
            return Self::new(value, f64::INFINITY);
        }
        if self.is_exactly(0.0) {
            return self;
        }
        Self::rounded(value, (self.error + value.abs() * other.error) / low, A::QUOTIENT)
    }
}

impl<A: Rounding> Neg for Running<A> {
    type Output = Self;

    fn neg(self) -> Self {
        Self::new(-self.value, self.error)
    }
}

impl<A: Rounding> Real for Running<A> {
    fn of(value: f32) -> Self {
        let input = Self::input(value);
        Self::new(input.value, input.error + A::scalar() * UNIT * input.value.abs())
    }

    fn sqrt(self) -> Self {
        if self.is_exactly(0.0) {
            return self;
        }
        let root = self.value.sqrt(); // NaN below 0
        let high = (self.value + self.error).sqrt();
        let low = (self.value - self.error).max(0.0).sqrt();
        let error = (high - root).max(root - low);
        Self::flushed(root, (error + A::ROOT * UNIT * high) * SLACK)
    }

    fn maximum(self, other: Self) -> Self {
        let value = Real::maximum(self.value, other.value);
        let high = (self.value + self.error).max(other.value + other.error);
        let low = (self.value - self.error).max(other.value - other.error);
        if self.error == 0.0 && other.error == 0.0 {
            return Self::new(value, 0.0);
        }
        Self::flushed(value, (high - value).max(value - low) * SLACK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Number = Running<Wgsl>;

    fn units(number: Number) -> f64 {
        number.error().unwrap() / UNIT
    }

    fn about(found: f64, expected: f64) {
        assert!((found / expected - 1.0).abs() < 1e-5, "{found} for {expected}");
    }

    /// All results are in [1, 2), where an ULP is one unit.
    #[test]
    fn each_operation_has_the_error_of_the_table() {
        let [a, b] = [1.25, 0.25].map(Number::input);
        about(units(a + b), 1.0);
        about(units(a - b), 1.0);
        about(units(a * Number::input(1.5)), 1.0);
        about(units(a / Number::input(0.75)), 2.5);
        about(units(Number::input(1.5625).sqrt()), 4.5 * 1.25);
        assert_eq!((-a).error(), Some(0.0));
        assert_eq!(a.maximum(b), a);
    }

    /// (1.25 + 0.25) * (1.25 + 0.25) has errors of 1.5 and 1.5 from the factors, and an ULP of
    /// 2.25.
    #[test]
    fn errors_propagate() {
        let sum = Number::input(1.25) + Number::input(0.25);
        about(units(sum * sum), 1.5 + 1.5 + 2.0);
        about(units(sum / sum), (1.0 + 1.0) / 1.5 + 2.5);
        about(units((sum * sum).sqrt()), 5.0 / 3.0 + 4.5 * 1.5);
        // Cancellation leaves the error unchanged.
        let difference = sum - Number::input(1.5);
        assert_eq!(difference.value(), 0.0);
        about(difference.error().unwrap(), UNIT + TINY + UNIT * UNIT / 2.0);
    }

    #[test]
    fn results_that_an_f32_holds_are_exact() {
        let [zero, one, x] = [0.0, 1.0, 0.3].map(Number::input);
        for result in [zero + x, x + zero, x - zero, one * x, x * one] {
            assert_eq!(result, x);
        }
        assert_eq!([zero * x, zero / x, zero.sqrt()], [zero; 3]);
    }

    #[test]
    fn unbounded_results_have_no_error() {
        let number = Number::input;
        let sum = number(1.0) + number(1e-30);
        for result in [
            number(1.0) / number(0.0),
            number(0.0) / number(0.0),
            number(1e30) * number(1e30),
            number(-1.0).sqrt(),
            number(1.0) / (sum - number(1.0)),
            number(f32::NAN) + number(1.0),
        ] {
            assert_eq!(result.error(), None, "{result:?}");
        }
        // A product that may be flushed, and an input that is not.
        assert!((number(1e-25) * number(1e-25)).error() >= Some(TINY));
        assert_eq!((Running::<Nearest>::input(1e-40)).error(), Some(0.0));
    }
}
