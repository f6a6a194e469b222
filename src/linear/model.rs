//! What training makes.

use super::errors::TrainError;
use super::examples::Data;

/// A linear model: `y = sum(weights[j] * x[j]) + bias`.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearModel {
    /// One weight for each feature.
    pub weights: Vec<f32>,
    /// The constant term.
    pub bias: f32,
}

impl LinearModel {
    /// The model's prediction for each row, by the CPU engine and without a copy of the data, whose
    /// targets are not looked at. [`super::predict`] and [`super::predict_sparse`] take either engine.
    ///
    /// # Errors
    /// [`TrainError::Columns`] if the columns are not the model's.
    pub fn predict<'a>(&self, data: impl Into<Data<'a>>) -> Result<Vec<f32>, TrainError> {
        let data = data.into();
        let (found, expected) = (data.feature_count(), self.weights.len());
        if found != expected {
            return Err(TrainError::Columns { found, expected });
        }
        let parameters = self.parameters();
        Ok(match data {
            Data::Dense(data) => super::cpu::predictions(data, &parameters),
            Data::Sparse(data) => super::sparse::predictions(data, &parameters),
        })
    }

    /// Weights, and the bias behind them: the vector that an optimizer steps.
    pub(super) fn parameters(&self) -> Vec<f32> {
        self.weights.iter().copied().chain([self.bias]).collect()
    }

    /// The inverse of [`LinearModel::parameters`].
    pub(super) fn from_parameters(mut parameters: Vec<f32>) -> Self {
        let bias = parameters.pop().unwrap_or(0.0);
        Self { weights: parameters, bias }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Dataset, SparseDataset};
    use ndarray::array;

    #[test]
    fn the_same_rows_dense_and_sparse() {
        let model = LinearModel { weights: vec![2.0, -1.0, 0.5], bias: 0.25 };
        let dense =
            Dataset::new(array![[1.0, 0.0, 4.0], [0.0, 0.0, 0.0]], array![9.0, 9.0]).unwrap();
        let (starts, entries, values) = (vec![0, 2, 2], vec![0, 2], vec![1.0, 4.0]);
        let sparse = SparseDataset::new(3, starts, entries, values, array![9.0, 9.0]).unwrap();
        assert_eq!(model.predict(&dense), Ok(vec![4.25, 0.25]));
        assert_eq!(model.predict(&sparse), Ok(vec![4.25, 0.25]));
        let narrow = Dataset::new(array![[1.0]], array![1.0]).unwrap();
        assert_eq!(model.predict(&narrow), Err(TrainError::Columns { found: 1, expected: 3 }));
    }
}
