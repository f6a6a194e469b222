//! A pass over the gradients before the step: counts gradients that are not finite, and sums
//! squares in the canonical order. WGSL twins: `shaders/guard/scan.wgsl` and `reduce.wgsl`.

use std::collections::VecDeque;

use super::threads::{Divisible, run_parts, threads};
use crate::numerics::sum::{BLOCK, block_sum, sum_of_blocks};
use crate::step::{GradientGuard, Scan};

/// Scans all vectors of gradients, in order. `sums` is scratch memory.
pub(super) fn scan<'a>(
    guard: &GradientGuard,
    vectors: impl Iterator<Item = &'a [f32]> + Clone,
    sums: &mut Vec<f32>,
) -> Scan {
    let (mut count, mut len, mut blocks) = (0, 0, 0);
    for grads in vectors.clone() {
        (count, len, blocks) = (count + 1, len + grads.len(), blocks + grads.len().div_ceil(BLOCK));
    }
    sums.clear();
    sums.resize(blocks, 0.0);
    let norm = guard.max_norm.is_some();
    let only_finite = guard.skips_elements();
    let (mut rest, mut first) = (sums.as_mut_slice(), 0);
    let vectors = vectors.map(|grads| {
        let (sums, others) = std::mem::take(&mut rest).split_at_mut(grads.len().div_ceil(BLOCK));
        let blocks = Blocks { grads, sums, norm, only_finite, first };
        (rest, first) = (others, first + grads.len() as u64);
        blocks
    });
    let threads = threads(len);
    let found = if threads > 1 {
        let mut list = VecDeque::with_capacity(count);
        list.extend(vectors);
        run_parts(list, threads, &|list: VecDeque<_>| scan_all(list.into_iter()), &join)
    } else {
        scan_all(vectors)
    };
    Scan { sum: if norm { sum_of_blocks(sums) } else { 0.0 }, ..found }
}

/// Scans vectors in order, on this thread.
fn scan_all<'a>(vectors: impl Iterator<Item = Blocks<'a>>) -> Scan {
    vectors.map(|blocks| pulp::Arch::new().dispatch(blocks)).fold(Scan::default(), join)
}

/// Combines the counts and first indices of two scans, without the sums.
fn join(a: Scan, b: Scan) -> Scan {
    Scan { count: a.count + b.count, first: a.first.or(b.first), sum: 0.0 }
}

/// The exponent bits of NaN and infinity.
const NOT_FINITE: u32 = 0x7f80_0000;

#[inline(always)]
fn is_bad(gradient: f32) -> bool {
    gradient.to_bits() & NOT_FINITE == NOT_FINITE
}

/// Consecutive blocks of one vector; the last may be shorter.
struct Blocks<'a> {
    grads: &'a [f32],
    /// One for each block.
    sums: &'a mut [f32],
    norm: bool,
    only_finite: bool,
    /// The index of the first element, counted over all vectors.
    first: u64,
}

impl Divisible for Blocks<'_> {
    fn cost(&self) -> usize {
        self.grads.len()
    }

    fn split_at(self, cost: usize) -> (Self, Self) {
        let blocks = cost / BLOCK;
        let (grads, grads_rest) = self.grads.split_at(blocks * BLOCK);
        let (sums, sums_rest) = self.sums.split_at_mut(blocks);
        let first = self.first + grads.len() as u64;
        (Self { grads, sums, ..self }, Self { grads: grads_rest, sums: sums_rest, first, ..self })
    }
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

    fn scan_one(grads: &[f32]) -> Scan {
        scan(&CLIP, [grads].into_iter(), &mut Vec::new())
    }

    fn gradients(len: usize) -> Vec<f32> {
        (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 1e5 - 80.0).collect()
    }

    fn sum_of_squares(values: &[f32]) -> f32 {
        sum(&values.iter().map(|value| value * value).collect::<Vec<_>>())
    }

    /// Lengths on both sides of the limits of blocks, vector groups and threads.
    #[test]
    fn threads_and_vector_width_change_no_bit() {
        for len in [0, 1, 255, 257, 4095, 4096, 4097, 65_536, 65_537, 1_000_003] {
            let grads = gradients(len);
            let found = scan_one(&grads);
            let expected = Scan { sum: sum_of_squares(&grads), ..Scan::default() };
            assert_eq!(found, expected, "{len}");
        }
    }

    /// Each vector has its own blocks; all block sums form one list.
    #[test]
    fn vectors_are_summed_block_by_block() {
        let all = gradients(400_000);
        let lens = [1, 0, 4096, 5000, 12_289, 1, 1, 255, 200_000, 150_000];
        let mut rest = all.as_slice();
        let vectors = lens.map(|len| rest.split_off(..len).unwrap());
        let blocks = vectors.iter().flat_map(|vector| vector.chunks(BLOCK));
        let sums: Vec<f32> = blocks.map(sum_of_squares).collect();
        let found = scan(&CLIP, vectors.iter().copied(), &mut Vec::new());
        assert_eq!(found, Scan { sum: sum(&sums), ..Scan::default() });
        assert_eq!(scan(&CLIP, [].into_iter(), &mut vec![1.0]), Scan::default());
    }

    #[test]
    fn values_not_finite_are_counted_and_left_out_of_the_sum() {
        let bad = [0x7f80_0000, 0xff80_0000, 0x7fc0_0000, 0x7f80_0001, 0xffff_ffff];
        let mut grads = gradients(300_001);
        let mut zeroed = grads.clone();
        for (&bits, at) in bad.iter().zip([299_999, 70_000, 4096, 200_000, 300_000]) {
            (grads[at], zeroed[at]) = (f32::from_bits(bits), 0.0);
        }
        let found = scan_one(&grads);
        let sum = sum_of_squares(&zeroed);
        assert_eq!(found, Scan { count: 5, first: Some(4096), sum });
        // The largest and smallest numbers are finite.
        let fine = [f32::MAX, f32::MIN, f32::from_bits(1), -0.0, f32::MIN_POSITIVE];
        assert_eq!(scan_one(&fine).count, 0);
    }
}
