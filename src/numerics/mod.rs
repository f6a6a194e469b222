//! Accuracy: the precision of an optimizer ([`Precision`]), bounds on the error of native results
//! ([`Running`]), and distances between numbers ([`ulp_distance`]).
//!
//! A rule's update is generic over [`Real`]. On [`Running`] numbers, it computes its own error
//! bound:
//!
//! ```
//! use wgpu_optim::numerics::{Running, Wgsl};
//! use wgpu_optim::rules::OwnSquare;
//! use wgpu_optim::{Adagrad, Rule};
//!
//! let rule = Adagrad { learning_rate: 0.1, ..Adagrad::default() };
//! let (x, gradient) = (Running::<Wgsl>::input(1.0), Running::input(0.5));
//! let mut state = [Running::input(0.0)];
//! let stepped = rule.update(&rule.uniforms(1), x, gradient, OwnSquare, &mut state);
//! // 1 - 0.1 * 0.5 / sqrt(0.25 + epsilon), within 2 units of 2^-23 on any device.
//! assert!((stepped.value() - 0.9).abs() < 1e-5);
//! assert!(stepped.error().is_some_and(|error| error < 2.0 * f64::from(f32::EPSILON)));
//! ```

#[cfg(feature = "linear")]
pub(crate) mod elementary;
mod real;
mod running;
pub(crate) mod sum;
mod ulp;

pub use real::Real;
pub use running::{Nearest, Rounding, Running, Wgsl};
pub use ulp::{canonical, ulp, ulp_distance};

/// How the arithmetic of a step rounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// The device's own f32 arithmetic: the fastest. The rule's update on [`Running`] numbers
    /// bounds its error.
    #[default]
    Native,
    /// The same bits on every device. Every operation is rounded once, to nearest, ties to even;
    /// subnormals are kept, and every NaN is `0x7fc00000`.
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
