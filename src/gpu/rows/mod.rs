//! Steps over some rows of a table in device memory, for embeddings and sparse features.
//!
//! The indices come from the host, so a bad index is found before anything changes, and the order
//! in which duplicates are summed is fixed, with nothing read back from the device. The host sorts
//! the indices and uploads a list of rows, each with its occurrences. One kernel sums the
//! occurrences of a row and steps the row in place.
//!
//! Three cases need a separate pass first, which sums into scratch memory: a step cannot read the
//! gradients in place, because they lie in several bindings or in a buffer that it writes to; a row
//! has more occurrences than one loop may have; or a guard checks the sums.

mod bind;
mod dispatches;
mod lists;
mod memory;

pub(super) use bind::RowsBinder;
#[cfg(test)]
pub(super) use dispatches::Job;
pub(super) use dispatches::check_row_length;
pub(super) use memory::RowsMemory;
