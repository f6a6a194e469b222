//! How a step over n elements is cut into pieces: a pure function of lengths, offsets and limits.

use super::shape::KernelShape;

/// The maximum number of loop iterations of an invocation, over all its loops. After 65,535
/// iterations lavapipe silently leaves the loops (`LP_MAX_TGSI_LOOP_ITERATIONS` in Mesa's
/// `gallivm/lp_bld_limits.h`). The check that ends a loop counts as an iteration too. The reserve
/// is for short loops, and for loops that a driver adds.
pub(crate) const MAX_LOOP_ITERATIONS: u32 = 65_535 - 35;

/// The maximum number of quads in a piece, so that a u32 can count its elements.
const MAX_QUADS: u64 = 1 << 29;

/// A run of elements of one vector that is contiguous in one buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// Where it starts in its buffer, in bytes; a multiple of 4.
    pub(crate) offset: u64,
    /// The number of f32 elements, at least 1.
    pub(crate) len: u64,
    /// Whether the bytes from its end to the next multiple of 16 are padding that may be
    /// overwritten with any value.
    pub(crate) padded: bool,
}

/// The device's limits on a dispatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DispatchLimits {
    /// The largest binding, in bytes.
    pub(crate) binding: u64,
    /// The alignment of a binding's offset, in bytes: a power of two, at least 16.
    pub(crate) alignment: u64,
    /// The maximum number of workgroups in one dimension.
    pub(crate) workgroups: u32,
    /// Invocations in a workgroup.
    pub(crate) workgroup_size: u32,
}

impl DispatchLimits {
    /// The limits for kernels with workgroups of `workgroup_size` invocations, or as many as the
    /// device allows.
    pub(crate) fn of(limits: &wgpu::Limits, workgroup_size: u32) -> Self {
        Self {
            binding: limits.max_storage_buffer_binding_size,
            alignment: u64::from(limits.min_storage_buffer_offset_alignment).max(16),
            workgroups: limits.max_compute_workgroups_per_dimension.max(1),
            workgroup_size: KernelShape::new(workgroup_size, 1).within(limits).workgroup_size,
        }
    }

    /// The size of a cell, in bytes: the largest part of a buffer that can be bound at every
    /// multiple of its own size.
    pub(crate) fn cell(&self) -> u64 {
        (self.binding / self.alignment).max(1) * self.alignment
    }

    /// The grid for `invocations` invocations, which must fit in two dimensions.
    pub(crate) fn grid(&self, invocations: u64) -> [u32; 2] {
        let groups = invocations.div_ceil(u64::from(self.workgroup_size)).max(1);
        let rows = groups.div_ceil(u64::from(self.workgroups));
        // By the choice of `rows`, both factors are at most the u32 limit.
        [groups.div_ceil(rows) as u32, rows as u32]
    }

    /// The maximum number of invocations in one dispatch, so that a u32 can count their elements.
    pub(crate) fn max_invocations(&self) -> u32 {
        let groups = u64::from(self.workgroups).pow(2);
        groups.saturating_mul(u64::from(self.workgroup_size)).min(MAX_QUADS) as u32
    }
}

/// How a kernel accesses four elements of a vector: axis `element` of the kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Element {
    /// Four at a time; every vector starts at a multiple of 16 bytes.
    Quads,
    /// One at a time, at any offset.
    Scalars,
}

/// The binding of one vector in a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Binding {
    /// The number of the span in its vector.
    pub(crate) span: usize,
    /// The binding's offset in the buffer, in bytes; aligned.
    pub(crate) offset: u64,
    /// The binding's size, in bytes.
    pub(crate) size: u64,
    /// The number of elements between the binding's start and the first element of this piece.
    pub(crate) shift: u32,
}

/// A range of elements that lies in one binding of every vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) element: Element,
    /// The first element, counted over the whole vector.
    pub(crate) first: u64,
    pub(crate) len: u32,
    /// One for each vector, in order.
    pub(crate) bindings: Vec<Binding>,
}

/// Cuts the elementwise work over `vectors`, which have equal total lengths, into pieces
/// that cover every element once, in order.
///
/// A piece ends where a vector continues in another buffer, where a binding would exceed the limit,
/// and before the last one to three elements of a run without padding. Those elements use
/// [`Element::Scalars`], because a load of four would reach past the caller's range.
pub(crate) fn plan(vectors: &[Vec<Span>], limits: &DispatchLimits) -> Vec<Piece> {
    let total: u64 = vectors.first().map_or(0, |spans| spans.iter().map(|span| span.len).sum());
    let mut cursors = vec![Cursor::default(); vectors.len()];
    let mut pieces = Vec::new();
    let mut first = 0;
    while first < total {
        let places = cursors.iter().zip(vectors).map(|(cursor, spans)| cursor.rest(spans));
        let piece = next_piece(&places.collect::<Vec<_>>(), limits, first);
        let len = u64::from(piece.len);
        for (cursor, spans) in cursors.iter_mut().zip(vectors) {
            cursor.advance(len, spans);
        }
        first += len;
        pieces.push(piece);
    }
    pieces
}

/// How far a vector has been covered.
#[derive(Clone, Copy, Default)]
struct Cursor {
    span: usize,
    within: u64,
}

impl Cursor {
    /// The number of the current span, and the rest of it.
    fn rest(&self, spans: &[Span]) -> (usize, Span) {
        let Span { offset, len, padded } = spans[self.span];
        (self.span, Span { offset: offset + 4 * self.within, len: len - self.within, padded })
    }

    fn advance(&mut self, len: u64, spans: &[Span]) {
        self.within += len;
        if self.within == spans[self.span].len {
            *self = Self { span: self.span + 1, within: 0 };
        }
    }
}

fn next_piece(places: &[(usize, Span)], limits: &DispatchLimits, first: u64) -> Piece {
    let lead = |span: &Span| span.offset % limits.alignment;
    let least = |of: &dyn Fn(&Span) -> u64| places.iter().map(|(_, span)| of(span)).min();
    let run = least(&|span| span.len).unwrap_or(0);
    // Whole quads, so that the next piece stays aligned.
    let room = least(&|span| limits.binding.saturating_sub(lead(span)) / 16 * 4).unwrap_or(0);
    let len = run.min(room.clamp(4, 4 * MAX_QUADS));
    let is_aligned = places.iter().all(|(_, span)| span.offset.is_multiple_of(16));
    let is_padded = places.iter().all(|(_, span)| span.padded && span.len == len);
    let (element, len) = if is_aligned && (len.is_multiple_of(4) || is_padded) {
        (Element::Quads, len)
    } else if is_aligned && len >= 4 {
        (Element::Quads, len / 4 * 4)
    } else {
        (Element::Scalars, len)
    };
    let bytes = if element == Element::Quads { len.next_multiple_of(4) * 4 } else { len * 4 };
    let binding = |&(number, ref span): &(usize, Span)| Binding {
        span: number,
        offset: span.offset - lead(span),
        size: lead(span) + bytes,
        shift: (lead(span) / 4) as u32, // below the alignment, a u32 limit
    };
    let bindings = places.iter().map(binding).collect();
    Piece { element, first, len: len as u32, bindings }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
