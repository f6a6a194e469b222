//! Vectors in host memory.

use std::ops::{Deref, DerefMut};

use super::error::CpuError;

/// A vector of f32 in host memory, on huge pages where Linux has them.
///
/// A step over a large vector waits for memory, and on pages of 4 KiB also for the translation of
/// addresses. Optimizers keep their state in such vectors. Parameters and gradients in them make a
/// step faster too. It dereferences to a slice.
///
/// Vectors of less than 4 MiB, and all vectors on other systems, are ordinary memory. Linux decides
/// whether it has huge pages to give (`/sys/kernel/mm/transparent_hugepage/enabled` must be
/// `madvise` or `always`).
///
/// # Example
/// ```
/// use wgpu_optim::{Adagrad, CpuOptimizer, CpuVec};
///
/// let (mut params, gradient) = (CpuVec::zeros(1 << 21)?, CpuVec::from_slice(&vec![1.0; 1 << 21])?);
/// let mut optimizer = CpuOptimizer::new(Adagrad::default(), params.len())?;
/// optimizer.step(&mut params, &gradient)?;
/// # Ok::<(), wgpu_optim::CpuError>(())
/// ```
#[derive(Debug, Default)]
pub struct CpuVec(Memory);

#[derive(Debug)]
enum Memory {
    Heap(Vec<f32>),
    #[cfg(target_os = "linux")]
    Pages(pages::Pages),
}

impl Default for Memory {
    fn default() -> Self {
        Self::Heap(Vec::new())
    }
}

impl CpuVec {
    /// A vector of `len` zeros.
    ///
    /// # Errors
    /// [`CpuError::OutOfMemory`] if it does not fit in memory.
    pub fn zeros(len: usize) -> Result<Self, CpuError> {
        Self::filled(0.0, len)
    }

    /// A copy of a slice.
    ///
    /// # Errors
    /// [`CpuError::OutOfMemory`] if it does not fit in memory.
    pub fn from_slice(values: &[f32]) -> Result<Self, CpuError> {
        let mut vector = Self::zeros(values.len())?;
        vector.copy_from_slice(values);
        Ok(vector)
    }

    /// A vector of `len` equal values.
    pub(super) fn filled(value: f32, len: usize) -> Result<Self, CpuError> {
        #[cfg(target_os = "linux")]
        if let Some(pages) = pages::Pages::zeros(len) {
            let mut vector = Self(Memory::Pages(pages));
            // Writes zeros too, so that the first step does not have to wait for the pages.
            vector.fill(value);
            return Ok(vector);
        }
        let mut vector = Vec::new();
        vector.try_reserve_exact(len).map_err(|_| CpuError::OutOfMemory { len })?;
        vector.resize(len, value);
        Ok(Self(Memory::Heap(vector)))
    }
}

impl Deref for CpuVec {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &self.0 {
            Memory::Heap(vector) => vector,
            #[cfg(target_os = "linux")]
            Memory::Pages(pages) => pages.values(),
        }
    }
}

impl DerefMut for CpuVec {
    fn deref_mut(&mut self) -> &mut [f32] {
        match &mut self.0 {
            Memory::Heap(vector) => vector,
            #[cfg(target_os = "linux")]
            Memory::Pages(pages) => pages.values_mut(),
        }
    }
}

impl Clone for CpuVec {
    /// Ordinary memory if there are no pages for the copy.
    fn clone(&self) -> Self {
        Self::from_slice(self).unwrap_or_else(|_| Self(Memory::Heap(self.to_vec())))
    }
}

impl AsRef<[f32]> for CpuVec {
    fn as_ref(&self) -> &[f32] {
        self
    }
}

impl AsMut<[f32]> for CpuVec {
    fn as_mut(&mut self) -> &mut [f32] {
        self
    }
}

#[cfg(target_os = "linux")]
mod pages {
    use memmap2::{Advice, MmapMut, MmapOptions};

    /// The size of a huge page, on processors whose other pages have 4 KiB.
    const HUGE: usize = 2 << 20;

    /// Memory of its own from the system, aligned to huge pages.
    #[derive(Debug)]
    pub(super) struct Pages {
        map: MmapMut,
        /// Where the values begin, in bytes.
        start: usize,
        bytes: usize,
    }

    impl Pages {
        /// Zeros; none if they are too few for huge pages, or the system has no memory to map.
        pub(super) fn zeros(len: usize) -> Option<Self> {
            let bytes = len.checked_mul(size_of::<f32>()).filter(|&bytes| bytes >= 2 * HUGE)?;
            let map = MmapOptions::new().len(bytes.checked_add(HUGE)?).map_anon().ok()?;
            // If the system refuses, the pages are ordinary ones.
            let _ = map.advise(Advice::HugePage);
            let start = map.as_ptr().align_offset(HUGE);
            (start < HUGE).then_some(Self { map, start, bytes })
        }

        pub(super) fn values(&self) -> &[f32] {
            bytemuck::cast_slice(&self.map[self.start..self.start + self.bytes])
        }

        pub(super) fn values_mut(&mut self) -> &mut [f32] {
            bytemuck::cast_slice_mut(&mut self.map[self.start..self.start + self.bytes])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On both sides of 4 MiB.
    #[test]
    fn values_are_kept_in_either_memory() {
        for len in [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 3] {
            let mut vector = CpuVec::filled(0.5, len).unwrap();
            assert_eq!((vector.len(), vector.iter().all(|&value| value == 0.5)), (len, true));
            if let Some(last) = vector.last_mut() {
                *last = 2.0;
            }
            let copy = vector.clone();
            vector.fill(0.0);
            assert_eq!(copy.iter().sum::<f32>(), (0.5 * len as f32 + 1.5) * f32::from(len > 0));
            assert_eq!(CpuVec::from_slice(&copy).unwrap()[..], copy[..]);
        }
    }

    #[test]
    fn more_than_there_is_is_an_error() {
        for len in [usize::MAX, usize::MAX / 8] {
            assert_eq!(CpuVec::zeros(len).unwrap_err(), CpuError::OutOfMemory { len });
        }
    }
}
