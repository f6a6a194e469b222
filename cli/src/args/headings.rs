//! The headings that options have in the help of subcommands with many of them. Options without a
//! heading come first: those that a newcomer needs.

pub(crate) const DATA: &str = "Data";
pub(crate) const MODEL: &str = "Model";
pub(crate) const OPTIMIZER: &str = "Optimizer";
pub(crate) const TRAINING: &str = "Training";
pub(crate) const DEVICE: &str = "Device";
pub(crate) const OUTPUT: &str = "Output";
