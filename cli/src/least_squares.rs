//! The best loss that any linear model can have on a dataset, in double precision: what a
//! training run is measured against.

use nalgebra::{DMatrix, DVector};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, s};
use wgpu_optim::data::Dataset;

use crate::error::Error;
use crate::interrupt;

/// The work grows with the square of the features, so wider tables go without.
pub(crate) const MOST_FEATURES: usize = 1024;
/// Rows that are turned into f64 at a time.
const BLOCK_ROWS: usize = 1024;
/// Directions in which correlated columns vary by less than this part do not count: below it
/// is only the rounding of f32 data and of sums.
const RANK_TOLERANCE: f64 = 1e-11;

/// Half the mean squared error of the least-squares fit with a bias; `None` past
/// [`MOST_FEATURES`], or where the numbers are too large to be squared.
pub(crate) fn best_loss(dataset: &Dataset) -> Result<Option<f64>, Error> {
    if dataset.feature_count() > MOST_FEATURES {
        return Ok(None);
    }
    let (features, target) = (dataset.features(), dataset.target());
    let means = column_means(features)?;
    let target_mean = mean(target);
    let mut gram = Array2::<f64>::zeros((features.ncols(), features.ncols()));
    let mut moments = Array1::<f64>::zeros(features.ncols());
    // Centring solves for the bias exactly and keeps the sums small.
    for_blocks(features, target, &means, target_mean, |block, answers| {
        gram += &block.t().dot(block);
        moments += &block.t().dot(answers);
    })?;
    let weights = solve(&gram, &moments);
    let mut squares = 0.0;
    for_blocks(features, target, &means, target_mean, |block, answers| {
        let residual = block.dot(&weights) - answers;
        squares += residual.dot(&residual);
    })?;
    let loss = squares / (2.0 * dataset.rows() as f64);
    Ok(loss.is_finite().then_some(loss))
}

/// Calls `use_block` with each block of rows, less the means.
fn for_blocks(
    features: ArrayView2<'_, f32>,
    target: ArrayView1<'_, f32>,
    means: &Array1<f64>,
    target_mean: f64,
    mut use_block: impl FnMut(&Array2<f64>, &Array1<f64>),
) -> Result<(), Error> {
    for start in (0..features.nrows()).step_by(BLOCK_ROWS) {
        interrupt::check()?;
        let end = (start + BLOCK_ROWS).min(features.nrows());
        let block = features.slice(s![start..end, ..]).mapv(f64::from) - means;
        let answers = target.slice(s![start..end]).mapv(|value| f64::from(value) - target_mean);
        use_block(&block, &answers);
    }
    Ok(())
}

fn column_means(features: ArrayView2<'_, f32>) -> Result<Array1<f64>, Error> {
    let mut sums = Array1::<f64>::zeros(features.ncols());
    for block in features.axis_chunks_iter(Axis(0), BLOCK_ROWS) {
        interrupt::check()?;
        for row in block.rows() {
            sums.zip_mut_with(&row, |sum, &value| *sum += f64::from(value));
        }
    }
    Ok(sums / features.nrows() as f64)
}

fn mean(values: ArrayView1<'_, f32>) -> f64 {
    values.iter().map(|&value| f64::from(value)).sum::<f64>() / values.len() as f64
}

/// Weights that solve `gram * weights = moments`; the shortest ones, in units of the columns'
/// own size, where columns depend on each other.
fn solve(gram: &Array2<f64>, moments: &Array1<f64>) -> Array1<f64> {
    let count = gram.nrows();
    // To unit diagonal, so that a column's units do not decide whether it counts. A constant
    // column is 0 after centring; its weight is 0.
    let sizes: Vec<f64> = gram.diag().iter().map(|&square| square.sqrt()).collect();
    let inverse = |index: usize| if sizes[index] > 0.0 { 1.0 / sizes[index] } else { 0.0 };
    let correlation = DMatrix::from_fn(count, count, |i, j| gram[[i, j]] * inverse(i) * inverse(j));
    let right = DVector::from_fn(count, |i, _| moments[i] * inverse(i));
    let solution = well_conditioned(&correlation, &right)
        .unwrap_or_else(|| pseudo_inverse(correlation, &right));
    Array1::from_shape_fn(count, |index| solution[index] * inverse(index))
}

/// By Cholesky, if every column adds something that the ones before it do not have.
fn well_conditioned(matrix: &DMatrix<f64>, right: &DVector<f64>) -> Option<DVector<f64>> {
    let cholesky = matrix.clone().cholesky()?;
    let smallest = cholesky.l_dirty().diagonal().min();
    (smallest * smallest > RANK_TOLERANCE).then(|| cholesky.solve(right))
}

/// By eigenvectors, leaving out the directions in which nothing varies.
fn pseudo_inverse(matrix: DMatrix<f64>, right: &DVector<f64>) -> DVector<f64> {
    let eigen = matrix.symmetric_eigen();
    let threshold = eigen.eigenvalues.max() * RANK_TOLERANCE;
    let mut along = eigen.eigenvectors.tr_mul(right);
    for (component, &value) in along.iter_mut().zip(&eigen.eigenvalues) {
        *component = if value > threshold { *component / value } else { 0.0 };
    }
    eigen.eigenvectors * along
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn loss(features: Array2<f32>, target: Array1<f32>) -> f64 {
        best_loss(&Dataset::new(features, target).unwrap()).unwrap().unwrap()
    }

    fn assert_close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
    }

    /// Through (0, 0), (1, 2), (2, 1) goes y = 0.5 + 0.5 x, missing by -0.5, 1, -0.5: the
    /// squares sum to 1.5, and half their mean is 0.25.
    #[test]
    fn a_line_through_three_points() {
        assert_close(loss(array![[0.0], [1.0], [2.0]], array![0.0, 2.0, 1.0]), 0.25);
    }

    /// A constant column and a copy in other units add nothing that the first does not have.
    #[test]
    fn rank_deficient_columns_change_nothing() {
        let features = array![[0.0, 7.0, 0.0], [1.0, 7.0, 1e6], [2.0, 7.0, 2e6]];
        assert_close(loss(features, array![0.0, 2.0, 1.0]), 0.25);
    }

    #[test]
    fn constant_columns_alone_leave_the_variance() {
        // The mean 1 is missed by -1, 1, 0: half the mean square is 1/3.
        assert_close(loss(array![[5.0], [5.0], [5.0]], array![0.0, 2.0, 1.0]), 1.0 / 3.0);
    }

    #[test]
    fn more_columns_than_rows_fit_exactly() {
        assert_close(loss(array![[1.0, 2.0, 0.5], [0.0, 1.0, 4.0]], array![3.0, -1.0]), 0.0);
    }

    /// The residual must not drown in the columns' offset: the same line as above, far away.
    #[test]
    fn a_large_offset_does_not_matter() {
        let features = array![[1_000_000.0], [1_000_001.0], [1_000_002.0]];
        assert_close(loss(features, array![0.0, 2.0, 1.0]), 0.25);
    }

    /// Blocks of rows add up: 3000 rows of the same three points.
    #[test]
    fn several_blocks_of_rows() {
        let features = Array2::from_shape_fn((3000, 1), |(row, _)| (row % 3) as f32);
        let target = Array1::from_shape_fn(3000, |row| [0.0, 2.0, 1.0][row % 3]);
        assert_close(loss(features, target), 0.25);
    }

    #[test]
    fn wide_tables_go_without() {
        let features = Array2::zeros((2, MOST_FEATURES + 1));
        let dataset = Dataset::new(features, array![1.0, 2.0]).unwrap();
        assert!(best_loss(&dataset).unwrap().is_none());
    }
}
