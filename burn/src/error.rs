//! Errors.

use wgpu_optim::{DownloadError, GroupError, RuleError, VectorError};

/// Why an optimizer cannot be made, or cannot step.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OptimError {
    /// A hyper-parameter is outside its domain.
    #[error(transparent)]
    Rule(#[from] RuleError),
    /// The rule's WGSL could not be prepared for Burn's runtime.
    #[error("the rule's WGSL could not be prepared: {0}")]
    Kernel(String),
    /// A tensor cannot be stepped.
    #[error("a tensor cannot be stepped, since it is not f32 on a wgpu device: {0}")]
    Tensor(String),
    /// The state of a record or of a group does not have the rule's state vectors.
    #[error("the rule has the state vectors {expected:?}, but the state has {found:?}")]
    State {
        /// The state vectors of the rule.
        expected: Vec<&'static str>,
        /// The state vectors found.
        found: Vec<&'static str>,
    },
    /// The gradient or a state vector has another shape than the parameter, as after the parameter
    /// has grown, or with a record of another model.
    #[error("the parameter has the shape {expected:?}, but {what} has {found:?}")]
    Shape {
        /// The gradient or the state vector.
        what: &'static str,
        /// The shape of the parameter.
        expected: Vec<usize>,
        /// The other shape.
        found: Vec<usize>,
    },
    /// Operations before the step failed, so that some parameters or gradients do not exist. No
    /// parameter has been stepped. Burn loses those parameters and their state.
    #[error(
        "{missing} of {all} parameters have no value or gradient, since operations before this step \
         failed: nothing was stepped; continue from records of the module and the optimizer"
    )]
    Incomplete {
        /// How many parameters have none.
        missing: usize,
        /// How many parameters the step has.
        all: usize,
    },
    /// Burn compiles its shaders to a language other than WGSL, and the device's handles are not
    /// known.
    #[error("Burn's runtime does not take WGSL here: pass the device by `with_gpu`")]
    NoWgsl,
    /// Burn's runtime failed.
    #[error("Burn's runtime failed: {0}")]
    Runtime(String),
    /// A tensor's buffer cannot be used.
    #[error(transparent)]
    Vector(#[from] VectorError),
    /// The device cannot run the step, or the tensors lie on another one.
    #[error(transparent)]
    Step(#[from] GroupError),
    /// The guard's report could not be read.
    #[error(transparent)]
    Report(#[from] DownloadError),
}

/// A step of a module failed.
#[derive(Debug)]
pub struct StepError<M> {
    /// The module. Its parameters have not been stepped.
    pub module: M,
    /// What went wrong.
    pub error: OptimError,
}

impl<M> std::fmt::Display for StepError<M> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(formatter)
    }
}

impl<M: std::fmt::Debug> std::error::Error for StepError<M> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}
