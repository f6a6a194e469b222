//! Units in the last place.

/// The bit pattern of every NaN in exact precision.
const CANONICAL_NAN: u32 = 0x7fc0_0000;

/// The value, with every NaN replaced by the quiet NaN `0x7fc00000`.
///
/// IEEE 754 does not specify the sign and payload of a NaN result, and processors differ.
#[must_use]
#[inline(always)]
pub fn canonical(value: f32) -> f32 {
    // Compares bits, because the compiler treats all NaNs alike and may remove a select between
    // two.
    let is_nan = value.to_bits() & 0x7fff_ffff > 0x7f80_0000;
    f32::from_bits(if is_nan { CANONICAL_NAN } else { value.to_bits() })
}

/// The unit in the last place: the distance from `value` to the next larger magnitude.
///
/// For zero and subnormals it is the smallest subnormal, 2^-149; for infinities and NaN, NaN.
#[must_use]
pub fn ulp(value: f32) -> f32 {
    if !value.is_finite() {
        return f32::NAN;
    }
    let exponent = (value.to_bits() >> 23) & 0xff;
    // The spacing from 2^(e-127) on is 2^(e-150); below 2^-126 it stays 2^-149.
    let spacing_exponent = i32::try_from(exponent.max(1)).unwrap_or(1) - 150;
    (f64::from(spacing_exponent)).exp2() as f32
}

/// The distance from `a` to `b` in representable numbers: 1 for neighbours; 0 for equal numbers,
/// for +0 and -0, and for two NaNs; `u32::MAX` if exactly one is NaN.
#[must_use]
pub fn ulp_distance(a: f32, b: f32) -> u32 {
    if a.is_nan() || b.is_nan() {
        return if a.is_nan() && b.is_nan() { 0 } else { u32::MAX };
    }
    ordered(a).abs_diff(ordered(b))
}

/// Maps floats to integers so that neighbours stay neighbours and both zeros become 0.
fn ordered(value: f32) -> i32 {
    let magnitude = (value.to_bits() & 0x7fff_ffff).cast_signed();
    if value.is_sign_negative() { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_apart_across_every_border() {
        assert_eq!(ulp_distance(1.0, 1.0 + f32::EPSILON), 1);
        assert_eq!(ulp_distance(0.0, f32::from_bits(1)), 1);
        assert_eq!(ulp_distance(-f32::from_bits(1), f32::from_bits(1)), 2);
        assert_eq!(ulp_distance(0.0, -0.0), 0);
        assert_eq!(ulp_distance(f32::MAX, f32::INFINITY), 1);
        assert_eq!(ulp_distance(f32::NAN, 1.0), u32::MAX);
        assert_eq!(ulp_distance(f32::NAN, -f32::NAN), 0);
    }

    #[test]
    fn every_nan_becomes_the_canonical_one() {
        let minus_one = std::hint::black_box(-1.0_f32);
        for nan in [minus_one.sqrt(), minus_one.sqrt() * 0.0, f32::from_bits(0xffa0_0001)] {
            assert_eq!(canonical(nan).to_bits(), CANONICAL_NAN);
        }
        assert_eq!(canonical(-0.0).to_bits(), 0x8000_0000);
        assert_eq!(canonical(f32::NEG_INFINITY), f32::NEG_INFINITY);
    }

    #[test]
    fn spacing_doubles_at_powers_of_two() {
        assert_eq!(ulp(1.0), f32::EPSILON);
        assert_eq!(ulp(1.999_999_9), f32::EPSILON);
        assert_eq!(ulp(2.0), 2.0 * f32::EPSILON);
        assert_eq!(ulp(0.0), f32::from_bits(1));
        assert_eq!(ulp(f32::MIN_POSITIVE), f32::from_bits(1));
        assert_eq!(ulp(f32::MAX), 2f32.powi(104));
        assert!(ulp(f32::INFINITY).is_nan());
    }
}
