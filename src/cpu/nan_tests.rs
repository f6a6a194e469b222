//! NaN in steps of the CPU engine: canonical wherever an element was updated, and nothing else.

use crate::rules::{AnyRule, with_rule};
use crate::{CpuOptimizer, GradientGuard, NonFinite, Rule};

/// A signalling NaN with a payload, and a quiet one with a sign.
const NANS: [u32; 2] = [0x7fa0_0001, 0xffc1_2345];
const CANONICAL: u32 = 0x7fc0_0000;
const LEN: usize = 1000;
/// The first and last elements of blocks of 256, and others.
const PLACES: [usize; 8] = [0, 3, 255, 256, 511, 700, 768, 999];

/// Parameters and gradients without NaN.
fn finite() -> (Vec<f32>, Vec<f32>) {
    let x = (0..LEN).map(|index| index as f32 / 64.0 - 7.0).collect();
    let grads = (0..LEN).map(|index| (index * 37 % 101) as f32 / 16.0 - 3.0).collect();
    (x, grads)
}

/// The bits of the parameters and of all state.
fn bits<R: Rule>(x: &[f32], optimizer: &CpuOptimizer<R>) -> Vec<Vec<u32>> {
    let state = (0..optimizer.state_count()).map(|k| optimizer.state(k));
    let vectors = [x].into_iter().chain(state);
    vectors.map(|vector| vector.iter().map(|value| value.to_bits()).collect()).collect()
}

/// Two steps with NaN in parameters, gradients or both, beside the same steps without.
fn check<R: Rule>(rule: R, guard: Option<GradientGuard>) {
    let optimizer = || {
        let optimizer = CpuOptimizer::new(rule, LEN).unwrap();
        guard.map_or(optimizer.clone(), |guard| optimizer.with_guard(guard).unwrap())
    };
    let (mut clean, mut damaged) = (optimizer(), optimizer());
    let (mut x, grads) = finite();
    let (mut damaged_x, mut damaged_grads) = (x.clone(), grads.clone());
    for (number, &place) in PLACES.iter().enumerate() {
        let nan = f32::from_bits(NANS[number % 2]);
        if number % 3 != 0 {
            damaged_x[place] = nan;
        }
        if number % 3 != 1 {
            damaged_grads[place] = nan;
        }
    }
    let before = damaged_x.clone();
    for _ in 0..2 {
        clean.step(&mut x, &grads).unwrap();
        damaged.step(&mut damaged_x, &damaged_grads).unwrap();
    }
    let (clean, damaged) = (bits(&x, &clean), bits(&damaged_x, &damaged));
    for index in 0..LEN {
        let skipped = guard.is_some() && !damaged_grads[index].is_finite();
        for (vector, (clean, damaged)) in clean.iter().zip(&damaged).enumerate() {
            let found = damaged[index];
            let expected = match (PLACES.contains(&index), skipped, vector) {
                (false, ..) => clean[index],
                (true, true, 0) => before[index].to_bits(),
                (true, false, 0) => CANONICAL,
                // The state is NaN or a number, as the rule has it.
                _ if f32::from_bits(found).is_nan() => CANONICAL,
                _ => found,
            };
            assert_eq!(found, expected, "{rule:?} {guard:?}: element {index} of vector {vector}");
        }
    }
}

#[test]
fn every_nan_of_an_updated_element_is_canonical() {
    let skip = GradientGuard { non_finite: NonFinite::SkipElement, max_norm: None };
    for rule in AnyRule::examples() {
        with_rule!(rule, |rule| {
            check(rule, None);
            check(rule, Some(skip));
        });
    }
}
