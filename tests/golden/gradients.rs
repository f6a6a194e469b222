//! The inputs of the golden files, from integer operations only, so that Python and Rust compute
//! the same bits. Twin: `initial` and `gradient` in generate.py. README.md defines them.
#![allow(dead_code, reason = "every test file uses a part of it")]

/// The finalizer of splitmix64.
fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn hashed(seed: u64, step: u64, index: u64) -> u64 {
    let counter = (step << 32) + index + 1;
    mix(seed.wrapping_add(counter.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

/// Sign from bit 4 of the hash, mantissa from bits 41 to 63, a normal number.
fn number(hash: u64, exponent: i64) -> f32 {
    let sign = (hash >> 4 & 1) << 31;
    let exponent = (exponent + 127).cast_unsigned() << 23;
    f32::from_bits((sign | exponent | hash >> 41) as u32)
}

/// The parameters before the first step.
pub(crate) fn initial(seed: u64, len: usize) -> Vec<f32> {
    let element = |index| {
        let hash = hashed(seed, 0, index);
        if hash >> 5 & 7 == 0 {
            0.0
        } else {
            number(hash, -8 + (hash >> 24 & 0xff).cast_signed() % 12)
        }
    };
    (0..len as u64).map(element).collect()
}

/// The gradients of step `step`, counted from 1: magnitudes from 2^-67 up to 2^34.
pub(crate) fn gradients(seed: u64, step: u64, len: usize) -> Vec<f32> {
    let element = |index| {
        let (of_element, hash) = (hashed(seed, 0, index), hashed(seed, step, index));
        let draw = (hash >> 8 & 0xffff).cast_signed();
        match of_element & 15 {
            0 => 0.0, // an element that never gets a gradient
            _ if hash & 15 == 0 => 0.0,
            1 | 2 => number(hash, -67 + draw % 101), // one that gets every magnitude
            _ => {
                let centre = -67 + (of_element >> 8 & 0xffff).cast_signed() % 101;
                number(hash, (centre - 3 + draw % 7).clamp(-67, 33))
            }
        }
    };
    (0..len as u64).map(element).collect()
}

/// Gradients from 2^-4 up to 2^4, so that every element of a row counts in its mean square. Twin:
/// `gradients` in `generate_row_wise.py`.
pub(crate) fn moderate(seed: u64, step: u64, len: usize) -> Vec<f32> {
    let element = |index| {
        let hash = hashed(seed, step, index);
        number(hash, -4 + (hash >> 8 & 0xffff).cast_signed() % 8)
    };
    (0..len as u64).map(element).collect()
}

#[test]
fn gradients_span_the_stated_range_and_include_zeros() {
    let all: Vec<f32> = (1..=100).flat_map(|step| gradients(13, step, 1000)).collect();
    let magnitudes = || all.iter().map(|g| g.abs()).filter(|&g| g != 0.0);
    assert!(magnitudes().fold(f32::MAX, f32::min) < 1e-20);
    assert!(magnitudes().fold(0.0, f32::max) > 1e10);
    assert!(all.iter().filter(|&&g| g == 0.0).count() > all.len() / 20);
}
