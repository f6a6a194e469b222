//! The canonical order of summation, on the CPU. The module's documentation defines it.

use std::ops::Range;

/// Partial sums of a prediction.
pub(super) const LANES: usize = 32;
/// Partial sums of a gradient over the rows of a batch.
pub(super) const RUNS: usize = 32;
/// Values in a block of a sum of squares.
pub(super) const BLOCK: usize = 4096;
/// Partial sums of a block.
const BLOCK_LANES: usize = 256;

/// A tree over partial sums; their number is a power of two.
#[inline(always)]
pub(super) fn tree<const N: usize>(mut sums: [f32; N]) -> f32 {
    let mut half = N / 2;
    while half > 0 {
        for index in 0..half {
            sums[index] += sums[index + half];
        }
        half /= 2;
    }
    sums[0]
}

/// The prediction for one row; `parameters` are the weights and, behind them, the bias.
#[inline(always)]
pub(super) fn predict(row: &[f32], parameters: &[f32]) -> f32 {
    let (weights, bias) = parameters.split_at(row.len());
    let (row_groups, row_rest) = row.as_chunks::<LANES>();
    let (weight_groups, weight_rest) = weights.as_chunks::<LANES>();
    let mut lanes = products(row_groups, weight_groups);
    for ((lane, x), w) in lanes.iter_mut().zip(row_rest).zip(weight_rest) {
        *lane += x * w;
    }
    lanes[row_rest.len()] += bias[0];
    tree(lanes)
}

/// The partial sums over whole groups of columns. On its own, so that they stay in registers:
/// nothing here is indexed by a variable.
#[inline(always)]
fn products(row: &[[f32; LANES]], weights: &[[f32; LANES]]) -> [f32; LANES] {
    let mut lanes = [0.0_f32; LANES];
    for (x, w) in row.iter().zip(weights) {
        for lane in 0..LANES {
            lanes[lane] += x[lane] * w[lane];
        }
    }
    lanes
}

/// How many rows of a batch of `rows` make one run.
pub(super) fn run_length(rows: usize) -> usize {
    rows.div_ceil(RUNS)
}

/// The rows of run number `run`, as positions in a batch of `rows`; empty if there are none left.
pub(super) fn run_rows(run: usize, rows: usize) -> Range<usize> {
    let length = run_length(rows);
    (run * length).min(rows)..((run + 1) * length).min(rows)
}

/// The sum of the squares of `values`.
pub(super) fn sum_of_squares(values: &[f32]) -> f32 {
    let mut sums: Vec<f32> =
        values.chunks(BLOCK).map(|block| block_sum(block, |value| value * value)).collect();
    while sums.len() > 1 {
        sums = sums.chunks(BLOCK).map(|block| block_sum(block, |value| value)).collect();
    }
    sums.first().copied().unwrap_or(0.0)
}

#[inline(always)]
fn block_sum(block: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; BLOCK_LANES];
    for group in block.chunks(BLOCK_LANES) {
        for (lane, &value) in lanes.iter_mut().zip(group) {
            *lane += term(value);
        }
    }
    tree(lanes)
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn columns_32_apart_share_a_partial_sum() {
        let mut row = vec![0.0; 40];
        (row[3], row[35], row[4]) = (BIG, -BIG, 1.0);
        let mut parameters = vec![1.0; 41];
        parameters[40] = 0.25;
        // Column 3 and 35 cancel in lane 3 before anything else is added.
        assert_eq!(predict(&row, &parameters), 1.25);
        // Columns 3 and 4 meet only in the tree, where 1 is lost and 1.25 rounds up to 2.
        (row[35], row[36]) = (0.0, 0.0);
        assert_eq!(predict(&row, &parameters), BIG + 2.0);
        parameters[40] = 0.0;
        assert_eq!(predict(&row, &parameters), BIG);
    }

    #[test]
    fn runs_cut_a_batch_into_at_most_32() {
        assert_eq!(
            (0..4).map(|run| run_rows(run, 3)).collect::<Vec<_>>(),
            [0..1, 1..2, 2..3, 3..3]
        );
        assert_eq!((run_rows(0, 1500), run_rows(31, 1500)), (0..47, 1457..1500));
        assert_eq!((run_rows(24, 49), run_rows(25, 49)), (48..49, 49..49));
    }

    #[test]
    fn squares_are_summed_block_by_block() {
        // 5000 values: lane 0 of block 0 holds values 0, 256, ...; the second block has its own.
        let mut values = vec![0.0; 5000];
        (values[0], values[256], values[4096]) = (4096.0, 1.0, 1.0);
        // In block 0, 4096^2 = BIG swallows the 1; the other 1 is in block 1, and swallowed too.
        assert_eq!(sum_of_squares(&values), BIG);
        values[1] = 1.0;
        values[256] = 0.0;
        (values[0], values[1], values[4096]) = (0.0, 1.0, 4.0);
        assert_eq!(sum_of_squares(&values), 17.0);
        assert_eq!(sum_of_squares(&[]), 0.0);
    }
}
