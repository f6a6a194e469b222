//! Random operands, which are the same in every run.

use rayon::prelude::*;

/// Elements that one generator draws, in one task of a thread.
const RUN: usize = 1 << 13;

/// SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
pub(crate) struct Random(u64);

impl Random {
    /// Generator `stream` of `seed`.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0xd134_2543_de82_ef95) ^ stream);
        random.0 = random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = self.0;
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Any bit pattern.
    pub(crate) fn bits(&mut self) -> u32 {
        (self.next() >> 32) as u32
    }

    /// 0 to `count` - 1.
    pub(crate) fn below(&mut self, count: u32) -> u32 {
        ((u64::from(self.bits()) * u64::from(count)) >> 32) as u32
    }

    /// `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: i32, high: i32) -> i32 {
        low + self.below((high - low + 1).cast_unsigned()).cast_signed()
    }

    pub(crate) fn coin(&mut self) -> bool {
        self.bits() & 1 == 1
    }

    /// A sign bit that is set or not.
    pub(crate) fn sign(&mut self) -> u32 {
        self.bits() & 0x8000_0000
    }

    /// One of `choices`.
    pub(crate) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u32) as usize]
    }
}

/// Fills both slices with the pairs that `draw` gives, on all cores.
pub(crate) fn fill_pairs(
    seed: u64,
    left: &mut [u32],
    right: &mut [u32],
    draw: impl Fn(&mut Random) -> (u32, u32) + Sync,
) {
    let runs = left.par_chunks_mut(RUN).zip(right.par_chunks_mut(RUN));
    runs.enumerate().for_each(|(stream, (left, right))| {
        let mut random = Random::new(seed, stream as u64);
        for (a, b) in left.iter_mut().zip(right) {
            (*a, *b) = draw(&mut random);
        }
    });
}

/// Fills a slice with the bit patterns that `draw` gives, on all cores.
pub(crate) fn fill(seed: u64, values: &mut [f32], draw: impl Fn(&mut Random) -> u32 + Sync) {
    values.par_chunks_mut(RUN).enumerate().for_each(|(stream, values)| {
        let mut random = Random::new(seed, stream as u64);
        values.fill_with(|| f32::from_bits(draw(&mut random)));
    });
}
