//! Burn's modules under our optimizers. `bash burn/test` runs these on the software drivers.
//!
//! All tests share one device, since Burn initializes its default device once in a process. Gradients
//! are given, not computed, wherever bits are compared: so both sides have the same.

mod bits;
mod errors;
mod groups;
mod guard;
mod learner;
mod parity;
mod records;
mod shapes;
mod support;
mod tensors;
mod threads;
