//! Comparison of a device's results with the reference, within a bound that may be tightened
//! but never loosened.

use super::{UNIT, ulp, ulp_distance};

/// How far a device's result of one step may lie from the CPU engine's:
/// `value_ulps * ulp(the larger of the two) + update_units * 2^-23 * |update| + absolute`.
///
/// The presets need nothing but the two results, and hold without weight decay. For every
/// formula, and for many steps, there is [`StepBound`](super::StepBound), which looks at the
/// step's inputs and compares with the exact result; docs/numerics.md derives both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    value_ulps: f32,
    update_units: f32,
    absolute: f32,
}

/// A bound looser than the derived one was asked for.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[error(
    "a bound of {asked} units is looser than the derived {derived}: mend the kernel, not the bound"
)]
pub struct BoundError {
    /// What was asked for, in ULP or units of 2^-23.
    pub asked: f32,
    /// What the derivation allows, in the same.
    pub derived: f32,
}

/// The first element that lies outside its bound.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[error(
    "{label}: element {index} is {actual:e} (0x{actual_bits:08x}), expected {expected:e} \
     (0x{expected_bits:08x}): {distance} ulp apart, allowed {allowed:e} in value; \
     {count} of {len} elements are outside"
)]
pub struct Mismatch {
    /// What was compared, and on which adapter.
    pub label: String,
    /// The index of the first element outside.
    pub index: usize,
    /// The reference.
    pub expected: f32,
    /// Its bit pattern.
    pub expected_bits: u32,
    /// What the device gave.
    pub actual: f32,
    /// Its bit pattern.
    pub actual_bits: u32,
    /// Their distance in representable numbers.
    pub distance: u32,
    /// The absolute difference that was allowed.
    pub allowed: f64,
    /// How many elements are outside.
    pub count: usize,
    /// How many elements were compared.
    pub len: usize,
}

impl Bound {
    /// Identical bits.
    pub const EXACT: Self = Self { value_ulps: 0.0, update_units: 0.0, absolute: 0.0 };

    /// An accumulator `s + g * g` after one native step: the product is within 1 ULP, the sum
    /// within 1 more, and a flushed product loses less than the smallest normal number.
    pub const STATE: Self =
        Self { value_ulps: 2.0, update_units: 0.0, absolute: f32::MIN_POSITIVE };

    /// A parameter after one native step without weight decay: 1 ulp and 10 units of the update
    /// for the device, half an ulp and 2.5 units for the CPU engine.
    pub const PARAMETER: Self =
        Self { value_ulps: 1.5, update_units: 12.5, absolute: f32::MIN_POSITIVE };

    /// This bound with smaller figures.
    ///
    /// # Errors
    /// [`BoundError`] if a figure is larger than the derived one.
    pub fn tightened(self, value_ulps: f32, update_units: f32) -> Result<Self, BoundError> {
        for (asked, derived) in [(value_ulps, self.value_ulps), (update_units, self.update_units)] {
            if asked.is_nan() || asked > derived {
                return Err(BoundError { asked, derived });
            }
        }
        Ok(Self { value_ulps, update_units, ..self })
    }

    /// Compares `actual` with `expected`, element by element; `updates` are the changes that
    /// the step made (any slice of the same length, zeros where [`Bound`] has no use for them).
    ///
    /// # Errors
    /// [`Mismatch`] names the first element outside the bound, both values and their distance.
    pub fn check(
        &self,
        label: &str,
        expected: &[f32],
        actual: &[f32],
        updates: &[f32],
    ) -> Result<(), Mismatch> {
        let len = expected.len().max(actual.len());
        let at = |values: &[f32], index: usize| values.get(index).copied();
        let holds = |index: &usize| match (at(expected, *index), at(actual, *index)) {
            (Some(e), Some(a)) => self.holds(e, a, at(updates, *index).unwrap_or(0.0)),
            _ => false, // one slice is shorter
        };
        let mut failures = (0..len).filter(|index| !holds(index));
        let Some(index) = failures.next() else { return Ok(()) };
        let value = |values: &[f32]| at(values, index).unwrap_or(f32::NAN);
        let (expected, actual) = (value(expected), value(actual));
        Err(Mismatch {
            label: label.to_owned(),
            index,
            expected,
            expected_bits: expected.to_bits(),
            actual,
            actual_bits: actual.to_bits(),
            distance: ulp_distance(expected, actual),
            allowed: self.allowed(expected, actual, at(updates, index).unwrap_or(0.0)),
            count: 1 + failures.count(),
            len,
        })
    }

    /// The absolute difference allowed for one element; NaN if either is not finite.
    fn allowed(&self, expected: f32, actual: f32, update: f32) -> f64 {
        f64::from(self.value_ulps) * f64::from(ulp(expected).max(ulp(actual)))
            + f64::from(self.update_units) * UNIT * f64::from(update.abs())
            + f64::from(self.absolute)
    }

    fn holds(&self, expected: f32, actual: f32, update: f32) -> bool {
        if *self == Self::EXACT || expected.to_bits() == actual.to_bits() {
            return expected.to_bits() == actual.to_bits();
        }
        let distance = (f64::from(expected) - f64::from(actual)).abs();
        distance <= self.allowed(expected, actual, update)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_looser_bound_is_refused() {
        let error = Bound::PARAMETER.tightened(1.0, 13.0);
        assert_eq!(error, Err(BoundError { asked: 13.0, derived: 12.5 }));
        assert!(Bound::PARAMETER.tightened(f32::NAN, 0.0).is_err());
        assert!(Bound::PARAMETER.tightened(1.0, 4.0).is_ok());
    }

    #[test]
    fn the_first_element_outside_is_named() {
        let expected = [1.0, 2.0, 3.0];
        let actual = [1.0, f32::from_bits(2f32.to_bits() + 3), 3.5];
        let mismatch = Bound::STATE.check("s", &expected, &actual, &[]).unwrap_err();
        assert_eq!((mismatch.index, mismatch.distance, mismatch.count), (1, 3, 2));
        assert!(
            Bound::STATE.check("s", &[2.0], &[f32::from_bits(2f32.to_bits() + 2)], &[]).is_ok()
        );
    }

    /// The neighbours of 1 are 3 ulp of the lower one apart, and within 2 ulp of the upper one.
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
}
