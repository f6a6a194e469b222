//! The state of an optimizer's tensors: one arena for each state vector, in which every tensor starts on
//! a multiple of 16 bytes.

use super::arena::{starts, views};
use super::context::Gpu;
use super::errors::VectorError;
use super::plan::Span;
use super::table::{Place, Window};
use super::vector::{GpuVec, Segment};
use crate::rules::Rule;
use crate::step::Tensors;

/// One state vector of all tensors.
#[derive(Debug)]
pub(super) struct StateVectors {
    pub(super) name: &'static str,
    /// Whether rows share it: one value a row.
    pub(super) shared: bool,
    arena: GpuVec,
    /// The part of each tensor.
    pub(super) tensors: Vec<GpuVec>,
}

/// All state vectors that the rule of some group has.
#[derive(Debug)]
pub(super) struct StateMemory {
    pub(super) vectors: Vec<StateVectors>,
}

impl StateMemory {
    /// At the rules' initial values; `row_width` is the length of a row, if rows share what they can.
    pub(super) fn new<R: Rule>(
        gpu: &Gpu,
        tensors: &Tensors<R>,
        used: &[usize],
        row_width: Option<usize>,
    ) -> Result<Self, VectorError> {
        let vector = |&index: &usize| {
            let shared =
                row_width.is_some() && tensors.rules.iter().all(|rule| rule.can_share(index));
            let width = row_width.filter(|_| shared).unwrap_or(1);
            let lens: Vec<_> = tensors.lens.iter().map(|len| len / width).collect();
            let (starts, total) = starts(&lens)?;
            let arena = gpu.zeroed_state(total)?;
            let own = views(&arena, &starts, &lens)?;
            for (view, &group) in own.iter().zip(&tensors.group_of) {
                let value = tensors.rules[group as usize].initial_state().as_ref()[index];
                // New memory is zero.
                if value.to_bits() != 0 {
                    gpu.fill(view, value)?;
                }
            }
            Ok(StateVectors { name: R::STATE[index], shared, arena, tensors: own })
        };
        Ok(Self { vectors: used.iter().map(vector).collect::<Result<_, VectorError>>()? })
    }

    /// Where the state of a tensor lies, in every arena alike: buffers are the arena's, in order, and
    /// offsets count from where each begins.
    pub(super) fn places(&self, tensor: usize, len: usize) -> Vec<Place> {
        let Some(first) = self.vectors.first() else {
            // A rule without state is cut by its parameters and gradients alone.
            let span = Span { offset: 0, len: len as u64, padded: true };
            return vec![Place { buffer: 0, span }];
        };
        let arena = first.arena.segments();
        let place = |segment: &Segment| {
            let owner = arena.iter().position(|known| {
                let (known, own) = (known, segment.span.offset);
                known.buffer == segment.buffer
                    && (known.span.offset..known.span.offset + 4 * known.span.len).contains(&own)
            });
            let buffer = owner.unwrap_or(0); // a view lies in its arena
            let offset = segment.span.offset - arena[buffer].span.offset;
            Place { buffer, span: Span { offset, ..segment.span } }
        };
        first.tensors[tensor].segments().iter().map(place).collect()
    }

    /// The part of every arena that a window of at most `cell` bytes is.
    pub(super) fn parts(
        &self,
        window: Window,
        cell: u64,
    ) -> impl Iterator<Item = wgpu::BufferBinding<'_>> {
        self.vectors.iter().map(move |vector| {
            let Segment { buffer, span, .. } = &vector.arena.segments()[window.buffer];
            let size = cell.min((4 * span.len).next_multiple_of(16) - window.offset);
            super::kernel::range(buffer, span.offset + window.offset, size)
        })
    }

    /// All of it, each state vector of all tensors.
    pub(super) fn arenas(&self) -> impl Iterator<Item = &GpuVec> {
        self.vectors.iter().map(|vector| &vector.arena)
    }

    /// The state vectors of a tensor that rows share, or the others.
    pub(super) fn of_tensor(&self, tensor: usize, shared: bool) -> impl Iterator<Item = &GpuVec> {
        let own = self.vectors.iter().filter(move |vector| vector.shared == shared);
        own.map(move |vector| &vector.tensors[tensor])
    }
}
