//! Many vectors in one allocation, so that one dispatch can step all of them.

use super::context::Gpu;
use super::errors::VectorError;
use super::vector::GpuVec;

/// The first element of each vector if every vector starts at a multiple of 16 bytes, and the total
/// number of elements, padding included.
pub(crate) fn starts(lens: &[usize]) -> Result<(Vec<usize>, usize), VectorError> {
    let mut starts = Vec::with_capacity(lens.len());
    let mut end = 0_usize;
    for &len in lens {
        if len == 0 {
            return Err(VectorError::Empty);
        }
        starts.push(end);
        let next = end.checked_add(len).and_then(|end| end.checked_next_multiple_of(4));
        end = next.ok_or(VectorError::OutOfMemory { bytes: u64::MAX })?;
    }
    if end == 0 { Err(VectorError::Empty) } else { Ok((starts, end)) }
}

impl Gpu {
    /// Creates vectors of zeros with the lengths `lens`, side by side in one buffer, or in several
    /// if one cannot hold them. A [`super::GpuGroupOptimizer`] steps all of them in one dispatch.
    /// The memory is freed when the last vector is dropped.
    ///
    /// # Errors
    /// [`VectorError`] if `lens` is empty, a length is 0, or the device has too little memory.
    pub fn zeros_many(&self, lens: &[usize]) -> Result<Vec<GpuVec>, VectorError> {
        let (starts, total) = starts(lens)?;
        views(&self.zeros(total)?, &starts, lens)
    }

    /// Creates vectors with the values of `hosts`, laid out like those of [`Gpu::zeros_many`].
    ///
    /// # Errors
    /// [`VectorError`] if `hosts` or one of its slices is empty, or the device has too little
    /// memory.
    pub fn upload_many(&self, hosts: &[&[f32]]) -> Result<Vec<GpuVec>, VectorError> {
        let lens: Vec<_> = hosts.iter().map(|host| host.len()).collect();
        let (starts, total) = starts(&lens)?;
        // One transfer for all, because every transfer has a fixed cost.
        let mut content = vec![0.0; total];
        for (&start, host) in starts.iter().zip(hosts) {
            content[start..start + host.len()].copy_from_slice(host);
        }
        views(&self.upload(&content)?, &starts, &lens)
    }
}

/// Splits `whole` into the vectors that lie side by side in it.
pub(crate) fn views(
    whole: &GpuVec,
    starts: &[usize],
    lens: &[usize],
) -> Result<Vec<GpuVec>, VectorError> {
    starts.iter().zip(lens).map(|(&start, &len)| whole.padded_slice(start, len)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vector_starts_at_a_multiple_of_16_bytes() {
        assert_eq!(starts(&[1, 4, 7, 8, 3]), Ok((vec![0, 4, 8, 16, 24], 28)));
        assert_eq!(starts(&[]), Err(VectorError::Empty));
        assert_eq!(starts(&[4, 0]), Err(VectorError::Empty));
        let full = Err(VectorError::OutOfMemory { bytes: u64::MAX });
        assert_eq!(starts(&[usize::MAX]), full);
        assert_eq!(starts(&[usize::MAX / 2, usize::MAX / 2, 8]), full);
    }
}
