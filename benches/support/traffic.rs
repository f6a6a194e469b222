//! Input values, and a rule that shows the limit set by memory bandwidth.

use wgpu_optim::numerics::Real;
use wgpu_optim::rules::Square;
use wgpu_optim::{Rule, RuleError};

/// Numbers between 0.5 and 1.5, each different from its neighbours.
pub(crate) fn values(len: usize) -> Vec<f32> {
    (0..len as u32)
        .map(|index| 0.5 + (index.wrapping_mul(2_654_435_761) >> 8) as f32 / 16_777_216.0)
        .collect()
}

/// Additions only, with the memory traffic of Adagrad: the fastest step that memory allows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Traffic;

impl Rule for Traffic {
    const NAME: &'static str = "traffic";
    const STATE: &'static [&'static str] = &["sum"];
    const SHADER: &'static str = "
        struct Hyper { unused: vec4<u32> }
        fn update(hyper: Hyper, x: Real, gradient: Real, state: ptr<function, State>) -> Real {
            (*state).sum = add((*state).sum, gradient);
            return add(x, gradient);
        }";

    type State<T: Real> = [T; 1];
    type Uniforms = [u32; 4];

    fn validate(&self) -> Result<(), RuleError> {
        Ok(())
    }

    fn initial_state(&self) -> [f32; 1] {
        [0.0]
    }

    fn learning_rate(&self) -> f32 {
        0.0
    }

    fn set_learning_rate(&mut self, _: f32) {}

    fn uniforms_at(&self, _: u64, _: f64) -> [u32; 4] {
        [0; 4]
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    #[inline(always)]
    fn update<T: Real>(
        &self,
        _: &[u32; 4],
        x: T,
        gradient: T,
        _: impl Square<T>,
        [sum]: &mut [T; 1],
    ) -> T {
        *sum = *sum + gradient;
        x + gradient
    }
}
