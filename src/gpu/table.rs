//! How a step over many tensors becomes dispatches: a pure function of where the tensors lie and
//! of the device's limits.
//!
//! Every buffer is cut into cells of the largest size that can be bound, at fixed places, so that
//! no two bindings overlap. A *window* is a cell that a dispatch binds, a *route* a window of
//! parameters with one of gradients. Each tensor is cut into pieces that lie in one cell of every
//! vector ([`plan`] does it), and pieces into *blocks*, one for each workgroup. A dispatch takes
//! pieces as long as there are bindings for their windows; tensors that share buffers share
//! windows, so that any number of views of one buffer is one dispatch.

use super::plan::{DispatchLimits, Element, Piece, Span, plan};
use super::shape::KernelShape;

/// A run of elements in one of the buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The buffer's number in the list of all buffers.
    pub(crate) buffer: usize,
    pub(crate) span: Span,
}

/// One tensor of the list; its three vectors have equal lengths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tensor {
    /// Its parameter group.
    pub(crate) group: u32,
    /// Groups whose rules choose the same formulas have the same kernel number.
    pub(crate) kernel: usize,
    pub(crate) params: Vec<Place>,
    pub(crate) grads: Vec<Place>,
    /// In each state vector alike; the buffer is the number of the arena's buffer.
    pub(crate) state: Vec<Place>,
}

/// What the device allows, and how the work is shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TableLimits {
    pub(crate) dispatch: DispatchLimits,
    /// How many windows a dispatch may bind; at least 2.
    pub(crate) windows: usize,
    /// How many routes a kernel may have; at least 1.
    pub(crate) routes: usize,
    /// The most groups of four elements that a workgroup computes.
    pub(crate) block: u32,
}

/// The maximum number of buffers that a kernel is written for, whatever the device allows.
const MAX_WINDOWS: usize = 32;
/// The maximum number of pairs of buffers that a kernel branches between: each is a copy of the update.
const MAX_ROUTES: usize = 16;

impl TableLimits {
    /// For kernels in a shape, with so many state vectors.
    pub(crate) fn new(limits: &wgpu::Limits, shape: KernelShape, state: u32) -> Self {
        Self {
            dispatch: DispatchLimits::of(limits, shape.workgroup_size),
            windows: windows(limits, 1 + state, 1).max(2),
            routes: MAX_ROUTES,
            block: shape.workgroup_size * shape.quads_per_invocation,
        }
    }

    /// The maximum number of blocks in one dispatch: workgroups in two dimensions, and the table in
    /// one binding.
    fn max_blocks(&self) -> usize {
        let workgroups = u64::from(self.dispatch.workgroups).pow(2);
        let entries = self.dispatch.binding / size_of::<Block>() as u64;
        usize::try_from(workgroups.min(entries).max(1)).unwrap_or(usize::MAX)
    }
}

/// How many windows fit beside so many other storage buffers and uniforms.
pub(crate) fn windows(limits: &wgpu::Limits, others: u32, uniforms: u32) -> usize {
    let all = limits.max_buffers_and_acceleration_structures_per_shader_stage;
    let places = limits
        .max_storage_buffers_per_shader_stage
        .min(all.saturating_sub(uniforms))
        // Bindings are numbered up to this limit.
        .min(limits.max_bindings_per_bind_group);
    MAX_WINDOWS.min(places.saturating_sub(others) as usize)
}

/// A cell of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Window {
    pub(crate) buffer: usize,
    /// Where it starts, in bytes; aligned.
    pub(crate) offset: u64,
}

/// What a workgroup computes: `struct Block` of `shaders/place/table.wgsl`. Starts and `len` count groups
/// of four, or elements with [`Element::Scalars`], from the start of the window.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct Block {
    pub(crate) route: u32,
    pub(crate) group: u32,
    pub(crate) len: u32,
    pub(crate) params_start: u32,
    pub(crate) grads_start: u32,
    pub(crate) state_start: u32,
    pub(crate) unused_0: u32,
    pub(crate) unused_1: u32,
}

/// One dispatch over blocks of many tensors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableDispatch {
    pub(crate) kernel: usize,
    pub(crate) element: Element,
    /// The part of every state arena that is bound.
    pub(crate) state: Window,
    /// In the order of their bindings.
    pub(crate) windows: Vec<Window>,
    /// Which window has the parameters, and which the gradients.
    pub(crate) routes: Vec<[usize; 2]>,
    pub(crate) blocks: Vec<Block>,
}

impl TableDispatch {
    pub(crate) fn grid(&self, limits: &DispatchLimits) -> [u32; 2] {
        limits.grid(self.blocks.len() as u64 * u64::from(limits.workgroup_size))
    }

    /// Whether `windows` and the route between them could be bound along with the present ones.
    fn has_room(&self, windows: [Window; 2], limits: &TableLimits) -> bool {
        let at = windows.map(|window| self.windows.iter().position(|known| *known == window));
        let same = usize::from(windows[0] == windows[1]);
        let new = at.iter().skip(same).filter(|known| known.is_none()).count();
        let is_known = self.routes.iter().any(|route| at == route.map(Some));
        self.windows.len() + new <= limits.windows
            && (is_known || self.routes.len() < limits.routes)
            && self.blocks.len() < limits.max_blocks()
    }

    fn route(&mut self, windows: [Window; 2]) -> u32 {
        let route = windows.map(|window| position_or_push(&mut self.windows, window));
        position_or_push(&mut self.routes, route) as u32
    }
}

/// Where `item` is in `list`, at whose end it is put if it is new. Lists of windows are short.
pub(crate) fn position_or_push<T: PartialEq>(list: &mut Vec<T>, item: T) -> usize {
    list.iter().position(|known| *known == item).unwrap_or_else(|| {
        list.push(item);
        list.len() - 1
    })
}

/// Cuts the work over `tensors` into dispatches that cover every element once.
pub(crate) fn table(tensors: &[Tensor], limits: &TableLimits) -> Vec<TableDispatch> {
    let mut dispatches: Vec<TableDispatch> = Vec::new();
    for tensor in tensors {
        let vectors = [&tensor.params, &tensor.grads, &tensor.state];
        let cells = vectors.map(|places| in_cells(places, limits.dispatch.cell()));
        let spans: Vec<Vec<Span>> =
            cells.iter().map(|places| places.iter().map(|place| place.span).collect()).collect();
        for piece in plan(&spans, &limits.dispatch) {
            let at = |vector: usize| {
                let binding = &piece.bindings[vector];
                let address = binding.offset + 4 * u64::from(binding.shift);
                let offset = address / limits.dispatch.cell() * limits.dispatch.cell();
                let buffer = cells[vector][binding.span].buffer;
                (Window { buffer, offset }, address - offset)
            };
            let places = [at(0), at(1), at(2)];
            add(&mut dispatches, tensor, &piece, places, limits);
        }
    }
    dispatches
}

/// Adds a piece, block by block, to the last dispatch of its kind, or to new ones.
fn add(
    dispatches: &mut Vec<TableDispatch>,
    tensor: &Tensor,
    piece: &Piece,
    [params, grads, state]: [(Window, u64); 3],
    limits: &TableLimits,
) {
    let (unit, len, max) = match piece.element {
        Element::Quads => (16, piece.len.div_ceil(4), limits.block),
        Element::Scalars => (4, piece.len, 4 * limits.block),
    };
    for first in (0..len).step_by(max as usize) {
        let same_kind = |dispatch: &TableDispatch| {
            (dispatch.kernel, dispatch.element, dispatch.state)
                == (tensor.kernel, piece.element, state.0)
        };
        let index = match dispatches.iter().rposition(same_kind) {
            Some(index) if dispatches[index].has_room([params.0, grads.0], limits) => index,
            _ => {
                let (kernel, element, state) = (tensor.kernel, piece.element, state.0);
                let (windows, routes, blocks) = Default::default();
                dispatches.push(TableDispatch { kernel, element, state, windows, routes, blocks });
                dispatches.len() - 1
            }
        };
        let dispatch = &mut dispatches[index];
        let route = dispatch.route([params.0, grads.0]);
        // Within a binding, all of these are far below 2^32.
        let start = |(_, bytes): (Window, u64)| (bytes / unit) as u32 + first;
        dispatch.blocks.push(Block {
            route,
            group: tensor.group,
            len: max.min(len - first),
            params_start: start(params),
            grads_start: start(grads),
            state_start: start(state),
            unused_0: 0,
            unused_1: 0,
        });
    }
}

/// Cuts places where a cell ends.
pub(crate) fn in_cells(places: &[Place], cell: u64) -> Vec<Place> {
    let mut cut = Vec::new();
    for place in places {
        let (mut offset, end) = (place.span.offset, place.span.offset + 4 * place.span.len);
        while offset < end {
            let next = end.min((offset / cell + 1) * cell);
            let padded = place.span.padded && next == end;
            let span = Span { offset, len: (next - offset) / 4, padded };
            cut.push(Place { span, ..*place });
            offset = next;
        }
    }
    cut
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
