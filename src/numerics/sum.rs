//! Sums in the canonical order, on the CPU.
//!
//! # The canonical order
//! The bits of a floating-point sum depend on the order of its terms. All engines add in the order
//! below, so threads, dispatches, buffers and limits do not change the bits.
//!
//! - **A vector** is split into blocks of 4096 values; the last block may be shorter. Value i of a
//!   block belongs to partial sum i % 256. Each partial sum starts at +0 and adds its values in
//!   ascending order. Then the upper half of the partial sums is added to the lower half, until one
//!   is left: the block's sum.
//! - **The block sums**, in the order of the blocks, are summed by the same rule, again and again
//!   until one is left. The sum of nothing is +0.
//! - **Several vectors**, such as the gradients of many tensors, are each split into their own
//!   blocks. The block sums of all vectors, in order, are summed as above. For a single vector,
//!   this is its own sum. A vector without elements has no blocks and does not change the sum.
//!
//! A [`crate::GradientGuard`] sums the gradients of a step in this order. A [`crate::GuardReport`]
//! counts elements in the same order, over all vectors.
//!
//! The mean square of a row has another order, with 32 partial sums: [`mean_square`].

/// Values in a block of a sum.
pub(crate) const BLOCK: usize = 4096;
/// Partial sums of a block.
const LANES: usize = 256;

/// Adds partial sums, whose number is a power of two, as a tree.
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

/// The sum of block sums. Overwrites `sums`.
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

/// The sum of one block: of `term` of each of at most [`BLOCK`] values.
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

/// The mean of `square` of each element of a row, which is not empty. Element j belongs to partial
/// sum j % 32. A tree adds the partial sums, and the total is divided by the row's length.
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
        // Added to 2^24, the 1 is lost: both are in lane 3. Two ones in lane 4 are not lost.
        let mut row = vec![0.0; 64];
        (row[3], row[35]) = (4096.0, 1.0);
        assert_eq!(mean_square(&row), BIG / 64.0);
        (row[35], row[36], row[4]) = (0.0, 1.0, 1.0);
        assert_eq!(mean_square(&row), (BIG + 2.0) / 64.0);
    }

    /// 2^24 + 1 rounds to 2^24, so the result shows the order in which the terms were added.
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
        // 5000 values. Lane 0 of block 0 holds values 0, 256 and so on; the second block has its
        // own lanes.
        let mut values = vec![0.0; 5000];
        (values[0], values[256], values[4096]) = (BIG, 1.0, 1.0);
        // BIG absorbs the 1 in its lane, and then the 1 of block 1.
        assert_eq!(sum(&values), BIG);
        values[1] = 1.0;
        values[256] = 0.0;
        (values[0], values[1], values[4096]) = (0.0, 1.0, 16.0);
        assert_eq!(sum(&values), 17.0);
        assert_eq!(sum(&[]), 0.0);
    }

    /// 4097 block sums: on the second level, sum 4096 is the first of the second block.
    #[test]
    fn blocks_are_summed_by_the_same_rule() {
        let mut sums = vec![0.0; 4097];
        // Lane 0 of block 0 holds sums 0 and 256; sum 4096 is alone in its block.
        (sums[0], sums[256], sums[4096]) = (BIG, 1.0, 1.0);
        assert_eq!(sum_of_blocks(&mut sums.clone()), BIG);
        (sums[256], sums[1]) = (-BIG, 1.0);
        assert_eq!(sum_of_blocks(&mut sums), 2.0);
    }
}
