//! What stands for a gradient's square in an update.

use crate::numerics::Real;

/// What an update takes for the square of a gradient.
pub trait Square<T>: Copy {
    /// The square, for this gradient.
    fn of(self, gradient: T) -> T;
}

/// The gradient's own: every parameter has its own accumulator. WGSL twin: `shaders/square.wgsl`.
#[derive(Clone, Copy, Debug)]
pub struct OwnSquare;

impl<T: Real> Square<T> for OwnSquare {
    #[inline(always)]
    fn of(self, gradient: T) -> T {
        gradient * gradient
    }
}

/// The mean of the squares of a row's gradients: the row has one accumulator. WGSL twin:
/// `shaders/rows/mean_square.wgsl`.
#[derive(Clone, Copy, Debug)]
pub struct MeanSquare<T>(
    /// The mean.
    pub T,
);

impl<T: Real> Square<T> for MeanSquare<T> {
    #[inline(always)]
    fn of(self, _: T) -> T {
        self.0
    }
}
