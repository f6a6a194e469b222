//! Pictures, as SVG or PNG according to the extension of the file. The font is built in, so that
//! they look the same everywhere.

pub(crate) mod curves;
pub(crate) mod file;
pub(crate) mod loss;
pub(crate) mod paths;
pub(crate) mod picture;
