//! The scaling of columns to mean 0 and deviation 1, and the way back to the file's units.

use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};
use wgpu_optim::data::ColumnScale;
use wgpu_optim::linear::LinearModel;

use crate::input::options::Standardize;

/// What was done to each column. A model file keeps this as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scaling {
    /// One for each feature, in the model's order.
    pub(crate) features: Vec<Scale>,
    pub(crate) target: Scale,
}

/// [`ColumnScale`], as it is written to files.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scale {
    pub(crate) mean: f64,
    pub(crate) deviation: f64,
}

impl From<ColumnScale> for Scale {
    fn from(scale: ColumnScale) -> Self {
        Self { mean: scale.mean, deviation: scale.deviation }
    }
}

impl From<Scale> for ColumnScale {
    fn from(scale: Scale) -> Self {
        Self { mean: scale.mean, deviation: scale.deviation }
    }
}

impl Scaling {
    /// Scales the columns in place, over all rows.
    pub(crate) fn standardize(
        which: Standardize,
        features: &mut Array2<f32>,
        target: &mut Array1<f32>,
    ) -> Self {
        let identity = Scale::from(ColumnScale::IDENTITY);
        let mut scaling = Self { features: vec![identity; features.ncols()], target: identity };
        if which != Standardize::None {
            for (mut column, kept) in features.columns_mut().into_iter().zip(&mut scaling.features)
            {
                let scale = ColumnScale::of(column.view());
                scale.standardize(column.view_mut());
                *kept = scale.into();
            }
        }
        if which == Standardize::All {
            let scale = ColumnScale::of(target.view());
            scale.standardize(target.view_mut());
            scaling.target = scale.into();
        }
        scaling
    }

    /// No scaling, as for sparse features.
    pub(crate) fn none() -> Self {
        Self { features: Vec::new(), target: ColumnScale::IDENTITY.into() }
    }

    /// Applies the scaling to the features of new rows.
    pub(crate) fn apply(&self, features: &mut Array2<f32>) {
        for (column, &scale) in features.columns_mut().into_iter().zip(&self.features) {
            if scale != Scale::from(ColumnScale::IDENTITY) {
                ColumnScale::from(scale).standardize(column);
            }
        }
    }

    /// Applies the scaling to new rows whose targets are known.
    pub(crate) fn apply_to_rows(&self, features: &mut Array2<f32>, target: &mut Array1<f32>) {
        self.apply(features);
        ColumnScale::from(self.target).standardize(target.view_mut());
    }

    /// Whether all numbers are ones that a column can have.
    pub(crate) fn is_usable(&self) -> bool {
        self.features.iter().chain([&self.target]).all(|scale| {
            scale.mean.is_finite() && scale.deviation.is_finite() && scale.deviation >= 0.0
        })
    }

    /// Whether the target was left as it is.
    pub(crate) fn target_is_identity(&self) -> bool {
        self.target == Scale::from(ColumnScale::IDENTITY)
    }

    /// Whether any column was changed at all.
    pub(crate) fn is_identity(&self) -> bool {
        let identity = Scale::from(ColumnScale::IDENTITY);
        self.target_is_identity() && self.features.iter().all(|&scale| scale == identity)
    }

    /// The weights and the bias for rows in the file's units. With `x' = (x - m) / d` and
    /// `y = M + D y'`, a weight is `D w / d`, and the bias is `M + D b` minus the sum of weights times
    /// means. A constant column has weight 0.
    pub(crate) fn in_file_units(&self, model: &LinearModel) -> (Vec<f64>, f64) {
        let mut bias = self.target.mean + self.target.deviation * f64::from(model.bias);
        let mut weights = Vec::with_capacity(model.weights.len());
        for (&weight, scale) in model.weights.iter().zip(&self.features) {
            let constant = scale.deviation == 0.0;
            let weight = if constant {
                0.0
            } else {
                self.target.deviation * f64::from(weight) / scale.deviation
            };
            bias -= weight * scale.mean;
            weights.push(weight);
        }
        (weights, bias)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    /// 1, 3 has mean 2 and population deviation 1; 10, 30 has mean 20 and deviation 10.
    #[test]
    fn every_column_is_scaled_by_its_population_deviation() {
        let mut features = array![[1.0, 7.0], [3.0, 7.0]];
        let mut target = array![10.0, 30.0];
        let scaling = Scaling::standardize(Standardize::All, &mut features, &mut target);
        assert_eq!(features, array![[-1.0, 0.0], [1.0, 0.0]]);
        assert_eq!(target, array![-1.0, 1.0]);
        assert_eq!(scaling.features[0], Scale { mean: 2.0, deviation: 1.0 });
        assert_eq!(scaling.features[1], Scale { mean: 7.0, deviation: 0.0 });
        assert_eq!(scaling.target, Scale { mean: 20.0, deviation: 10.0 });
    }

    #[test]
    fn features_only_and_none() {
        for which in [Standardize::Features, Standardize::None] {
            let mut features = array![[1.0], [3.0]];
            let mut target = array![10.0, 30.0];
            let scaling = Scaling::standardize(which, &mut features, &mut target);
            assert_eq!(target, array![10.0, 30.0]);
            assert_eq!(features[[0, 0]], if which == Standardize::None { 1.0 } else { -1.0 });
            assert_eq!(scaling.is_identity(), which == Standardize::None);
        }
    }

    /// y' = 0.5 x' + 0.1 with x' = (x - 2) / 4 and y = 20 + 10 y':
    /// y = 20 + 5 (x - 2) / 4 + 1 = 18.5 + 1.25 x. The constant column drops out.
    #[test]
    fn weights_in_the_files_units() {
        let constant = Scale { mean: 7.0, deviation: 0.0 };
        let scaling = Scaling {
            features: vec![Scale { mean: 2.0, deviation: 4.0 }, constant],
            target: Scale { mean: 20.0, deviation: 10.0 },
        };
        let model = LinearModel { weights: vec![0.5, 0.3], bias: 0.1 };
        let (weights, bias) = scaling.in_file_units(&model);
        assert_eq!(weights, [1.25, 0.0]);
        assert!((bias - 18.5).abs() < 1e-6, "{bias}");
    }
}
