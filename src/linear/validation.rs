//! Validation rows, and early stopping by their loss.

use super::cpu::predictions;
use super::errors::{Result, TrainError, check_columns};
use super::examples::Data;
use super::model::LinearModel;
use super::training::{EarlyStop, LossPoint, Training};

/// The validation rows of a run, and their losses so far.
pub(super) struct Validation<'a> {
    data: Data<'a>,
    training: &'a Training,
    pub(super) losses: Vec<LossPoint>,
    /// The best model so far, its loss and its epoch.
    best: Option<(LinearModel, f64, u32)>,
}

impl<'a> Validation<'a> {
    pub(super) fn new(
        data: Option<Data<'a>>,
        columns: usize,
        training: &'a Training,
    ) -> Result<Option<Self>> {
        let Some(data) = data else {
            return match training.early_stop {
                Some(_) => Err(TrainError::NoValidation),
                None => Ok(None),
            };
        };
        check_columns(data.feature_count(), columns)?;
        Ok(Some(Self { data, training, losses: Vec::new(), best: None }))
    }

    /// Measures, on the CPU, the loss of the model after `epochs` epochs. Returns whether to stop.
    pub(super) fn add(&mut self, model: LinearModel, epochs: u32) -> Result<bool> {
        let kind = self.training.loss;
        let term = |(p, &y): (f32, &f32)| f64::from(kind.term(p, y));
        let predicted = predictions(self.data, &model)?;
        let sum = predicted.into_iter().zip(self.data.target()).map(term).sum();
        let loss = kind.mean(sum, self.data.rows() as f64);
        self.losses.push(LossPoint { epoch: f64::from(epochs), loss });
        let Some(EarlyStop { patience, least_improvement }) = self.training.early_stop else {
            return Ok(false);
        };
        Ok(match &self.best {
            Some((_, best, since)) if loss.is_nan() || loss >= best - least_improvement => {
                epochs - since >= patience
            }
            _ => {
                self.best = Some((model, loss, epochs));
                false
            }
        })
    }

    /// The best model, if early stopping is on and the model is not that of the last epoch.
    pub(super) fn best(&self, epochs: u32) -> Option<&LinearModel> {
        self.best.as_ref().filter(|(_, _, epoch)| *epoch != epochs).map(|(model, _, _)| model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Dataset;
    use ndarray::array;

    /// One row with target 0 and a feature of 0: the loss is half the bias squared.
    #[test]
    fn patience_is_counted_from_the_best_epoch() {
        let data = Dataset::new(array![[0.0]], array![0.0]).unwrap();
        let stop = EarlyStop { patience: 2, least_improvement: 0.1 };
        let training = Training { early_stop: Some(stop), ..Training::default() };
        let mut validation =
            Validation::new(Some(Data::Dense(&data)), 1, &training).unwrap().unwrap();
        let mut add = |bias: f32, epoch| {
            validation.add(LinearModel { weights: vec![0.0], bias }, epoch).unwrap()
        };
        // 2.0, then 0.5; 0.5 - 0.405 is less than 0.1, so epochs 3 and 4 bring no improvement.
        let stops = [(2.0, 1), (1.0, 2), (0.9, 3), (1.5, 4)].map(|(bias, epoch)| add(bias, epoch));
        assert_eq!(stops, [false, false, false, true]);
        assert_eq!(validation.best(4).map(|model| model.bias), Some(1.0));
        assert_eq!(validation.best(2), None);
        let losses: Vec<_> = validation.losses.iter().map(|point| point.loss).collect();
        assert_eq!((losses[0], losses[1]), (2.0, 0.5));
    }

    #[test]
    fn validation_without_matching_rows_is_refused() {
        let data = Dataset::new(array![[0.0]], array![0.0]).unwrap();
        let refused = |data, columns, early_stop| {
            let training = Training { early_stop, ..Training::default() };
            Validation::new(data, columns, &training).err()
        };
        let data = Some(Data::Dense(&data));
        assert_eq!(refused(None, 1, Some(EarlyStop::default())), Some(TrainError::NoValidation));
        let columns = TrainError::Columns { found: 1, expected: 2 };
        assert_eq!(refused(data, 2, None), Some(columns));
        assert_eq!(refused(None, 1, None), None);
    }
}
