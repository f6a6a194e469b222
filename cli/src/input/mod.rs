//! What comes in: files of rows, as delimited or LIBSVM text.

pub(crate) mod classes;
mod delimiter;
pub(crate) mod libsvm;
pub(crate) mod read;
pub(crate) mod table;
pub(crate) mod text_file;
