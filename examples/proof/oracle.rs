//! An oracle that does not use this processor's floating point: `rustc_apfloat`, the port of LLVM's
//! arbitrary-precision arithmetic with which the Rust compiler evaluates constants.

use rustc_apfloat::ieee::{Double, Single};
use rustc_apfloat::{Float, FloatConvert, Round};

use crate::operation::{CANONICAL_NAN, Operation};

/// The result in IEEE 754 single precision, rounded to nearest, ties to even, with the canonical
/// NaN.
///
/// The search for a square root starts at `guess`, which does not affect the result.
pub(crate) fn result(operation: Operation, left: u32, right: u32, guess: u32) -> u32 {
    let (a, b) = (single(left), single(right));
    let round = Round::NearestTiesToEven;
    let value = match operation {
        Operation::Add => a.add_r(b, round).value,
        Operation::Sub => a.sub_r(b, round).value,
        Operation::Mul => a.mul_r(b, round).value,
        Operation::Div => a.div_r(b, round).value,
        Operation::SquareRoot => square_root(a, single(guess)),
        Operation::Maximum if a.is_nan() || b.is_nan() => Single::NAN,
        Operation::Maximum => a.max(b),
        Operation::Negate => -a,
    };
    if value.is_nan() { CANONICAL_NAN } else { value.to_bits() as u32 }
}

fn single(bits: u32) -> Single {
    Single::from_bits(u128::from(bits))
}

/// The square root, by its definition, because the crate has none: `a` lies between the squares of
/// the midpoints from the root to its neighbours. Midpoints have at most 26 bits, so their squares
/// are exact in double precision. No square of a midpoint is a single, so there are no ties.
fn square_root(a: Single, guess: Single) -> Single {
    if a.is_zero() || a.is_nan() || (a.is_infinite() && !a.is_negative()) {
        return a;
    }
    if a.is_negative() {
        return Single::NAN;
    }
    let wanted = double(a);
    let mut root = if guess.is_finite_non_zero() && !guess.is_negative() { guess } else { a };
    while squared_midpoint(root, root.next_up().value) < wanted {
        root = root.next_up().value;
    }
    while squared_midpoint(root.next_down().value, root) > wanted {
        root = root.next_down().value;
    }
    root
}

fn squared_midpoint(low: Single, high: Single) -> Double {
    let round = Round::NearestTiesToEven;
    let sum = double(low).add_r(double(high), round).value;
    let midpoint = sum.scalbn(-1);
    midpoint.mul_r(midpoint, round).value
}

fn double(value: Single) -> Double {
    value.convert(&mut false).value
}
