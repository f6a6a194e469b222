//! Options that say how to read and prepare rows, and which of them can be combined.

use clap::ValueEnum;
use wgpu_optim::linear::Loss;

/// Why options cannot be combined.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OptionsError {
    #[error("--standardize all: the target is a class, which has no scale: give features or none")]
    ScaledClass,
    #[error(
        "--target {0}: the target of LIBSVM text is the label before the features: leave --target \
         out"
    )]
    LibsvmTarget(String),
    #[error(
        "--standardize: LIBSVM text is not standardized, since the features that a row leaves out \
         would no longer be 0: scale the values in the file, or leave --standardize out"
    )]
    ScaledLibsvm,
}

/// [`Loss`] as an argument.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum LossArg {
    /// Half the mean squared error
    Squared,
    /// The mean log loss of two classes
    Logistic,
}

impl From<LossArg> for Loss {
    fn from(argument: LossArg) -> Self {
        match argument {
            LossArg::Squared => Self::Squared,
            LossArg::Logistic => Self::Logistic,
        }
    }
}

/// Which columns are standardized.
#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
pub(crate) enum Standardize {
    /// Every column, including the target
    All,
    /// Every column except the target
    Features,
    /// No column
    None,
}

impl Standardize {
    /// Which columns of a table to scale; `wanted` is what the user asked for, if anything.
    ///
    /// # Errors
    /// [`OptionsError::ScaledClass`] if the user asked to scale a target that is a class.
    pub(crate) fn of_table(loss: LossArg, wanted: Option<Self>) -> Result<Self, OptionsError> {
        match (loss, wanted) {
            (LossArg::Squared, which) => Ok(which.unwrap_or(Self::All)),
            (LossArg::Logistic, Some(Self::All)) => Err(OptionsError::ScaledClass),
            (LossArg::Logistic, which) => Ok(which.unwrap_or(Self::Features)),
        }
    }

    /// Which columns of LIBSVM text to scale: none.
    ///
    /// # Errors
    /// [`OptionsError`] for a target or a scaling that the user asked for.
    pub(crate) fn of_libsvm(
        target: Option<&str>,
        wanted: Option<Self>,
    ) -> Result<Self, OptionsError> {
        if let Some(target) = target {
            return Err(OptionsError::LibsvmTarget(target.to_owned()));
        }
        match wanted {
            None | Some(Self::None) => Ok(Self::None),
            Some(_) => Err(OptionsError::ScaledLibsvm),
        }
    }
}
