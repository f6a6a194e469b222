//! From rows to a trained model and its scores: what `fit` and `compare` share.

pub(crate) mod metrics;
pub(crate) mod parts;
pub(crate) mod scaling;
pub(crate) mod score;
pub(crate) mod split;
pub(crate) mod train;
