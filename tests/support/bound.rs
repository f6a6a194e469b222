//! Compares a device's results with the reference, within the bound that section 3 of
//! docs/numerics.md derives. No test can make a looser one.
#![allow(dead_code, reason = "each test uses a part of it")]

use wgpu_optim::numerics::{ulp, ulp_distance};

/// How far a device's result of one step may lie from the CPU engine's:
/// `value_ulps * ulp(the larger of the two) + update_units * 2^-23 * |update| + absolute`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bound {
    value_ulps: f32,
    update_units: f32,
    absolute: f32,
}

/// The first element outside its bound, and how many there are.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "{label}: element {index} is {actual:e} (0x{:08x}), expected {expected:e} (0x{:08x}): \
     {distance} ulp apart, allowed {allowed:e} in value; {count} of {len} elements are outside",
    .actual.to_bits(), .expected.to_bits()
)]
pub(crate) struct Mismatch {
    /// What was compared, and on which adapter.
    label: String,
    pub(crate) index: usize,
    expected: f32,
    actual: f32,
    pub(crate) distance: u32,
    /// The absolute difference that was allowed.
    allowed: f64,
    /// How many elements are outside.
    pub(crate) count: usize,
    len: usize,
}

impl Bound {
    /// Identical bits.
    pub(crate) const EXACT: Self = Self { value_ulps: 0.0, update_units: 0.0, absolute: 0.0 };

    /// An accumulator `s + g * g` after one native step: the product is within 1 ULP, the sum
    /// within 1 more, and a flushed product loses less than the smallest normal number.
    pub(crate) const STATE: Self =
        Self { value_ulps: 2.0, update_units: 0.0, absolute: f32::MIN_POSITIVE };

    /// A parameter after one native step without weight decay: 1 ulp and 10 units of the update
    /// for the device, half an ulp and 2.5 units for the CPU engine.
    pub(crate) const PARAMETER: Self =
        Self { value_ulps: 1.5, update_units: 12.5, absolute: f32::MIN_POSITIVE };

    /// Compares `actual` with `expected`, element by element. `updates` are the changes that the
    /// step made; it may be empty for a bound that does not depend on them.
    pub(crate) fn check(
        &self,
        label: &str,
        expected: &[f32],
        actual: &[f32],
        updates: &[f32],
    ) -> Result<(), Mismatch> {
        let len = expected.len().max(actual.len());
        let at = |values: &[f32], index: usize| values.get(index).copied();
        let update = |index| at(updates, index).unwrap_or(0.0);
        let holds = |index: &usize| match (at(expected, *index), at(actual, *index)) {
            (Some(e), Some(a)) => self.holds(e, a, update(*index)),
            _ => false, // one slice is shorter
        };
        let mut failures = (0..len).filter(|index| !holds(index));
        let Some(index) = failures.next() else { return Ok(()) };
        let [expected, actual] =
            [expected, actual].map(|values| at(values, index).unwrap_or(f32::NAN));
        Err(Mismatch {
            label: label.to_owned(),
            index,
            expected,
            actual,
            distance: ulp_distance(expected, actual),
            allowed: self.allowed(expected, actual, update(index)),
            count: 1 + failures.count(),
            len,
        })
    }

    /// The absolute difference allowed for one element; NaN if either is not finite.
    fn allowed(&self, expected: f32, actual: f32, update: f32) -> f64 {
        f64::from(self.value_ulps) * f64::from(ulp(expected).max(ulp(actual)))
            + f64::from(self.update_units) * f64::from(f32::EPSILON) * f64::from(update.abs())
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
