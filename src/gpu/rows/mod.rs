//! Steps over some rows of a table in device memory: embeddings, and features that are rarely
//! there.
//!
//! The indices come from the host. So a bad one is found before anything is changed, and the order
//! in which duplicates are summed is fixed, with nothing read back from the device. The host sorts
//! them and uploads a list of rows, each with its occurrences; one kernel sums the occurrences of
//! a row and steps it in place.
//!
//! A separate pass sums into scratch memory first where a step cannot read the gradients in place (in
//! several bindings, or in a buffer that it writes to), where a row has more occurrences than one loop may
//! have, and for a guard, which looks at the sums.

mod bind;
mod dispatches;
mod lists;
mod memory;

pub(super) use bind::RowsBinder;
#[cfg(test)]
pub(super) use dispatches::Job;
pub(super) use dispatches::check_row_length;
pub(super) use memory::RowsMemory;
