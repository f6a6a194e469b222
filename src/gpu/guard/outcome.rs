//! What the guard's kernels and the host exchange: the CPU side of `shaders/guard/outcome.wgsl` and
//! of `Policy` in `shaders/guard/decide.wgsl`.

use crate::step::{GradientGuard, GuardReport};

/// `struct Outcome` of the WGSL, which documents the fields.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub(super) struct Outcome {
    pub(super) non_finite: [u32; 2],
    pub(super) first: [u32; 2],
    pub(super) skipped: [u32; 2],
    pub(super) norm: u32,
    pub(super) skip: u32,
    pub(super) clip: u32,
    pub(super) scale: u32,
}

/// Stands for a missing index or norm. `decide` makes every NaN the canonical one, so no norm has
/// these bits.
const NONE: u32 = u32::MAX;

impl Outcome {
    /// The outcome before the first step, and after the report is cleared.
    pub(super) const EMPTY: Self = Self {
        non_finite: [0; 2],
        first: [NONE; 2],
        skipped: [0; 2],
        norm: NONE,
        skip: 0,
        clip: 0,
        scale: 0,
    };

    pub(super) fn report(&self) -> GuardReport {
        GuardReport {
            non_finite: joined(self.non_finite),
            first: (self.first != [NONE; 2]).then(|| joined(self.first)),
            skipped_steps: joined(self.skipped),
            norm: (self.norm != NONE).then(|| f32::from_bits(self.norm)),
        }
    }
}

/// A number from its low and high word.
fn joined([low, high]: [u32; 2]) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// `struct Policy` of the WGSL, which documents the fields.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub(super) struct Policy {
    pub(super) max_norm: u32,
    pub(super) with_norm: u32,
    pub(super) skip_step: u32,
    pub(super) padding: u32,
}

impl Policy {
    pub(super) fn of(guard: &GradientGuard) -> Self {
        Self {
            max_norm: guard.max_norm.map_or(0, f32::to_bits),
            with_norm: u32::from(guard.max_norm.is_some()),
            skip_step: u32::from(guard.skips_steps()),
            padding: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_joined_low_first() {
        assert_eq!(Outcome::EMPTY.report(), GuardReport::default());
        let outcome = Outcome {
            non_finite: [1, 2],
            first: [3, 4],
            skipped: [5, 6],
            norm: 1.5_f32.to_bits(),
            ..Outcome::EMPTY
        };
        let expected = GuardReport {
            non_finite: 0x2_0000_0001,
            first: Some(0x4_0000_0003),
            skipped_steps: 0x6_0000_0005,
            norm: Some(1.5),
        };
        assert_eq!(outcome.report(), expected);
    }
}
