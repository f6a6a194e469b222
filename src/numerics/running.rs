//! Running error analysis: a number that carries how far it may be from the exact one.
//!
//! A rule's update, run on [`Running`] numbers, is its own error bound: docs/numerics.md has the
//! propagation of each operation.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::ops::{Add, Div, Mul, Neg, Sub};

use super::Real;

/// WGSL's unit of error: the largest ratio of an ulp to its number.
const UNIT: f64 = f32::EPSILON as f64;

/// The smallest normal number, below which a device may flush to zero.
const TINY: f64 = f32::MIN_POSITIVE as f64;

/// Nothing may exceed this; it leaves room for every rounding below f32::MAX.
const HUGE: f64 = (1u128 << 126) as f64;

/// What double precision itself, here and in the exact value, may lose of a rounding in f32.
const SLACK: f64 = 1.0 + 1.0 / (1 << 20) as f64;

/// How an arithmetic rounds: the most by which each operation may be off.
pub trait Rounding: Copy + Debug + Default + Send + Sync + 'static {
    /// A sum or difference, in ULP.
    const SUM: f64;
    /// A product, in ULP.
    const PRODUCT: f64;
    /// A quotient, in ULP.
    const QUOTIENT: f64;
    /// A square root, in units of 2^-23 of it.
    const ROOT: f64;
    /// Whether subnormal operands and results may be taken for 0.
    const FLUSHES: bool;

    /// A hyper-parameter, in units of 2^-23 of it: none where both sides are given the same.
    #[must_use]
    fn scalar() -> f64 {
        0.0
    }
}

/// What WGSL's accuracy table allows a device.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Wgsl;

impl Rounding for Wgsl {
    const SUM: f64 = 1.0;
    const PRODUCT: f64 = 1.0;
    const QUOTIENT: f64 = 2.5;
    // 1 / inverseSqrt: 2 and 2.5, and their product.
    const ROOT: f64 = 4.5 + 64.0 * UNIT;
    const FLUSHES: bool = true;
}

/// Every operation rounded once, to nearest: the CPU engine, and exact precision anywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Nearest;

impl Rounding for Nearest {
    const SUM: f64 = 0.5;
    const PRODUCT: f64 = 0.5;
    const QUOTIENT: f64 = 0.5;
    const ROOT: f64 = 0.5;
    const FLUSHES: bool = false;
}

/// A number in double precision, and how far an arithmetic that rounds as `A` may have come from
/// it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Running<A> {
    value: f64,
    error: f64,
    arithmetic: PhantomData<A>,
}

impl<A: Rounding> Running<A> {
    /// The number that both sides start from.
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

    /// The most that the other side may be away from it; `None` where nothing is promised.
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

    /// The largest magnitude that it may have.
    fn most(self) -> f64 {
        self.value.abs() + self.error
    }

    /// The least.
    fn least(self) -> f64 {
        (self.value.abs() - self.error).max(0.0)
    }

    /// A result whose operands make it `error` wide, rounded by `ulps`.
    fn rounded(value: f64, error: f64, ulps: f64) -> Self {
        let power_of_two = f64::from_bits((value.abs() + error).to_bits() & (0x7ff << 52));
        Self::flushed(value, (error + ulps * UNIT * power_of_two.max(TINY)) * SLACK)
    }

    /// A result that may have been flushed, or have overflowed.
    fn flushed(value: f64, error: f64) -> Self {
        let result = Self::new(value, error);
        let promised = result.most() <= HUGE; // false for NaN
        match result {
            _ if !promised => Self::new(value, f64::INFINITY),
            _ if A::FLUSHES && result.least() < TINY => Self::new(value, error + TINY),
            _ => result,
        }
    }
}

impl<A: Rounding> Add for Running<A> {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        // A sum with 0 is in f32, hence exact.
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
            // Products with 0 and 1 are in f32, hence exact.
            if factor.is_exactly(0.0) && rest.error.is_finite() {
                return factor;
            }
            if factor.is_exactly(1.0) {
                return rest;
            }
        }
        let error = self.value.abs() * other.error + other.most() * self.error;
        Self::rounded(self.value * other.value, error, A::PRODUCT)
    }
}

impl<A: Rounding> Div for Running<A> {
    type Output = Self;

    fn div(self, other: Self) -> Self {
        let (value, least) = (self.value / other.value, other.least());
        // Nothing is promised for smaller divisors.
        if least < TINY || other.most() > HUGE {
            return Self::new(value, f64::INFINITY);
        }
        if self.is_exactly(0.0) {
            return self;
        }
        Self::rounded(value, (self.error + value.abs() * other.error) / least, A::QUOTIENT)
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
        let most = (self.value + self.error).sqrt();
        let least = (self.value - self.error).max(0.0).sqrt();
        let error = (most - root).max(root - least);
        Self::flushed(root, (error + A::ROOT * UNIT * most) * SLACK)
    }

    fn maximum(self, other: Self) -> Self {
        let value = Real::maximum(self.value, other.value);
        let most = (self.value + self.error).max(other.value + other.error);
        let least = (self.value - self.error).max(other.value - other.error);
        if self.error == 0.0 && other.error == 0.0 {
            return Self::new(value, 0.0);
        }
        Self::flushed(value, (most - value).max(value - least) * SLACK)
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

    /// All in the binade of 1, whose ulp is one unit.
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

    /// (1.25 + 0.25) * (1.25 + 0.25): 1.5 and 1.5 from the factors, and an ulp of 2.25.
    #[test]
    fn errors_are_carried_on() {
        let sum = Number::input(1.25) + Number::input(0.25);
        about(units(sum * sum), 1.5 + 1.5 + 2.0);
        about(units(sum / sum), (1.0 + 1.0) / 1.5 + 2.5);
        about(units((sum * sum).sqrt()), 5.0 / 3.0 + 4.5 * 1.5);
        // What cancels leaves the error alone.
        let difference = sum - Number::input(1.5);
        assert_eq!(difference.value(), 0.0);
        about(difference.error().unwrap(), UNIT + TINY + UNIT * UNIT / 2.0);
    }

    #[test]
    fn what_an_f32_holds_is_exact() {
        let [zero, one, x] = [0.0, 1.0, 0.3].map(Number::input);
        for result in [zero + x, x + zero, x - zero, one * x, x * one] {
            assert_eq!(result, x);
        }
        assert_eq!([zero * x, zero / x, zero.sqrt()], [zero; 3]);
    }

    #[test]
    fn without_a_promise_there_is_no_error() {
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
        // Flushed or not.
        assert!((number(1e-25) * number(1e-25)).error() >= Some(TINY));
        assert_eq!((Running::<Nearest>::input(1e-40)).error(), Some(0.0));
    }
}
