//! Memory whose size comes from the input. Its allocation is fallible: too little memory is an
//! error that says how much was needed. An infallible allocation would abort the program.

use bytesize::ByteSize;
use wgpu_optim::data::DataError;

/// There was not enough memory.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error(
    "not enough memory for {what}: {} are needed; use fewer rows or features, or allow more memory \
     (ulimit -v)",
    ByteSize(*bytes)
)]
pub(crate) struct OutOfMemory {
    what: String,
    bytes: u64,
}

/// Reserves memory for `additional` values in a vector that may grow again.
pub(crate) fn grow<T>(
    values: &mut Vec<T>,
    additional: usize,
    what: impl FnOnce() -> String,
) -> Result<(), OutOfMemory> {
    if values.capacity() - values.len() >= additional {
        return Ok(());
    }
    // If doubling the vector fails, a smaller growth may still succeed.
    let least = additional.max(values.len() / 8);
    let grown = values.try_reserve(additional).or_else(|_| values.try_reserve_exact(least));
    grown.map_err(|_| OutOfMemory::of::<T>(values.len().saturating_add(additional), what()))
}

/// An empty vector with memory for `len` values.
pub(crate) fn with_room<T>(
    len: usize,
    what: impl FnOnce() -> String,
) -> Result<Vec<T>, OutOfMemory> {
    let mut values = Vec::new();
    match values.try_reserve_exact(len) {
        Ok(()) => Ok(values),
        Err(_) => Err(OutOfMemory::of::<T>(len, what())),
    }
}

/// Checks that there is memory for `len` values, before code that allocates them infallibly.
pub(crate) fn check<T>(len: usize, what: impl FnOnce() -> String) -> Result<(), OutOfMemory> {
    with_room::<T>(len, what).map(drop)
}

impl From<OutOfMemory> for DataError {
    fn from(error: OutOfMemory) -> Self {
        Self::OutOfMemory { bytes: error.bytes }
    }
}

impl OutOfMemory {
    /// `what` needs `len` values.
    pub(crate) fn of<T>(len: usize, what: String) -> Self {
        Self { what, bytes: (len as u64).saturating_mul(size_of::<T>() as u64) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_needs_how_much() {
        let what = || "3 rows".to_owned();
        let error = check::<u64>(isize::MAX as usize, what).unwrap_err();
        assert!(error.to_string().starts_with("not enough memory for 3 rows: 16.0 EiB are needed"));
        let mut values = vec![1_u8];
        assert!(grow(&mut values, isize::MAX as usize, what).is_err());
        grow(&mut values, 100, what).unwrap();
        assert!(values.capacity() >= 101 && values == [1]);
    }
}
