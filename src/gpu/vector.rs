//! Vectors of f32 in device memory.

use std::borrow::Borrow;
use std::ops::Range;
use std::sync::Arc;

use super::context::Gpu;
use super::errors::{DeviceError, DownloadError, VectorError};
use super::mapping::Wait;
use super::memory::{PartGuard, SHARED_BYTES};
use super::plan::Span;
use super::readback::Readback;

/// The number of bytes staged at once in a transfer. wgpu allocates as much host memory again.
const TRANSFER_BYTES: u64 = 64 << 20;

/// No device has more memory than 16 TiB: the largest GPUs have less than 1 TiB, and a process on
/// x86-64 can address 128 TiB. Without this limit, a driver that promises memory it does not have
/// would create buffers of 2 GiB for many seconds before it runs out of addresses.
const MAX_DEVICE_BYTES: u64 = 1 << 44;

/// A vector of f32 in device memory: a view of one or more `wgpu::Buffer`s, allocated here or by
/// the caller. Clones and slices share the memory.
#[derive(Clone, Debug, PartialEq)]
pub struct GpuVec {
    segments: Vec<Segment>,
}

/// A run of elements in one buffer.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) buffer: wgpu::Buffer,
    pub(crate) span: Span,
    /// The device on which we allocated it; unknown for a caller's buffer.
    owner: Option<Gpu>,
    /// In a shared buffer: the bytes of its part, and the guard that prevents their reuse.
    part: Option<(Range<u64>, Arc<PartGuard>)>,
}

impl PartialEq for Segment {
    /// Whether both are the same memory. Steps compare all vectors, so the cheapest test is first.
    fn eq(&self, other: &Self) -> bool {
        self.span == other.span && self.buffer == other.buffer && self.owner == other.owner
    }
}

impl Segment {
    /// Its range of bytes in the buffer.
    pub(crate) fn bytes(&self) -> Range<u64> {
        self.span.offset..self.span.offset + 4 * self.span.len
    }

    /// The bytes of the buffer that a dispatch may bind, whatever other parts it binds.
    pub(crate) fn bindable(&self) -> Range<u64> {
        self.part.as_ref().map_or(0..self.buffer.size(), |(bytes, _)| bytes.clone())
    }
}

impl GpuVec {
    /// Views `len` elements of the caller's `buffer`, starting at byte `offset`, a multiple of 4.
    /// Steps need the usage `STORAGE`, downloads `COPY_SRC`, and writes `COPY_DST`. The buffer must
    /// belong to the `wgpu::Instance` of the device that it is used with: wgpu numbers buffers
    /// within an instance, so it may take a buffer of another instance for one of ours.
    ///
    /// # Errors
    /// [`VectorError`] if the view is empty, misaligned, reaches past the buffer, or the buffer
    /// lacks the usage `STORAGE`.
    pub fn from_buffer(
        buffer: impl Borrow<wgpu::Buffer>,
        offset: u64,
        len: usize,
    ) -> Result<Self, VectorError> {
        let buffer = buffer.borrow().clone();
        if len == 0 {
            return Err(VectorError::Empty);
        }
        if !offset.is_multiple_of(4) {
            return Err(VectorError::Misaligned { offset });
        }
        let (start, available) = (offset / 4, buffer.size() / 4);
        let end = start.saturating_add(len as u64);
        if end > available {
            return Err(VectorError::OutOfRange { start, end, available });
        }
        let missing = wgpu::BufferUsages::STORAGE - buffer.usage();
        if !missing.is_empty() {
            return Err(VectorError::MissingUsage { missing });
        }
        let span = Span { offset, len: len as u64, padded: false };
        Ok(Self { segments: vec![Segment { buffer, span, owner: None, part: None }] })
    }

    /// Like [`GpuVec::from_buffer`], but with padding: the bytes after the last element, up to the
    /// next multiple of 16, belong to the view and may be overwritten with any value. `offset` is a
    /// multiple of 16. A step then needs no extra dispatch for the last one to three elements.
    ///
    /// # Errors
    /// As [`GpuVec::from_buffer`], where the padding counts as part of the view.
    pub fn from_padded_buffer(
        buffer: impl Borrow<wgpu::Buffer>,
        offset: u64,
        len: usize,
    ) -> Result<Self, VectorError> {
        let buffer = buffer.borrow();
        if !offset.is_multiple_of(16) {
            return Err(VectorError::MisalignedPadding { offset });
        }
        if len > 0 {
            Self::from_buffer(buffer, offset, len.saturating_add(3) / 4 * 4)?;
        }
        let mut view = Self::from_buffer(buffer, offset, len)?;
        view.segments[0].span.padded = true;
        Ok(view)
    }

    /// Joins several vectors into one, in order, for vectors larger than the largest buffer.
    ///
    /// # Errors
    /// [`VectorError::Empty`] if there are no parts.
    pub fn concatenate(parts: impl IntoIterator<Item = Self>) -> Result<Self, VectorError> {
        let segments: Vec<_> = parts.into_iter().flat_map(|part| part.segments).collect();
        if segments.is_empty() { Err(VectorError::Empty) } else { Ok(Self { segments }) }
    }

    /// The number of elements, at least 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a vector is never empty")]
    pub fn len(&self) -> usize {
        self.segments.iter().map(|segment| segment.span.len as usize).sum()
    }

    /// The buffers, each with the byte range that belongs to this vector, in order. Small state
    /// vectors of several optimizers share a buffer: stay within the range, never destroy the
    /// buffer, and keep a clone of the vector until commands that use the range have been
    /// submitted. When the last clone is dropped, another optimizer may reuse the memory.
    pub fn buffers(&self) -> impl Iterator<Item = (&wgpu::Buffer, Range<u64>)> {
        self.segments.iter().map(|segment| (&segment.buffer, segment.bytes()))
    }

    /// The elements of `range`, sharing this vector's memory.
    ///
    /// # Errors
    /// [`VectorError`] if the range is empty or reaches past the end.
    pub fn slice(&self, range: Range<usize>) -> Result<Self, VectorError> {
        let (start, end) = (range.start as u64, range.end as u64);
        let available = self.len() as u64;
        if end > available {
            return Err(VectorError::OutOfRange { start, end, available });
        }
        if start >= end {
            return Err(VectorError::Empty);
        }
        let mut segments = Vec::new();
        let mut first = 0;
        for segment in &self.segments {
            let last = first + segment.span.len;
            let (from, to) = (start.max(first), end.min(last));
            if from < to {
                let span = Span {
                    offset: segment.span.offset + 4 * (from - first),
                    len: to - from,
                    padded: segment.span.padded && to == last,
                };
                segments.push(Segment { span, ..segment.clone() });
            }
            first = last;
        }
        Ok(Self { segments })
    }

    /// Copies all elements to the host. The future polls the device each time it is polled.
    ///
    /// # Errors
    /// [`DownloadError`] if a buffer lacks `COPY_SRC`, or the device fails.
    pub async fn download(&self, gpu: &Gpu) -> Result<Vec<f32>, DownloadError> {
        self.download_waiting(gpu, Wait::Yield).await
    }

    /// [`GpuVec::download`], blocking the thread.
    ///
    /// # Errors
    /// As [`GpuVec::download`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn download_blocking(&self, gpu: &Gpu) -> Result<Vec<f32>, DownloadError> {
        pollster::block_on(self.download_waiting(gpu, Wait::Block))
    }

    pub(crate) async fn download_waiting(
        &self,
        gpu: &Gpu,
        wait: Wait,
    ) -> Result<Vec<f32>, DownloadError> {
        if self.is_foreign(gpu) {
            return Err(DownloadError::ForeignDevice);
        }
        if let Some(missing) = self.missing(wgpu::BufferUsages::COPY_SRC) {
            return Err(DownloadError::MissingUsage { missing });
        }
        let mut host = Vec::with_capacity(self.len());
        for (buffer, piece) in self.transfers() {
            let readback = Readback::start(gpu, buffer, piece.start, piece.end - piece.start)?;
            // `pod_collect_to_vec` would copy twice; a mapping is always aligned.
            let add = |bytes: &[u8]| host.extend_from_slice(bytemuck::cast_slice(bytes));
            readback.read(gpu, wait, add).await?;
        }
        Ok(host)
    }

    /// A padded view of a buffer of ours, from its start.
    #[cfg(feature = "linear")]
    pub(crate) fn padded(buffer: &wgpu::Buffer, len: usize) -> Self {
        let span = Span { offset: 0, len: len as u64, padded: true };
        Self { segments: vec![Segment { buffer: buffer.clone(), span, owner: None, part: None }] }
    }

    /// Elements `start..start + len`, with the elements up to the next multiple of four as padding.
    /// `start` is a multiple of four.
    pub(crate) fn padded_slice(&self, start: usize, len: usize) -> Result<Self, VectorError> {
        let mut slice = self.slice(start..start + len)?;
        for segment in &mut slice.segments {
            segment.span.padded = true;
        }
        Ok(slice)
    }

    /// The binding of the whole vector, which lies in one buffer at an offset that can be bound.
    #[cfg(feature = "linear")]
    pub(crate) fn binding(&self) -> wgpu::BufferBinding<'_> {
        let Segment { buffer, span, .. } = &self.segments[0];
        let size = if span.padded { (4 * span.len).next_multiple_of(16) } else { 4 * span.len };
        super::memory::range(buffer, span.offset, size)
    }

    /// The flags of `usage` that one of the vector's buffers lacks.
    fn missing(&self, usage: wgpu::BufferUsages) -> Option<wgpu::BufferUsages> {
        let lacks = self.segments.iter().map(|segment| usage - segment.buffer.usage());
        lacks.into_iter().find(|missing| !missing.is_empty())
    }

    /// The buffers and byte ranges of the transfers that read or write the vector, in order.
    fn transfers(&self) -> impl Iterator<Item = (&wgpu::Buffer, Range<u64>)> {
        self.buffers().flat_map(|(buffer, bytes)| {
            let starts = bytes.clone().step_by(TRANSFER_BYTES as usize);
            starts.map(move |start| (buffer, start..(start + TRANSFER_BYTES).min(bytes.end)))
        })
    }

    /// Whether any of the vector's buffers also holds a part of `other`.
    pub(crate) fn shares_buffer(&self, other: &Self) -> bool {
        self.buffers().any(|(a, _)| other.buffers().any(|(b, _)| a == b))
    }

    /// Whether a part of the vector is known to be on a device other than `gpu`'s.
    pub(crate) fn is_foreign(&self, gpu: &Gpu) -> bool {
        let owners = self.segments.iter().filter_map(|segment| segment.owner.as_ref());
        owners.into_iter().any(|owner| !owner.same_device(gpu))
    }

    /// The guards that keep parts of shared buffers from being reused, for commands that outlive
    /// the vector.
    pub(crate) fn guards(&self) -> impl Iterator<Item = Arc<PartGuard>> {
        self.segments.iter().filter_map(|segment| Some(Arc::clone(&segment.part.as_ref()?.1)))
    }

    pub(crate) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    pub(crate) fn spans(&self) -> Vec<Span> {
        self.segments.iter().map(|segment| segment.span).collect()
    }
}

impl Gpu {
    /// Creates a vector of `len` zeros, in several buffers if one cannot hold it.
    ///
    /// # Errors
    /// [`VectorError`] if `len` is 0 or the device has too little memory.
    pub fn zeros(&self, len: usize) -> Result<GpuVec, VectorError> {
        if len == 0 {
            return Err(VectorError::Empty);
        }
        // Whole quads, so that only the vector's end needs padding.
        let per_buffer = (self.device().limits().max_buffer_size / 16 * 4).max(4);
        let (len, bytes) = (len as u64, (len as u64).saturating_mul(4));
        if bytes > MAX_DEVICE_BYTES {
            return Err(VectorError::OutOfMemory { bytes });
        }
        let segments = (0..len)
            .step_by(usize::try_from(per_buffer).unwrap_or(usize::MAX))
            .map(|first| self.segment(per_buffer.min(len - first)))
            .collect::<Result<_, _>>()
            .map_err(|error| error.for_vector(bytes))?;
        Ok(GpuVec { segments })
    }

    fn segment(&self, len: u64) -> Result<Segment, DeviceError> {
        let usage = wgpu::BufferUsages::STORAGE
            | wgpu::BufferUsages::COPY_SRC
            | wgpu::BufferUsages::COPY_DST;
        let buffer = self.buffer("vector", (4 * len).next_multiple_of(16), usage)?;
        let span = Span { offset: 0, len, padded: true };
        Ok(Segment { buffer, span, owner: Some(self.clone()), part: None })
    }

    /// Creates a vector of `len` zeros for optimizer state. Small vectors share buffers: keep the
    /// vector, or its [`GpuVec::guards`], until commands that use it have been submitted.
    ///
    /// # Errors
    /// As [`Gpu::zeros`].
    pub(crate) fn zeroed_state(&self, len: usize) -> Result<GpuVec, VectorError> {
        let bytes = (len as u64).saturating_mul(4);
        if len == 0 || bytes > SHARED_BYTES {
            return self.zeros(len);
        }
        let part = self.small_state(bytes).map_err(|error| error.for_vector(bytes))?;
        if !part.zeros {
            let zeros = vec![0; bytes.next_multiple_of(16) as usize];
            self.catch(|| self.queue().write_buffer(&part.buffer, part.offset, &zeros))
                .map_err(|error| error.for_vector(bytes))?;
        }
        let span = Span { offset: part.offset, len: len as u64, padded: true };
        let bytes = part.offset..part.offset + part.size;
        let (owner, part_of) = (Some(self.clone()), Some((bytes, part.guard)));
        Ok(GpuVec { segments: vec![Segment { buffer: part.buffer, span, owner, part: part_of }] })
    }

    /// Creates a vector with the values of `host`.
    ///
    /// # Errors
    /// [`VectorError`] if `host` is empty or the device has too little memory.
    pub fn upload(&self, host: &[f32]) -> Result<GpuVec, VectorError> {
        let vector = self.zeros(host.len())?;
        self.write(&vector, host)?;
        Ok(vector)
    }

    /// Sets every element of `vector` to `value`, before everything that is submitted later.
    ///
    /// # Errors
    /// [`VectorError`], with nothing written, if a buffer lacks `COPY_DST` or is on another device.
    pub fn fill(&self, vector: &GpuVec, value: f32) -> Result<(), VectorError> {
        let values = vec![value; vector.len().min((TRANSFER_BYTES / 4) as usize)];
        self.write_transfers(vector, |len| &bytemuck::cast_slice(&values)[..len])
    }

    /// Overwrites `vector` with the values of `host`, before everything that is submitted later,
    /// including steps that are already recorded.
    ///
    /// # Errors
    /// [`VectorError`] if the lengths differ, or a buffer lacks `COPY_DST` or is on another device;
    /// then nothing is written. If a buffer was destroyed, the buffers before it have been written.
    pub fn write(&self, vector: &GpuVec, host: &[f32]) -> Result<(), VectorError> {
        let expected = vector.len();
        if host.len() != expected {
            return Err(VectorError::Length { found: host.len(), expected });
        }
        let mut rest = bytemuck::cast_slice(host);
        self.write_transfers(vector, |len| {
            let (now, later) = rest.split_at(len);
            rest = later;
            now
        })
    }

    /// Writes the transfers in order; `next(n)` returns the next `n` bytes.
    fn write_transfers<'a>(
        &self,
        vector: &GpuVec,
        mut next: impl FnMut(usize) -> &'a [u8],
    ) -> Result<(), VectorError> {
        if vector.is_foreign(self) {
            return Err(VectorError::ForeignDevice);
        }
        if let Some(missing) = vector.missing(wgpu::BufferUsages::COPY_DST) {
            return Err(VectorError::MissingUsage { missing });
        }
        if self.is_lost() {
            return Err(VectorError::DeviceLost);
        }
        let write = || {
            for (buffer, piece) in vector.transfers() {
                let bytes = next((piece.end - piece.start) as usize);
                self.queue().write_buffer(buffer, piece.start, bytes);
                if bytes.len() as u64 == TRANSFER_BYTES {
                    // Submits the staged bytes, so that their memory can be reused.
                    self.queue().submit([]);
                }
            }
        };
        self.catch(write).map_err(|error| error.for_vector(4 * vector.len() as u64))
    }
}

#[cfg(test)]
#[path = "vector_tests.rs"]
mod tests;
