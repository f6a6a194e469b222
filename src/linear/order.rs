//! The canonical order of summation, on the CPU. The documentation of the parent module defines it.

use std::ops::Range;

pub(super) use crate::numerics::sum::{BLOCK, sum, tree};

/// The number of partial sums of a prediction.
pub(super) const LANES: usize = 32;
/// The number of partial sums of a gradient over the rows of a batch.
pub(super) const RUNS: usize = 32;

/// The prediction for one row; `parameters` are the weights, followed by the bias.
#[inline(always)]
pub(super) fn predict(row: &[f32], parameters: &[f32]) -> f32 {
    let [prediction] = predict_rows([row], parameters);
    prediction
}

/// The predictions for rows of equal length. Several rows at once keep more loads in flight.
#[inline(always)]
pub(super) fn predict_rows<const N: usize>(rows: [&[f32]; N], parameters: &[f32]) -> [f32; N] {
    let (weights, bias) = parameters.split_at(parameters.len() - 1);
    let (weight_groups, weight_rest) = weights.as_chunks::<LANES>();
    let lanes = products(rows.map(|row| row.as_chunks::<LANES>().0), weight_groups);
    let mut predictions = [0.0; N];
    for ((prediction, row), mut lanes) in predictions.iter_mut().zip(rows).zip(lanes) {
        let row_rest = row.as_chunks::<LANES>().1;
        for ((lane, x), w) in lanes.iter_mut().zip(row_rest).zip(weight_rest) {
            *lane += x * w;
        }
        lanes[weight_rest.len()] += bias[0];
        *prediction = tree(lanes);
    }
    predictions
}

/// The partial sums over whole groups of columns. A function of its own, so that the sums stay in
/// registers: only loops of constant length index them.
#[inline(always)]
fn products<const N: usize>(
    rows: [&[[f32; LANES]]; N],
    weights: &[[f32; LANES]],
) -> [[f32; LANES]; N] {
    let mut lanes = [[0.0_f32; LANES]; N];
    let rows = rows.map(|row| &row[..weights.len()]);
    for (group, w) in weights.iter().enumerate() {
        for n in 0..N {
            let x = &rows[n][group];
            for lane in 0..LANES {
                lanes[n][lane] += x[lane] * w[lane];
            }
        }
    }
    lanes
}

/// The number of rows in a run, for a batch of `rows` rows.
pub(super) fn run_length(rows: usize) -> usize {
    rows.div_ceil(RUNS)
}

/// The rows of run number `run`, as positions in a batch of `rows` rows; empty if no rows are left.
pub(super) fn run_rows(run: usize, rows: usize) -> Range<usize> {
    let length = run_length(rows);
    (run * length).min(rows)..((run + 1) * length).min(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2^24 + 1 rounds back to 2^24, so the result shows in which order the terms were added.
    const BIG: f32 = 16_777_216.0;

    #[test]
    fn columns_32_apart_share_a_partial_sum() {
        let mut row = vec![0.0; 40];
        (row[3], row[35], row[4]) = (BIG, -BIG, 1.0);
        let mut parameters = vec![1.0; 41];
        parameters[40] = 0.25;
        // Columns 3 and 35 cancel in lane 3 before anything else is added.
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
}
