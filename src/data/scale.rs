//! Standardization of a column.

use ndarray::{ArrayView1, ArrayViewMut1};

/// The mean and standard deviation of a column, which standardize it to mean 0 and deviation 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ColumnScale {
    /// The mean, in the column's units.
    pub mean: f64,
    /// The population standard deviation, in the column's units; 0 for a constant column.
    pub deviation: f64,
}

impl ColumnScale {
    /// Leaves a column unchanged.
    pub const IDENTITY: Self = Self { mean: 0.0, deviation: 1.0 };

    /// The scale of a column of finite values, computed in double precision, in two passes.
    #[must_use]
    pub fn of(values: ArrayView1<'_, f32>) -> Self {
        let Some(&first) = values.first() else { return Self::IDENTITY };
        if values.iter().all(|&value| value == first) {
            // The computed mean of many equal numbers need not equal them.
            return Self { mean: f64::from(first), deviation: 0.0 };
        }
        let count = values.len() as f64;
        let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
        let squares = values.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>();
        Self { mean, deviation: (squares / count).sqrt() }
    }

    /// Whether all values of the column were equal.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        self.deviation == 0.0
    }

    /// Replaces each value by its distance from the mean in standard deviations, or by 0 in a
    /// constant column.
    pub fn standardize(&self, mut values: ArrayViewMut1<'_, f32>) {
        values.map_inplace(|value| {
            let distance = f64::from(*value) - self.mean;
            *value = if self.is_constant() { 0.0 } else { (distance / self.deviation) as f32 };
        });
    }

    /// Converts a standardized value back to the column's units.
    #[must_use]
    pub fn restore(&self, standardized: f32) -> f64 {
        self.mean + self.deviation * f64::from(standardized)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    /// 2, 4, 4, 4, 5, 5, 7, 9 has mean 5 and population deviation 2.
    #[test]
    fn a_column_is_standardized_and_restored() {
        let mut column = array![2.0_f32, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
        let scale = ColumnScale::of(column.view());
        assert_eq!(scale, ColumnScale { mean: 5.0, deviation: 2.0 });
        scale.standardize(column.view_mut());
        assert_eq!(column, array![-1.5, -0.5, -0.5, -0.5, 0.0, 0.0, 1.0, 2.0]);
        assert_eq!(scale.restore(column[7]), 9.0);
    }

    #[test]
    fn a_constant_column_becomes_zero() {
        let mut column = ndarray::Array1::from_elem(1000, 0.1_f32);
        let scale = ColumnScale::of(column.view());
        assert!(scale.is_constant());
        scale.standardize(column.view_mut());
        assert_eq!(column, ndarray::Array1::<f32>::zeros(1000));
    }
}
