//! The data of a training run.

use ndarray::ArrayView1;

use crate::data::{Dataset, SparseDataset};

/// A table of features with a target, dense or sparse.
#[derive(Clone, Copy, Debug)]
pub enum Data<'a> {
    /// Every feature of every row.
    Dense(&'a Dataset),
    /// Only the features that are not 0.
    Sparse(&'a SparseDataset),
}

impl Data<'_> {
    /// The number of rows, at least 1.
    #[must_use]
    pub fn rows(&self) -> usize {
        match self {
            Self::Dense(data) => data.rows(),
            Self::Sparse(data) => data.rows(),
        }
    }

    /// The number of feature columns.
    #[must_use]
    pub fn feature_count(&self) -> usize {
        match self {
            Self::Dense(data) => data.feature_count(),
            Self::Sparse(data) => data.feature_count(),
        }
    }

    /// The target, one value per row.
    #[must_use]
    pub fn target(&self) -> ArrayView1<'_, f32> {
        match self {
            Self::Dense(data) => data.target(),
            Self::Sparse(data) => data.target(),
        }
    }
}

impl<'a> From<&'a Dataset> for Data<'a> {
    fn from(data: &'a Dataset) -> Self {
        Self::Dense(data)
    }
}

impl<'a> From<&'a SparseDataset> for Data<'a> {
    fn from(data: &'a SparseDataset) -> Self {
        Self::Sparse(data)
    }
}

/// The rows of a run: those to train on, and those for validation.
#[derive(Clone, Copy, Debug)]
pub struct Examples<'a> {
    /// The rows to train on.
    pub training: Data<'a>,
    /// Rows whose loss is measured at the end of each epoch. They have as many columns as the
    /// training rows. Default: none.
    pub validation: Option<Data<'a>>,
}

impl<'a, D: Into<Data<'a>>> From<D> for Examples<'a> {
    fn from(data: D) -> Self {
        Self { training: data.into(), validation: None }
    }
}
