//! Memory whose size comes from the data. It is asked for, so that too little is an error: an
//! allocation that cannot fail would abort the program.

use super::errors::{Result, TrainError};

/// Whether there is memory for `len` values: for what allocates them right after this and cannot
/// say that it failed.
pub(super) fn check<T>(len: usize) -> Result<()> {
    reserve(&mut Vec::<T>::new(), len)
}

/// `len` copies of a value.
pub(super) fn filled<T: Clone>(value: T, len: usize) -> Result<Vec<T>> {
    let mut values = Vec::new();
    reserve(&mut values, len)?;
    values.resize(len, value);
    Ok(values)
}

/// Makes room in an empty vector.
pub(super) fn reserve<T>(values: &mut Vec<T>, len: usize) -> Result<()> {
    let bytes = (len as u64).saturating_mul(size_of::<T>() as u64);
    values.try_reserve_exact(len).map_err(|_| TrainError::OutOfMemory { bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_much_is_an_error_that_says_how_much() {
        assert_eq!(filled(1_u16, 3), Ok(vec![1, 1, 1]));
        assert_eq!(check::<u64>(3), Ok(()));
        let bytes = (isize::MAX as u64 / 8 + 1) * 8;
        let error = check::<u64>(isize::MAX as usize / 8 + 1);
        assert_eq!(error, Err(TrainError::OutOfMemory { bytes }));
    }
}
