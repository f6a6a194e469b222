//! The scalar type of a rule's update.

use std::fmt::Debug;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// The operations that a rule may use. Implemented for f32, which the CPU engine uses, f64 for
/// reference results, and [`Running`](super::Running) for error bounds.
pub trait Real:
    Copy
    + Debug
    + Default
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + Send
    + Sync
    + 'static
{
    /// The hyper-parameter `value` in this type.
    fn of(value: f32) -> Self;

    /// The square root.
    #[must_use]
    fn sqrt(self) -> Self;

    /// The larger of the two. NaN if either is NaN; +0 is larger than -0.
    #[must_use]
    fn maximum(self, other: Self) -> Self;
}

macro_rules! real {
    ($float:ident) => {
        impl Real for $float {
            #[inline(always)]
            fn of(value: f32) -> Self {
                value.into()
            }

            #[inline(always)]
            fn sqrt(self) -> Self {
                $float::sqrt(self)
            }

            #[inline(always)]
            fn maximum(self, other: Self) -> Self {
                let equal = self == other && self.is_sign_positive();
                if self > other || self.is_nan() || equal { self } else { other }
            }
        }
    };
}

real!(f32);
real!(f64);

#[cfg(test)]
mod tests {
    use super::Real;

    #[test]
    fn the_maximum_orders_zeros_and_keeps_nan() {
        let bits = |a: f32, b: f32| Real::maximum(a, b).to_bits();
        assert_eq!([bits(0.0, -0.0), bits(-0.0, 0.0), bits(-0.0, -0.0)], [0, 0, 1 << 31]);
        assert_eq!([bits(1.0, 2.0), bits(-1.0, -2.0)], [2.0_f32.to_bits(), (-1.0_f32).to_bits()]);
        for (a, b) in [(f32::NAN, f32::INFINITY), (f32::NEG_INFINITY, f32::NAN)] {
            assert!(Real::maximum(a, b).is_nan());
        }
    }
}
