//! Penalties on the weights: `--l1` and `--l2`.

use clap::Args;
use wgpu_optim::linear::Penalty;

use crate::args::headings::MODEL;
use crate::args::values::real;
use crate::error::Error;

/// Arguments of `fit`.
#[derive(Clone, Debug, Args)]
pub(crate) struct PenaltyArgs {
    /// Add L1 times the sum of the absolute weights to the loss. With LIBSVM text, a step penalizes
    /// only the features that occur in its batch
    #[arg(
        long,
        default_value_t = 0.0,
        value_parser = real,
        allow_hyphen_values = true,
        help_heading = MODEL
    )]
    l1: f32,
    /// Add L2 times half the sum of the squared weights to the loss, in the same way
    #[arg(
        long,
        default_value_t = 0.0,
        value_parser = real,
        allow_hyphen_values = true,
        help_heading = MODEL
    )]
    l2: f32,
}

impl PenaltyArgs {
    /// The penalties.
    ///
    /// # Errors
    /// [`Error::Argument`] for one that is negative, subnormal or not finite.
    pub(super) fn penalty(&self) -> Result<Penalty, Error> {
        for (name, value) in [("--l1", self.l1), ("--l2", self.l2)] {
            if !value.is_finite() || value < 0.0 || value.is_subnormal() {
                return Err(Error::Argument(format!(
                    "{name} {value}: give 0 or a finite number of at least 2^-126"
                )));
            }
        }
        Ok(Penalty { l1: self.l1, l2: self.l2 })
    }
}
