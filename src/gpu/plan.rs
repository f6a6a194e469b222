//! How a step over n elements becomes dispatches: a pure function of lengths, offsets and limits.

use super::shape::KernelShape;

/// The maximum number of loop iterations of an invocation, of all its loops together. lavapipe stops
/// after 65,535 and goes on behind the loops, without an error (`LP_MAX_TGSI_LOOP_ITERATIONS` in Mesa's
/// gallivm/lp_bld_limits.h). An iteration that only finds its loop to be over counts too. The reserve is
/// for short loops, and for those that a driver adds.
pub(crate) const MAX_LOOP_ITERATIONS: u32 = 65_535 - 35;

/// A run of elements of one vector that is contiguous in one buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// Where it starts in its buffer, in bytes; a multiple of 4.
    pub(crate) offset: u64,
    /// How many f32 elements it has; at least 1.
    pub(crate) len: u64,
    /// Whether the bytes from its end to the next multiple of 16 are padding that may be
    /// overwritten with anything.
    pub(crate) padded: bool,
}

/// What the device allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DispatchLimits {
    /// The largest binding, in bytes.
    pub(crate) binding: u64,
    /// The alignment of a binding's offset, in bytes: a power of two, at least 16.
    pub(crate) alignment: u64,
    /// The most workgroups along one dimension.
    pub(crate) workgroups: u32,
    /// Invocations in a workgroup.
    pub(crate) workgroup_size: u32,
    /// Groups of four elements that an invocation computes.
    pub(crate) quads_per_invocation: u32,
}

impl DispatchLimits {
    /// For kernels of one quad an invocation.
    pub(crate) fn of(limits: &wgpu::Limits, preferred_workgroup_size: u32) -> Self {
        Self::with_shape(limits, KernelShape::new(preferred_workgroup_size, 1))
    }

    pub(crate) fn with_shape(limits: &wgpu::Limits, shape: KernelShape) -> Self {
        let KernelShape { workgroup_size, quads_per_invocation } = shape.within(limits);
        Self {
            binding: limits.max_storage_buffer_binding_size,
            alignment: u64::from(limits.min_storage_buffer_offset_alignment).max(16),
            workgroups: limits.max_compute_workgroups_per_dimension.max(1),
            workgroup_size,
            quads_per_invocation,
        }
    }

    /// Quads that a workgroup computes.
    fn per_workgroup(&self) -> u64 {
        u64::from(self.workgroup_size) * u64::from(self.quads_per_invocation)
    }

    /// The grid for `quads` groups of four elements, or as many invocations of a kernel that is not
    /// the step's. They must fit in two dimensions.
    pub(crate) fn grid(&self, quads: u64) -> [u32; 2] {
        let groups = quads.div_ceil(self.per_workgroup()).max(1);
        let rows = groups.div_ceil(u64::from(self.workgroups));
        // Both factors are at most the u32 limit by construction of `rows`.
        [groups.div_ceil(rows) as u32, rows as u32]
    }

    /// The maximum of quads that one dispatch can have and still count its elements in a u32.
    pub(crate) fn max_quads(&self) -> u64 {
        let groups = u64::from(self.workgroups) * u64::from(self.workgroups);
        groups.saturating_mul(self.per_workgroup()).min(1 << 29)
    }
}

/// How a kernel reaches four elements of a vector: axis `element` of the kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Element {
    /// Four at a time; every vector starts on a multiple of 16 bytes.
    Quads,
    /// One at a time, at any offset.
    Scalars,
}

/// One vector's part in a dispatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Binding {
    /// Which of the vector's spans.
    pub(crate) span: usize,
    /// The binding's offset in the buffer, in bytes; aligned.
    pub(crate) offset: u64,
    /// The binding's size, in bytes.
    pub(crate) size: u64,
    /// Elements between the binding's start and the first one of this dispatch.
    pub(crate) shift: u32,
}

/// One dispatch of the step kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dispatch {
    pub(crate) element: Element,
    /// The first element, counted over the whole vector.
    pub(crate) first: u64,
    /// How many elements are computed.
    pub(crate) len: u32,
    pub(crate) grid: [u32; 2],
    /// One for each vector, in their order.
    pub(crate) bindings: Vec<Binding>,
}

/// Cuts the elementwise work over `vectors`, which have equal total lengths, into dispatches
/// that cover every element once, in order.
///
/// A cut falls where any vector changes its buffer, where a binding would grow past the limit,
/// and before the last one to three elements of a run that has no padding: those go through
/// [`Element::Scalars`], since a load of four would reach past the caller's range.
pub(crate) fn plan(vectors: &[Vec<Span>], limits: &DispatchLimits) -> Vec<Dispatch> {
    let total: u64 = vectors.first().map_or(0, |spans| spans.iter().map(|span| span.len).sum());
    let mut cursors = vec![Cursor::default(); vectors.len()];
    let mut dispatches = Vec::new();
    let mut first = 0;
    while first < total {
        let dispatch = next_dispatch(vectors, &cursors, limits, first);
        let len = u64::from(dispatch.len);
        for (cursor, spans) in cursors.iter_mut().zip(vectors) {
            cursor.advance(len, spans);
        }
        first += len;
        dispatches.push(dispatch);
    }
    dispatches
}

/// How far a vector has been covered.
#[derive(Clone, Copy, Default)]
struct Cursor {
    span: usize,
    within: u64,
}

impl Cursor {
    fn remaining(&self, spans: &[Span]) -> u64 {
        spans[self.span].len - self.within
    }

    fn address(&self, spans: &[Span]) -> u64 {
        spans[self.span].offset + 4 * self.within
    }

    fn advance(&mut self, len: u64, spans: &[Span]) {
        self.within += len;
        if self.within == spans[self.span].len {
            *self = Self { span: self.span + 1, within: 0 };
        }
    }
}

fn next_dispatch(
    vectors: &[Vec<Span>],
    cursors: &[Cursor],
    limits: &DispatchLimits,
    first: u64,
) -> Dispatch {
    let places = || cursors.iter().zip(vectors);
    let lead = |address: u64| address % limits.alignment;
    let run = places().map(|(cursor, spans)| cursor.remaining(spans)).min().unwrap_or(0);
    // Whole groups of four, so that a cut keeps the alignment of what follows.
    let room = places()
        .map(|(cursor, spans)| {
            (limits.binding.saturating_sub(lead(cursor.address(spans)))) / 16 * 4
        })
        .min()
        .unwrap_or(0)
        .min(4 * limits.max_quads())
        .max(4);
    let len = run.min(room);
    let padded_here = |(cursor, spans): (&Cursor, &Vec<Span>)| {
        spans[cursor.span].padded && cursor.remaining(spans) == len
    };
    let aligned = places().all(|(cursor, spans)| cursor.address(spans).is_multiple_of(16));
    let (element, len) = if aligned && (len.is_multiple_of(4) || places().all(padded_here)) {
        (Element::Quads, len)
    } else if aligned && len >= 4 {
        (Element::Quads, len / 4 * 4)
    } else {
        (Element::Scalars, len)
    };
    let bytes = if element == Element::Quads { len.next_multiple_of(4) * 4 } else { len * 4 };
    let bindings = places()
        .map(|(cursor, spans)| {
            let lead = lead(cursor.address(spans));
            Binding {
                span: cursor.span,
                offset: cursor.address(spans) - lead,
                size: lead + bytes,
                shift: (lead / 4) as u32, // below the alignment, a u32 limit
            }
        })
        .collect();
    let grid = limits.grid(len.div_ceil(4));
    Dispatch { element, first, len: len as u32, grid, bindings }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
