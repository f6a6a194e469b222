//! Memory that may not be there.

use super::error::CpuError;

/// `len` times `value`, or an error instead of an abort where memory ends.
pub(super) fn filled(value: f32, len: usize) -> Result<Vec<f32>, CpuError> {
    let mut vector = Vec::new();
    vector.try_reserve_exact(len).map_err(|_| CpuError::OutOfMemory { len })?;
    vector.resize(len, value);
    Ok(vector)
}
