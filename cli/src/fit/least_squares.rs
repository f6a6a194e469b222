//! The lowest loss that any linear model can have on a dataset, in double precision, to compare a
//! training run with.

use nalgebra::{DMatrix, DVector};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};
use wgpu_optim::data::Dataset;

use crate::interrupt::{self, Interrupted};

/// The work grows with the square of the number of features, so wider tables are not solved.
pub(super) const MAX_FEATURES: usize = 1024;
/// Rows that are converted to f64 at a time.
const BLOCK_ROWS: usize = 1024;
/// A fixed number of parts, so that the last digit does not depend on the number of cores.
const STRIPES: usize = 8;
/// The stack of a thread, and the initial memory of its allocator.
const THREAD_BYTES: usize = (2 << 20) + (1 << 18);
/// Directions in which correlated columns vary by less than this share are ignored: less is only
/// rounding of f32 data and of sums.
const RANK_TOLERANCE: f64 = 1e-11;

/// Half the mean squared error of the least-squares fit with a bias. `None` for more than
/// [`MAX_FEATURES`] features, or if the numbers are too large to be squared.
pub(super) fn best_loss(dataset: &Dataset) -> Result<Option<f64>, Interrupted> {
    if dataset.feature_count() > MAX_FEATURES {
        return Ok(None);
    }
    let (features, target) = (dataset.features(), dataset.target());
    // Centring solves for the bias exactly and keeps the sums small.
    let means = Means { features: column_means(features)?, target: mean(target) };
    let count = features.ncols();
    let none = || (Array2::<f64>::zeros((count, count)), Array1::<f64>::zeros(count));
    let (gram, moments) =
        sum_over_rows(dataset, &means, none, |(gram, moments), block, answers| {
            *gram += &block.t().dot(block);
            *moments += &block.t().dot(answers);
        })?
        .into_iter()
        .fold(none(), |sum, (gram, moments)| (sum.0 + gram, sum.1 + moments));
    let weights = solve(&gram, &moments);
    let squares: f64 = sum_over_rows(
        dataset,
        &means,
        || 0.0,
        |squares, block, answers| {
            let residual = block.dot(&weights) - answers;
            *squares += residual.dot(&residual);
        },
    )?
    .into_iter()
    .sum();
    let loss = squares / (2.0 * dataset.rows() as f64);
    Ok(loss.is_finite().then_some(loss))
}

/// The approximate memory of [`best_loss`]: for each stripe a thread, a block of rows, its sum and
/// a term to add; and the matrices of the solution.
pub(crate) fn scratch_bytes(rows: usize, features: usize) -> usize {
    if features > MAX_FEATURES {
        return 0;
    }
    let stripes = rows.div_ceil(BLOCK_ROWS).min(STRIPES);
    let (columns, matrices) = (features + 1, 2 * stripes + 4);
    let numbers = columns * (2 * stripes * rows.min(BLOCK_ROWS) + matrices * columns);
    size_of::<f64>() * numbers + stripes * THREAD_BYTES
}

/// The means, which are subtracted from every row.
struct Means {
    features: Array1<f64>,
    target: f64,
}

/// Subtracts the means from all rows and adds them up, block by block: one sum for each of the
/// [`STRIPES`], each on its own thread, starting from `none` and in the order of the rows.
fn sum_over_rows<S: Send>(
    dataset: &Dataset,
    means: &Means,
    none: impl Fn() -> S + Sync,
    add: impl Fn(&mut S, &Array2<f64>, &Array1<f64>) + Sync,
) -> Result<Vec<S>, Interrupted> {
    let (features, target) = (dataset.features(), dataset.target());
    let stripe = features.nrows().div_ceil(STRIPES).max(BLOCK_ROWS);
    let sum_stripe = &|features: ArrayView2<'_, f32>, target: ArrayView1<'_, f32>| {
        let mut sum = none();
        let blocks = features.axis_chunks_iter(Axis(0), BLOCK_ROWS);
        for (block, answers) in blocks.zip(target.axis_chunks_iter(Axis(0), BLOCK_ROWS)) {
            interrupt::check()?;
            let block = block.mapv(f64::from) - &means.features;
            let answers = answers.mapv(|value| f64::from(value) - means.target);
            add(&mut sum, &block, &answers);
        }
        Ok(sum)
    };
    let stripes = features.axis_chunks_iter(Axis(0), stripe);
    let stripes = stripes.zip(target.axis_chunks_iter(Axis(0), stripe));
    std::thread::scope(|scope| {
        let start = |(rows, answers)| {
            let thread = std::thread::Builder::new();
            let thread = thread.spawn_scoped(scope, move || sum_stripe(rows, answers));
            // If no thread can be started, this one does the work.
            thread.map_err(|_| sum_stripe(rows, answers))
        };
        let stripes: Vec<_> = stripes.map(start).collect();
        let join = |stripe: Result<std::thread::ScopedJoinHandle<'_, _>, _>| match stripe {
            Err(sum) => sum,
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        };
        stripes.into_iter().map(join).collect()
    })
}

fn column_means(features: ArrayView2<'_, f32>) -> Result<Array1<f64>, Interrupted> {
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

/// Weights that solve `gram * weights = moments`. If columns are linearly dependent, these are the
/// solution of minimum norm, with each column scaled to length 1.
fn solve(gram: &Array2<f64>, moments: &Array1<f64>) -> Array1<f64> {
    let count = gram.nrows();
    // Scaled to a diagonal of 1, so that a column's units do not decide whether it counts. A
    // constant column is 0 after centring; its weight is 0.
    let sizes: Vec<f64> = gram.diag().iter().map(|&square| square.sqrt()).collect();
    let inverse = |index: usize| if sizes[index] > 0.0 { 1.0 / sizes[index] } else { 0.0 };
    let correlation = DMatrix::from_fn(count, count, |i, j| gram[[i, j]] * inverse(i) * inverse(j));
    let right = DVector::from_fn(count, |i, _| moments[i] * inverse(i));
    let solution = well_conditioned(&correlation, &right)
        .unwrap_or_else(|| pseudo_inverse(correlation, &right));
    Array1::from_shape_fn(count, |index| solution[index] * inverse(index))
}

/// Solves by Cholesky decomposition, if the columns are linearly independent.
fn well_conditioned(matrix: &DMatrix<f64>, right: &DVector<f64>) -> Option<DVector<f64>> {
    let cholesky = matrix.clone().cholesky()?;
    let smallest = cholesky.l_dirty().diagonal().min();
    (smallest * smallest > RANK_TOLERANCE).then(|| cholesky.solve(right))
}

/// Solves by eigendecomposition, without the directions in which nothing varies.
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

    /// The least-squares line through (0, 0), (1, 2), (2, 1) is y = 0.5 + 0.5 x, with residuals
    /// -0.5, 1, -0.5: the squares sum to 1.5, and half their mean is 0.25.
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
        // The residuals from the mean 1 are -1, 1, 0: half the mean square is 1/3.
        assert_close(loss(array![[5.0], [5.0], [5.0]], array![0.0, 2.0, 1.0]), 1.0 / 3.0);
    }

    #[test]
    fn more_columns_than_rows_fit_exactly() {
        assert_close(loss(array![[1.0, 2.0, 0.5], [0.0, 1.0, 4.0]], array![3.0, -1.0]), 0.0);
    }

    /// A large offset of the columns must not hide the residuals: the same line as above, far away.
    #[test]
    fn a_large_offset_does_not_matter() {
        let features = array![[1_000_000.0], [1_000_001.0], [1_000_002.0]];
        assert_close(loss(features, array![0.0, 2.0, 1.0]), 0.25);
    }

    /// Stripes and blocks of rows add up: 30,000 rows of the same three points.
    #[test]
    fn several_blocks_of_rows() {
        let features = Array2::from_shape_fn((30_000, 1), |(row, _)| (row % 3) as f32);
        let target = Array1::from_shape_fn(30_000, |row| [0.0, 2.0, 1.0][row % 3]);
        assert_close(loss(features, target), 0.25);
    }

    #[test]
    fn wide_tables_go_without() {
        let features = Array2::zeros((2, MAX_FEATURES + 1));
        let dataset = Dataset::new(features, array![1.0, 2.0]).unwrap();
        assert!(best_loss(&dataset).unwrap().is_none());
    }
}
