//! The exponential function and a logarithm, built from operations that round once, so that exact
//! arithmetic gives the same bits everywhere. WGSL twin: `shaders/linear/loss/logistic.wgsl`.

/// For larger `a`, `exp(-a)` is subnormal.
pub(crate) const LARGEST: f32 = 87.0;
const LOG2_E: f32 = std::f32::consts::LOG2_E;
/// ln 2 in two parts (Cody and Waite, "Software Manual for the Elementary Functions", 1980). The
/// first has 9 significant bits, so that its products with integers up to 2^15 are exact. The
/// second is the remainder.
const LN_2_HIGH: f32 = 355.0 / 512.0;
const LN_2_LOW: f32 = -2.121_944_4e-4;
/// `1 / k!` for k = 7 down to 2. For |r| up to ln 2 / 2, the first omitted term is below 2^-27.
const EXPONENTIAL: [f32; 6] =
    [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 1.0 / 2.0];
/// `2 / k` for odd k from 15 down to 1. For z up to 1/3, the first omitted term is below 2^-29.
const LOGARITHM: [f32; 8] =
    [2.0 / 15.0, 2.0 / 13.0, 2.0 / 11.0, 2.0 / 9.0, 2.0 / 7.0, 2.0 / 5.0, 2.0 / 3.0, 2.0];

/// `exp(-a)` for `a` of at least 0, within 2 ULP. For `a` above 87, `exp(-87)`.
#[inline(always)]
pub(crate) fn exp_negative(a: f32) -> f32 {
    let a = if a > LARGEST { LARGEST } else { a };
    // a = n ln 2 + r
    let n = (a * LOG2_E + 0.5) as u32; // NaN becomes 0 here, but stays NaN in `r`
    let whole = n as f32;
    let r = (a - whole * LN_2_HIGH) - whole * LN_2_LOW;
    let u = -r;
    let mut sum = EXPONENTIAL[0];
    for &coefficient in &EXPONENTIAL[1..] {
        sum = sum * u + coefficient;
    }
    let sum = (sum * u + 1.0) * u + 1.0;
    sum * f32::from_bits((127 - n) << 23)
}

/// `ln(1 + e)` for `e` from 0 to 1, within 2 ULP, by the series of the inverse hyperbolic tangent.
#[inline(always)]
pub(crate) fn log_one_plus(e: f32) -> f32 {
    let z = e / (2.0 + e);
    let square = z * z;
    let mut sum = LOGARITHM[0];
    for &coefficient in &LOGARITHM[1..] {
        sum = sum * square + coefficient;
    }
    sum * z
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numerics::ulp_distance;

    /// Every 4099th bit pattern of the domain, compared to double precision.
    #[test]
    fn both_are_within_their_bounds() {
        for bits in (0..=LARGEST.to_bits()).step_by(4099) {
            let a = f32::from_bits(bits);
            let exact = (-f64::from(a)).exp() as f32;
            assert!(ulp_distance(exp_negative(a), exact) <= 2, "exp(-{a:e})");
        }
        for bits in (0..=1.0_f32.to_bits()).step_by(4099) {
            let e = f32::from_bits(bits);
            let exact = f64::from(e).ln_1p() as f32;
            assert!(ulp_distance(log_one_plus(e), exact) <= 2, "ln(1 + {e:e})");
        }
    }

    #[test]
    fn the_ends_of_the_domain() {
        assert_eq!(exp_negative(0.0), 1.0);
        assert_eq!(exp_negative(f32::INFINITY), exp_negative(87.0));
        assert!(exp_negative(f32::NAN).is_nan());
        assert_eq!(log_one_plus(0.0), 0.0);
    }
}
