//! The lists of tensors of a step: their checks, and where the tensors lie.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::context::Gpu;
use super::group_error::GroupError;
use super::memory::range;
use super::plan::Span;
use super::state::StateMemory;
use super::table::Place;
use super::vector::{GpuVec, Segment};
use crate::rules::Rule;
use crate::step::{TensorGradient, TensorName, Tensors};

/// The gradients of a list of tensors.
#[derive(Clone, Copy, Debug)]
pub(super) enum Grads<'a> {
    /// Every tensor has a gradient for every parameter.
    Dense(&'a [GpuVec]),
    /// Each tensor has dense, row or missing gradients.
    Mixed(&'a [TensorGradient<'a, GpuVec>]),
}

impl<'a> Grads<'a> {
    pub(super) fn len(self) -> usize {
        match self {
            Self::Dense(list) => list.len(),
            Self::Mixed(list) => list.len(),
        }
    }

    pub(super) fn get(self, tensor: usize) -> TensorGradient<'a, GpuVec> {
        match self {
            Self::Dense(list) => TensorGradient::Dense(&list[tensor]),
            Self::Mixed(list) => list[tensor],
        }
    }

    pub(super) fn iter(self) -> impl Iterator<Item = TensorGradient<'a, GpuVec>> {
        (0..self.len()).map(move |tensor| self.get(tensor))
    }

    /// The dense gradients of each tensor, if it has them.
    pub(super) fn dense(self) -> impl Iterator<Item = Option<&'a GpuVec>> {
        self.iter().map(|gradient| match gradient {
            TensorGradient::Dense(vector) => Some(vector),
            _ => None,
        })
    }

    /// Whether any tensor has row gradients.
    pub(super) fn has_rows(self) -> bool {
        matches!(self, Self::Mixed(_))
            && self.iter().any(|gradient| matches!(gradient, TensorGradient::Rows { .. }))
    }
}

/// The part of a buffer that a dispatch may bind: all of a caller's buffer, but of a buffer that
/// small vectors share only one vector's part, because the dispatch may bind other parts too.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Region {
    pub(super) buffer: wgpu::Buffer,
    bytes: Range<u64>,
}

impl Region {
    /// The binding of at most `size` bytes from `offset` on.
    pub(super) fn part(&self, offset: u64, size: u64) -> wgpu::BufferBinding<'_> {
        let size = size.min(self.bytes.end - self.bytes.start - offset) / 4 * 4;
        range(&self.buffer, self.bytes.start + offset, size)
    }
}

/// The regions that a step touches.
#[derive(Debug, Default)]
pub(super) struct Regions {
    pub(super) list: Vec<Region>,
    numbers: HashMap<Region, usize>,
    /// The buffers that hold parameters or state. All their windows are bound for writing, because
    /// WebGPU allows only one kind of binding for each buffer in a dispatch.
    pub(super) written: HashSet<wgpu::Buffer>,
}

impl Regions {
    /// Where a vector lies. Offsets count from the start of each region.
    pub(super) fn places(&mut self, vector: &GpuVec) -> Vec<Place> {
        let place = |segment: &Segment| {
            let region = Region { buffer: segment.buffer.clone(), bytes: segment.bindable() };
            let offset = segment.span.offset - region.bytes.start;
            let next = self.list.len();
            let buffer = *self.numbers.entry(region.clone()).or_insert(next);
            if buffer == next {
                self.list.push(region);
            }
            Place { buffer, span: Span { offset, ..segment.span } }
        };
        vector.segments().iter().map(place).collect()
    }

    /// Marks a vector as written.
    pub(super) fn write(&mut self, vector: &GpuVec) {
        self.written.extend(vector.segments().iter().map(|segment| segment.buffer.clone()));
    }
}

/// Checks the lists against the lengths and the state of an optimizer. wgpu would report them
/// later, with less information. The row code checks whether row gradients fit their tables.
pub(super) fn check<R: Rule>(
    gpu: &Gpu,
    tensors: &Tensors<R>,
    state: &StateMemory,
    params: &[GpuVec],
    grads: Grads<'_>,
) -> Result<(), GroupError> {
    tensors.check_count("params", params.len())?;
    tensors.check_count("grads", grads.len())?;
    let own_device =
        |list: &'static str, index: usize, vector: &GpuVec| match vector.is_foreign(gpu) {
            true => Err(GroupError::ForeignDevice { tensor: TensorName { list, index } }),
            false => Ok(TensorName { list, index }),
        };
    let mut claims = Claims::default();
    for (index, vector) in params.iter().enumerate() {
        tensors.check_length("params", index, vector.len())?;
        claims.add(own_device("params", index, vector)?, vector, 4, true);
    }
    for (index, gradient) in grads.iter().enumerate() {
        let (list, vector) = match gradient {
            TensorGradient::Dense(vector) => {
                tensors.check_length("grads", index, vector.len())?;
                ("grads", vector)
            }
            TensorGradient::Rows { gradients, .. } => ("row_gradients", gradients),
            TensorGradient::Missing => continue,
        };
        claims.add(own_device(list, index, vector)?, vector, 4, false);
    }
    for vector in &state.vectors {
        for (index, own) in vector.tensors.iter().enumerate() {
            // The padding of state belongs to it.
            claims.add(own_device(vector.name, index, own)?, own, 16, true);
        }
    }
    claims.check_overlap()
}

/// A range of bytes and its owner.
struct Claim {
    buffer: usize,
    bytes: Range<u64>,
    /// Its position in the lists.
    order: usize,
    /// Whether the step writes it. It only reads gradients.
    written: bool,
    tensor: TensorName,
}

#[derive(Default)]
struct Claims {
    numbers: HashMap<wgpu::Buffer, usize>,
    list: Vec<Claim>,
}

impl Claims {
    /// Adds the bytes of a vector. Padded ranges extend to a multiple of `unit`.
    fn add(&mut self, tensor: TensorName, vector: &GpuVec, unit: u64, written: bool) {
        for segment in vector.segments() {
            let next = self.numbers.len();
            let buffer = *self.numbers.entry(segment.buffer.clone()).or_insert(next);
            let mut bytes = segment.bytes();
            if segment.span.padded {
                bytes.end = bytes.end.next_multiple_of(unit);
            }
            self.list.push(Claim { buffer, bytes, order: self.list.len(), written, tensor });
        }
    }

    /// Finds an overlap of a range that is written with any other. Among ranges sorted by start, a
    /// range overlaps an earlier one exactly if it starts before the greatest end of those.
    fn check_overlap(&mut self) -> Result<(), GroupError> {
        self.list.sort_by_key(|claim| (claim.buffer, claim.bytes.start));
        for claims in self.list.chunk_by(|a, b| a.buffer == b.buffer) {
            let (mut last, mut last_written) = (None, None);
            for claim in claims {
                let earlier: Option<&Claim> = if claim.written { last } else { last_written };
                if let Some(earlier) = earlier.filter(|it| claim.bytes.start < it.bytes.end) {
                    return Err(overlap(earlier, claim));
                }
                let later =
                    |it: Option<&'_ Claim>| it.is_none_or(|it| it.bytes.end < claim.bytes.end);
                if later(last) {
                    last = Some(claim);
                }
                if claim.written && later(last_written) {
                    last_written = Some(claim);
                }
            }
        }
        Ok(())
    }
}

/// The error for two claims, of which `b` starts later in the buffer.
fn overlap(a: &Claim, b: &Claim) -> GroupError {
    let (first, second) = if a.order > b.order { (b, a) } else { (a, b) };
    GroupError::Overlap { first: first.tensor, second: second.tensor, byte: b.bytes.start }
}
