//! How well the weights of rare and of frequent features are learned.

use crate::training::parts::Rows;

/// Features that occur about equally often.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Group {
    /// How many features there are.
    pub(super) features: usize,
    /// The geometric mean of the number of rows in which each occurs, for a logarithmic axis.
    pub(super) occurrences: f64,
    /// The mean absolute error of their weights over their mean absolute true weight.
    pub(super) error: f64,
}

/// The errors of the direction of `weights`, in groups of features that occur from `2^k` to less than
/// `2^(k + 1)` times, in ascending order. Features that never occur are left out.
pub(super) fn groups(counts: &[usize], weights: &[f32], truth: &[f32]) -> Vec<Group> {
    let (weights, truth) = (direction(weights), direction(truth));
    let highest = counts.iter().filter_map(|count| count.checked_ilog2()).max();
    let mut groups = Vec::new();
    for power in 0..=highest.unwrap_or(0) {
        let inside = |index: &usize| counts[*index].checked_ilog2() == Some(power);
        let members: Vec<usize> = (0..counts.len()).filter(inside).collect();
        let mean = |value: &dyn Fn(usize) -> f64| {
            members.iter().map(|&index| value(index)).sum::<f64>() / members.len() as f64
        };
        let size = mean(&|index| truth[index].abs());
        if members.is_empty() || size == 0.0 {
            continue;
        }
        groups.push(Group {
            features: members.len(),
            occurrences: mean(&|index| (counts[index] as f64).ln()).exp(),
            error: mean(&|index| (weights[index] - truth[index]).abs()) / size,
        });
    }
    groups
}

/// In how many rows each feature is not 0.
pub(super) fn occurrences(rows: &Rows) -> Vec<usize> {
    let mut counts = vec![0; rows.data().feature_count()];
    match rows {
        Rows::Dense(data) => {
            for (count, column) in counts.iter_mut().zip(data.features().columns()) {
                *count = column.iter().filter(|&&value| value != 0.0).count();
            }
        }
        Rows::Sparse(data) => {
            for row in 0..data.rows() {
                for &column in data.row(row).0 {
                    counts[column as usize] += 1;
                }
            }
        }
    }
    counts
}

/// The vector of length 1 in the same direction; 0 for a vector of zeros.
fn direction(weights: &[f32]) -> Vec<f64> {
    let square: f64 = weights.iter().map(|&weight| f64::from(weight).powi(2)).sum();
    let length = if square > 0.0 { square.sqrt() } else { 1.0 };
    weights.iter().map(|&weight| f64::from(weight) / length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use wgpu_optim::data::{Dataset, SparseDataset};

    /// Directions (0.6, 0, 0.8, 0) and (0, 0.6, 0.8, 0); features 0 and 1 occur 4 and 7 times: errors
    /// 0.6 and 0.6 over true weights 0.6 and 0, or 1.2 / 0.6. Feature 3 is never seen.
    #[test]
    fn errors_are_of_directions_over_groups() {
        let groups = groups(&[4, 7, 9, 0], &[0.0, 3.0, 4.0, 0.0], &[6.0, 0.0, 8.0, 5e-9]);
        assert_eq!(groups.len(), 2);
        assert_eq!((groups[0].features, groups[1].features), (2, 1));
        assert!((groups[0].occurrences - 28f64.sqrt()).abs() < 1e-12, "{groups:?}");
        assert!((groups[0].error - 2.0).abs() < 1e-6, "{groups:?}");
        assert!(groups[1].error.abs() < 1e-6, "{groups:?}");
    }

    #[test]
    fn a_feature_occurs_where_it_is_not_zero() {
        let features = array![[0.0, 1.0], [2.0, -1.0], [0.0, 3.0]];
        let dense = Dataset::new(features, array![0.0, 0.0, 0.0]).unwrap();
        assert_eq!(occurrences(&Rows::Dense(dense)), [1, 3]);
        let (starts, entries, values) = (vec![0, 1, 3, 4], vec![1, 0, 1, 1], vec![1.0; 4]);
        let sparse = SparseDataset::new(3, starts, entries, values, array![0.0, 0.0, 0.0]).unwrap();
        assert_eq!(occurrences(&Rows::Sparse(sparse)), [1, 3, 0]);
    }

    #[test]
    fn nothing_learned_is_an_error_of_one() {
        let groups = groups(&[1, 2, 3], &[0.0; 3], &[1.0, -2.0, 3.0]);
        assert!(groups.iter().all(|group| group.error == 1.0), "{groups:?}");
    }
}
