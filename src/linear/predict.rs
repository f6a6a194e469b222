//! Predictions of a model.

use ndarray::ArrayView2;

use super::errors::{TrainError, check_columns};
use super::examples::Data;
use super::memory;
use super::model::LinearModel;
use super::trainer::Engine;
use super::{cpu, gpu};
use crate::data::{Dataset, SparseDataset};
use crate::gpu::Wait;

impl LinearModel {
    /// The model's prediction for each row, computed on the CPU without a copy of the data. Targets
    /// are ignored. [`predict`] and [`predict_sparse`] run on either engine.
    ///
    /// # Errors
    /// [`TrainError::Columns`] if the number of columns is not the model's.
    pub fn predict<'a>(&self, data: impl Into<Data<'a>>) -> Result<Vec<f32>, TrainError> {
        let data = data.into();
        check_columns(data.feature_count(), self.weights.len())?;
        cpu::predictions(data, self)
    }
}

/// The model's prediction for each row of `features`.
///
/// # Errors
/// [`TrainError`] if the number of columns is not the model's, or the device fails.
pub async fn predict(
    engine: Engine<'_>,
    model: &LinearModel,
    features: ArrayView2<'_, f32>,
) -> Result<Vec<f32>, TrainError> {
    predict_features(engine, model, features, Wait::Yield).await
}

/// [`predict`], blocking the thread.
///
/// # Errors
/// As [`predict`].
#[cfg(not(target_arch = "wasm32"))]
pub fn predict_blocking(
    engine: Engine<'_>,
    model: &LinearModel,
    features: ArrayView2<'_, f32>,
) -> Result<Vec<f32>, TrainError> {
    pollster::block_on(predict_features(engine, model, features, Wait::Block))
}

/// The model's prediction for each row of sparse features. Targets are ignored.
///
/// # Errors
/// As [`predict`].
pub async fn predict_sparse(
    engine: Engine<'_>,
    model: &LinearModel,
    data: &SparseDataset,
) -> Result<Vec<f32>, TrainError> {
    predict_data(engine, model, Data::Sparse(data), Wait::Yield).await
}

/// [`predict_sparse`], blocking the thread.
///
/// # Errors
/// As [`predict`].
#[cfg(not(target_arch = "wasm32"))]
pub fn predict_sparse_blocking(
    engine: Engine<'_>,
    model: &LinearModel,
    data: &SparseDataset,
) -> Result<Vec<f32>, TrainError> {
    pollster::block_on(predict_data(engine, model, Data::Sparse(data), Wait::Block))
}

async fn predict_features(
    engine: Engine<'_>,
    model: &LinearModel,
    features: ArrayView2<'_, f32>,
    wait: Wait,
) -> Result<Vec<f32>, TrainError> {
    check_columns(features.ncols(), model.weights.len())?;
    if features.nrows() == 0 {
        return Ok(Vec::new());
    }
    memory::check::<f32>(features.len() + features.nrows())?;
    let data = Dataset::without_target(features.to_owned())?;
    predict_data(engine, model, Data::Dense(&data), wait).await
}

async fn predict_data(
    engine: Engine<'_>,
    model: &LinearModel,
    data: Data<'_>,
    wait: Wait,
) -> Result<Vec<f32>, TrainError> {
    check_columns(data.feature_count(), model.weights.len())?;
    match engine {
        Engine::Cpu => cpu::predictions(data, model),
        Engine::Gpu { gpu, precision } => gpu::predictions(gpu, precision, model, data, wait).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
