//! Sums in the canonical order, on the CPU.
//!
//! # The canonical order
//! Sums of floating-point numbers depend on their order. Every engine adds in this one, so that its
//! bits depend neither on threads nor on dispatches, buffers or limits:
//!
//! - **A vector** is cut into blocks of 4096 values, counted from its first; the last may be shorter.
//!   Value i of a block belongs to partial sum i % 256, to which values are added in ascending order,
//!   starting from +0. The upper half of the partial sums is then added to the lower half, until one
//!   is left: the block's sum.
//! - **The sums of blocks** are a list in the order of the blocks, which is summed by the same rule,
//!   again and again until one is left. The sum of nothing is +0.
//! - **Several vectors**, such as the gradients of many tensors, are each cut into blocks of its own.
//!   The block sums of all of them, vector after vector, are one list, which is summed as above. For
//!   one vector this is its own sum. A vector of no elements has no blocks and changes nothing.
//!
//! The gradients of a step are such vectors, as [`crate::GradientGuard`] has it; element numbers in a
//! [`crate::GuardReport`] count over them, side by side.
//!
//! A row's mean of squares has an order of its own, for its 32 partial sums: [`mean_square`].

/// Values in a block of a sum.
pub(crate) const BLOCK: usize = 4096;
/// Partial sums of a block.
const LANES: usize = 256;

/// A tree over partial sums; their number is a power of two.
#[inline(always)]
pub(crate) fn tree<const N: usize>(mut sums: [f32; N]) -> f32 {
    let mut half = N / 2;
    while half > 0 {
        for index in 0..half {
            sums[index] += sums[index + half];
        }
        half /= 2;
    }
    sums[0]
}

/// The sum of `values`.
#[cfg(any(test, feature = "linear"))]
pub(crate) fn sum(values: &[f32]) -> f32 {
    let mut sums: Vec<f32> =
        values.chunks(BLOCK).map(|block| block_sum(block, |value| value)).collect();
    sum_of_blocks(&mut sums)
}

/// The sum of what blocks came to; what is left in `sums` is of no use.
pub(crate) fn sum_of_blocks(sums: &mut Vec<f32>) -> f32 {
    while sums.len() > 1 {
        let blocks = sums.len().div_ceil(BLOCK);
        for block in 0..blocks {
            let end = sums.len().min((block + 1) * BLOCK);
            sums[block] = block_sum(&sums[block * BLOCK..end], |value| value);
        }
        sums.truncate(blocks);
    }
    sums.first().copied().unwrap_or(0.0)
}

/// The sum of the terms of at most [`BLOCK`] values.
#[inline(always)]
pub(crate) fn block_sum(block: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (groups, rest) = block.as_chunks::<LANES>();
    for group in groups {
        for lane in 0..LANES {
            lanes[lane] += term(group[lane]);
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane += term(value);
    }
    tree(lanes)
}

/// Partial sums of a row's squares.
const ROW_LANES: usize = 32;

/// The mean of the squares of a row that is not empty, `square` giving each: that of element j
/// belongs to partial sum j % 32; then a tree over them, and a division by the row's length.
#[inline(always)]
pub(crate) fn mean_square(row: &[f32], square: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; ROW_LANES];
    let (groups, rest) = row.as_chunks::<ROW_LANES>();
    for group in groups {
        for lane in 0..ROW_LANES {
            lanes[lane] += square(group[lane]);
        }
    }
    for (lane, &value) in lanes.iter_mut().zip(rest) {
        *lane += square(value);
    }
    tree(lanes) / row.len() as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_square(row: &[f32]) -> f32 {
        super::mean_square(row, |value| value * value)
    }

    #[test]
    fn squares_32_apart_share_a_partial_sum() {
        assert_eq!(mean_square(&[3.0, -4.0]), 12.5);
        // The 1 beside 2^24 is lost in lane 3, and would not be in lane 4.
        let mut row = vec![0.0; 64];
        (row[3], row[35]) = (4096.0, 1.0);
        assert_eq!(mean_square(&row), BIG / 64.0);
        (row[35], row[36], row[4]) = (0.0, 1.0, 1.0);
        assert_eq!(mean_square(&row), (BIG + 2.0) / 64.0);
    }

    /// 2^24 + 1 rounds back to 2^24, so the result tells in which order the terms were added.
    const BIG: f32 = 16_777_216.0;

    #[test]
    fn a_tree_adds_the_upper_half_to_the_lower() {
        // (BIG + 1) + (-BIG + 1): 1 is lost on the left, and -BIG + 1 is exact.
        assert_eq!(tree([BIG, -BIG, 1.0, 1.0]), 1.0);
        // (BIG - BIG) + (1 + 1).
        assert_eq!(tree([BIG, 1.0, -BIG, 1.0]), 2.0);
    }

    #[test]
    fn values_are_summed_block_by_block() {
        // 5000 values: lane 0 of block 0 holds values 0, 256, ...; the second block has its own.
        let mut values = vec![0.0; 5000];
        (values[0], values[256], values[4096]) = (BIG, 1.0, 1.0);
        // In block 0, BIG swallows the 1; the other 1 is in block 1, and swallowed too.
        assert_eq!(sum(&values), BIG);
        values[1] = 1.0;
        values[256] = 0.0;
        (values[0], values[1], values[4096]) = (0.0, 1.0, 16.0);
        assert_eq!(sum(&values), 17.0);
        assert_eq!(sum(&[]), 0.0);
    }

    /// 4097 blocks: block 4096 is the first of the second level's second block.
    #[test]
    fn blocks_are_summed_by_the_same_rule() {
        let mut sums = vec![0.0; 4097];
        // Lane 0 of block 0 holds sums 0 and 256; sum 4096 stands alone.
        (sums[0], sums[256], sums[4096]) = (BIG, 1.0, 1.0);
        assert_eq!(sum_of_blocks(&mut sums.clone()), BIG);
        (sums[256], sums[1]) = (-BIG, 1.0);
        assert_eq!(sum_of_blocks(&mut sums), 2.0);
    }
}
