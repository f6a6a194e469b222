//! Input: rows of delimited or LIBSVM text. [`read`] is the entry point and uses the other modules.

pub(crate) mod classes;
pub(crate) mod columns;
mod delimiter;
pub(crate) mod libsvm;
pub(crate) mod options;
pub(crate) mod read;
mod row_guard;
pub(crate) mod rows;
pub(crate) mod table;
pub(crate) mod text_file;
