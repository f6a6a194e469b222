//! Distances between floating-point numbers, bounds that refuse to be loose, and the scalar
//! type that a rule is written against.

mod bound;
pub(crate) mod elementary;
mod real;
mod running;
mod step_bound;
pub(crate) mod sum;
mod ulp;

pub use bound::{Bound, BoundError, Mismatch};
pub use real::Real;
pub use running::{Nearest, Rounding, Running, Wgsl};
pub use step_bound::{Errors, StepBound, StepInput, UNIT, accumulator_growth, gradient_error};
pub use ulp::{canonical, ulp, ulp_distance};

/// How the arithmetic of a step rounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// The device's own f32 arithmetic: fastest, and within the derived [`StepBound`] of the
    /// exact result.
    #[default]
    Native,
    /// Every operation rounded once, to nearest even, subnormals kept, every NaN the one
    /// canonical `0x7fc00000`: the same bits on every device.
    Exact,
}

impl std::fmt::Display for Precision {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Native => "native",
            Self::Exact => "exact",
        })
    }
}
