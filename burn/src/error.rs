//! What goes wrong.

/// A kernel could not be prepared for Burn's runtime.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the rule's WGSL could not be prepared: {0}")]
pub struct KernelError(pub(crate) String);

/// An optimizer cannot be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OptimError {
    /// A hyper-parameter is outside its domain.
    #[error(transparent)]
    Rule(#[from] wgpu_optim::RuleError),
    /// A kernel of this rule could not be prepared.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}
