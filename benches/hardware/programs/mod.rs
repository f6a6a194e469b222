//! The parts that other programs of the bundle do.

pub(crate) mod checks;
pub(crate) mod command;
pub(crate) mod proof;
pub(crate) mod pytorch;
