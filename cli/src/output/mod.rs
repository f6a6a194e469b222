//! What goes out.

mod file;
pub(crate) mod progress;

pub(crate) use file::*;
