//! Row numbers for the benchmarks of rows.

/// Numbers that look random: a fixed sequence.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// The finalizer of SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let bits = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// The numbers of `count` rows among `rows`.
    pub(crate) fn rows(&mut self, count: usize, rows: usize) -> Vec<u32> {
        (0..count).map(|_| (self.next() % rows as u64) as u32).collect()
    }
}
