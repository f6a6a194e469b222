//! A pass over the gradients before the step: what is not finite, and the sum of squares in the
//! canonical order. Twins: `shaders/guard/scan.wgsl` and `reduce.wgsl`.

use rayon::prelude::*;

use crate::numerics::sum::{BLOCK, block_sum, sum_of_blocks};
use crate::rules::{GradientGuard, Scan};

/// Blocks that one task takes: 64 Ki elements, as the step's threads do.
const BLOCKS_PER_TASK: usize = 16;

/// Looks at all gradients; `sums` is scratch memory.
pub(super) fn scan(guard: &GradientGuard, grads: &[f32], sums: &mut Vec<f32>) -> Scan {
    sums.clear();
    sums.resize(grads.len().div_ceil(BLOCK), 0.0);
    let norm = guard.max_norm.is_some();
    let only_finite = guard.skips_elements();
    let task_len = BLOCKS_PER_TASK * BLOCK;
    let task = |(task, (grads, sums)): (usize, (&[f32], &mut [f32]))| {
        let first = (task * task_len) as u64;
        pulp::Arch::new().dispatch(Blocks { grads, sums, norm, only_finite, first })
    };
    // One task's worth does not wake the threads; asking for them would start the pool.
    let found = if grads.len() <= task_len {
        task((0, (grads, &mut *sums)))
    } else {
        let pieces = grads.par_chunks(task_len).zip(sums.par_chunks_mut(BLOCKS_PER_TASK));
        pieces.enumerate().map(task).reduce(Scan::default, join)
    };
    Scan { sum: if norm { sum_of_blocks(sums) } else { 0.0 }, ..found }
}

/// Both counts, and the first of the first; neither sum.
fn join(a: Scan, b: Scan) -> Scan {
    Scan { count: a.count + b.count, first: a.first.or(b.first), sum: 0.0 }
}

/// The exponent of everything that is not finite.
const NOT_FINITE: u32 = 0x7f80_0000;

#[inline(always)]
fn is_bad(gradient: f32) -> bool {
    gradient.to_bits() & NOT_FINITE == NOT_FINITE
}

/// The blocks of one task.
struct Blocks<'a> {
    grads: &'a [f32],
    /// One a block.
    sums: &'a mut [f32],
    norm: bool,
    only_finite: bool,
    /// The index of the first element.
    first: u64,
}

impl pulp::NullaryFnOnce for Blocks<'_> {
    type Output = Scan;

    #[inline(always)]
    fn call(self) -> Scan {
        let mut found = Scan::default();
        for ((block, sum), first) in
            self.grads.chunks(BLOCK).zip(self.sums).zip((self.first..).step_by(BLOCK))
        {
            let count: u32 = block.iter().map(|&gradient| u32::from(is_bad(gradient))).sum();
            if count > 0 {
                let place = block.iter().position(|&gradient| is_bad(gradient));
                let place = place.map(|place| first + place as u64);
                found = join(found, Scan { count: u64::from(count), first: place, sum: 0.0 });
            }
            if self.norm && count > 0 && self.only_finite {
                *sum = block_sum(block, |g| if is_bad(g) { 0.0 } else { g * g });
            } else if self.norm {
                *sum = block_sum(block, |g| g * g);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NonFinite;
    use crate::numerics::sum::sum;

    const CLIP: GradientGuard =
        GradientGuard { non_finite: NonFinite::SkipElement, max_norm: Some(1.0) };

    fn gradients(len: usize) -> Vec<f32> {
        (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 1e5 - 80.0).collect()
    }

    fn sum_of_squares(values: &[f32]) -> f32 {
        sum(&values.iter().map(|value| value * value).collect::<Vec<_>>())
    }

    /// Lengths around blocks, groups and tasks: neither threads nor vector width change a bit.
    #[test]
    fn threads_and_vector_width_change_no_bit() {
        for len in [0, 1, 255, 257, 4095, 4096, 4097, 65_536, 65_537, 1_000_003] {
            let grads = gradients(len);
            let found = scan(&CLIP, &grads, &mut Vec::new());
            let expected = Scan { sum: sum_of_squares(&grads), ..Scan::default() };
            assert_eq!(found, expected, "{len}");
        }
    }

    #[test]
    fn everything_not_finite_is_counted_and_left_out_of_the_sum() {
        let bad = [0x7f80_0000, 0xff80_0000, 0x7fc0_0000, 0x7f80_0001, 0xffff_ffff];
        let mut grads = gradients(300_001);
        let mut zeroed = grads.clone();
        for (&bits, at) in bad.iter().zip([299_999, 70_000, 4096, 200_000, 300_000]) {
            (grads[at], zeroed[at]) = (f32::from_bits(bits), 0.0);
        }
        let found = scan(&CLIP, &grads, &mut Vec::new());
        let sum = sum_of_squares(&zeroed);
        assert_eq!(found, Scan { count: 5, first: Some(4096), sum });
        // The largest and smallest numbers are finite.
        let fine = [f32::MAX, f32::MIN, f32::from_bits(1), -0.0, f32::MIN_POSITIVE];
        assert_eq!(scan(&CLIP, &fine, &mut Vec::new()).count, 0);
    }
}
