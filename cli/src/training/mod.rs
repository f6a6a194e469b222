//! From rows to a trained model: what `fit` and `compare` have in common.

pub(crate) mod metrics;
pub(crate) mod scaling;
pub(crate) mod score;
pub(crate) mod split;
pub(crate) mod train;
