//! What comes in: rows of delimited or LIBSVM text. [`read`] is the way in, and uses the others.

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
