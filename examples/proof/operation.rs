//! The operations of shaders/arithmetic, and their results on this processor.

use wgpu_optim::numerics::Real;

/// The bit pattern of every NaN result.
pub(crate) const CANONICAL_NAN: u32 = 0x7fc0_0000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Add,
    Sub,
    Mul,
    Div,
    SquareRoot,
    Maximum,
    Negate,
}

pub(crate) const BINARY: [Operation; 5] =
    [Operation::Add, Operation::Sub, Operation::Mul, Operation::Div, Operation::Maximum];

pub(crate) const UNARY: [Operation; 2] = [Operation::SquareRoot, Operation::Negate];

impl Operation {
    /// The name of the function in WGSL.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Sub => "sub",
            Self::Mul => "mul",
            Self::Div => "div",
            Self::SquareRoot => "square_root",
            Self::Maximum => "maximum",
            Self::Negate => "negate",
        }
    }

    pub(crate) fn is_unary(self) -> bool {
        UNARY.contains(&self)
    }

    /// A call of the operation with these operands, for a message.
    pub(crate) fn call(self, left: u32, right: u32) -> String {
        let name = self.name();
        if self.is_unary() {
            format!("{name}({left:#010x})")
        } else {
            format!("{name}({left:#010x}, {right:#010x})")
        }
    }

    /// The results of this processor's f32 arithmetic, with every NaN replaced by the canonical
    /// one.
    pub(crate) fn on_hardware(self, left: &[u32], right: &[u32], results: &mut [u32]) {
        match self {
            Self::Add => each(left, right, results, |a, b| a + b),
            Self::Sub => each(left, right, results, |a, b| a - b),
            Self::Mul => each(left, right, results, |a, b| a * b),
            Self::Div => each(left, right, results, |a, b| a / b),
            Self::SquareRoot => each(left, right, results, |a, _| a.sqrt()),
            Self::Maximum => each(left, right, results, Real::maximum),
            Self::Negate => each(left, right, results, |a, _| -a),
        }
    }
}

/// Each operation has its own loop, so that it is vectorized.
#[inline(always)]
fn each(left: &[u32], right: &[u32], results: &mut [u32], operation: impl Fn(f32, f32) -> f32) {
    for ((a, b), result) in left.iter().zip(right).zip(results) {
        let bits = operation(f32::from_bits(*a), f32::from_bits(*b)).to_bits();
        // Compares bits, because the compiler may remove a select between two NaNs that compares
        // floats.
        *result = if bits & 0x7fff_ffff > 0x7f80_0000 { CANONICAL_NAN } else { bits };
    }
}
