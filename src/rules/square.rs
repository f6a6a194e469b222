//! What an update uses as the square of a gradient.

use crate::numerics::Real;

/// What an update uses as the square of a gradient.
pub trait Square<T>: Copy {
    /// The square for this gradient.
    fn of(self, gradient: T) -> T;
}

/// The gradient's own square: each parameter has its own accumulator. WGSL twin:
/// `shaders/square/own.wgsl`.
#[derive(Clone, Copy, Debug)]
pub struct OwnSquare;

impl<T: Real> Square<T> for OwnSquare {
    #[inline(always)]
    fn of(self, gradient: T) -> T {
        gradient * gradient
    }
}

/// The mean square of a row's gradients: the row has one accumulator. WGSL twin:
/// `shaders/square/mean.wgsl`.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{AnyRule, Rule, StateElement, with_rule};

    /// The shared state after step 3 from parameter `x`, gradient `g` and other state `own`.
    fn stepped<R: Rule>(
        rule: &R,
        (x, g, own): (f64, f64, f64),
        square: impl Square<f64>,
    ) -> Vec<f64> {
        let shared: Vec<_> = (0..R::STATE.len()).map(|k| rule.can_share(k)).collect();
        let mut state = R::State::<f64>::from_fn(|k| if shared[k] { 0.5 } else { own });
        rule.update(&rule.uniforms(3), x, g, square, &mut state);
        let values = state.as_ref().iter().zip(shared);
        values.filter(|(_, shared)| *shared).map(|(&value, _)| value).collect()
    }

    /// Checks that shared state depends on squares only. With a mean square, neither the parameter,
    /// the gradient nor other state changes it; with the gradient's own square, neither the
    /// parameter nor other state does. Returns false if the rule has no state to share.
    fn follows_from_squares<R: Rule>(rule: R) -> bool {
        let mean = MeanSquare(2.0);
        let first = stepped(&rule, (1.0, 0.5, 0.25), mean);
        assert_eq!(first, stepped(&rule, (-3.0, -2.0, 0.75), mean), "{rule:?}");
        let own = stepped(&rule, (1.0, 0.5, 0.25), OwnSquare);
        assert_eq!(own, stepped(&rule, (-3.0, 0.5, 0.75), OwnSquare), "{rule:?}");
        !first.is_empty()
    }

    #[test]
    fn what_rows_share_follows_from_squares_alone() {
        let rules = AnyRule::examples().into_iter();
        let tried = rules.filter(|rule| with_rule!(*rule, |rule| follows_from_squares(rule)));
        let tried = tried.count();
        assert!(tried > 10, "{tried} rules");
    }
}
