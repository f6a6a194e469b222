//! How a step over many tensors becomes dispatches: a pure function of the tensors' places and the
//! device's limits.
//!
//! Every buffer is divided at fixed places into cells of the largest size that can be bound, so
//! that no two bindings overlap. A *window* is a cell that a dispatch binds. A *route* is a window
//! of parameters with one of gradients and one of each state vector. [`plan`] cuts each tensor into
//! pieces that lie in one cell of every vector. Pieces are cut into *blocks*, one for each
//! workgroup. A dispatch takes pieces as long as there are bindings for their windows. Tensors that
//! share buffers share windows, so that any number of views of one buffer is one dispatch.
//!
//! A kernel is compiled for the routes of its dispatch. Where vectors move from step to step, as
//! those of a tensor library do, routes are *separate*: each has windows of its own, so that few
//! kernels serve all steps.

use std::collections::HashMap;

use super::plan::{Binding, DispatchLimits, Element, Piece, Span, plan};
use super::shape::KernelShape;

/// A run of elements in one of the buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// The buffer's number in the list of all buffers.
    pub(crate) buffer: usize,
    pub(crate) span: Span,
}

/// One tensor of the list; its vectors have equal lengths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tensor {
    /// Its parameter group.
    pub(crate) group: u32,
    /// Groups whose rules choose the same formulas have the same kernel number.
    pub(crate) kernel: usize,
    /// Parameters, gradients, and each state vector.
    pub(crate) vectors: Vec<Vec<Place>>,
}

/// The device's limits, and how the work is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TableLimits {
    pub(crate) dispatch: DispatchLimits,
    /// The maximum number of windows in a dispatch, at least 2.
    pub(crate) windows: usize,
    /// The maximum number of routes in a kernel, at least 1.
    pub(crate) routes: usize,
    /// Whether no two routes of a dispatch share a window.
    pub(crate) separate: bool,
    /// The maximum number of quads that a workgroup computes.
    pub(crate) block: u32,
}

/// The maximum number of windows in a kernel, even if the device allows more.
const MAX_WINDOWS: usize = 32;
/// The maximum number of routes in a kernel, which has a copy of the update for each.
const MAX_ROUTES: usize = 16;
/// The same for separate routes, whose vectors move: a kernel is compiled for each number of them.
const MAX_SEPARATE_ROUTES: usize = 8;

impl TableLimits {
    /// The limits for kernels of this shape that bind `others` storage buffers besides the blocks
    /// and the windows.
    pub(crate) fn new(
        limits: &wgpu::Limits,
        shape: KernelShape,
        others: u32,
        separate: bool,
    ) -> Self {
        Self {
            dispatch: DispatchLimits::of(limits, shape.workgroup_size),
            windows: windows(limits, 1 + others, 1),
            routes: if separate { MAX_SEPARATE_ROUTES } else { MAX_ROUTES },
            separate,
            block: shape.workgroup_size * shape.quads_per_invocation,
        }
    }

    /// The maximum number of blocks in one dispatch: workgroups fill two dimensions, and the table
    /// fits one binding.
    fn max_blocks(&self) -> usize {
        let workgroups = u64::from(self.dispatch.workgroups).pow(2);
        let entries = self.dispatch.binding / size_of::<Block>() as u64;
        usize::try_from(workgroups.min(entries).max(1)).unwrap_or(usize::MAX)
    }
}

/// The number of windows that fit beside `others` storage buffers and `uniforms` uniforms.
pub(crate) fn windows(limits: &wgpu::Limits, others: u32, uniforms: u32) -> usize {
    let all = limits.max_buffers_and_acceleration_structures_per_shader_stage;
    let places = limits
        .max_storage_buffers_per_shader_stage
        .min(all.saturating_sub(uniforms))
        // Binding numbers are below this limit.
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

/// What a workgroup computes: `struct Block` of `shaders/place/table.wgsl`. Starts and `len` count
/// quads, or elements with [`Element::Scalars`], from the start of the window.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub(crate) struct Block {
    pub(crate) route: u32,
    pub(crate) group: u32,
    pub(crate) len: u32,
    pub(crate) params_start: u32,
    pub(crate) grads_start: u32,
    pub(crate) state_start_0: u32,
    pub(crate) state_start_1: u32,
    pub(crate) state_start_2: u32,
}

/// One dispatch over blocks of many tensors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableDispatch {
    pub(crate) kernel: usize,
    pub(crate) element: Element,
    /// In the order of their bindings.
    pub(crate) windows: Vec<Window>,
    /// For each route, the numbers of the windows of parameters, gradients and each state vector.
    pub(crate) routes: Vec<Vec<usize>>,
    pub(crate) blocks: Vec<Block>,
}

impl TableDispatch {
    pub(crate) fn grid(&self, limits: &DispatchLimits) -> [u32; 2] {
        limits.grid(self.blocks.len() as u64 * u64::from(limits.workgroup_size))
    }

    /// The number of the route over `windows`. Adds the route if there is room for it.
    fn route(&mut self, windows: &[Window], limits: &TableLimits) -> Option<u32> {
        let mut all = self.windows.clone();
        let route: Vec<_> = windows.iter().map(|&w| position_or_push(&mut all, w)).collect();
        let known = self.routes.iter().position(|known| *known == route);
        let separate = all.len() == (self.routes.len() + 1) * windows.len();
        let has_room = known.is_some()
            || (all.len() <= limits.windows
                && self.routes.len() < limits.routes
                && (separate || !limits.separate));
        (has_room && self.blocks.len() < limits.max_blocks()).then(|| {
            self.windows = all;
            known.unwrap_or_else(|| position_or_push(&mut self.routes, route)) as u32
        })
    }
}

/// The position of `item` in `list`, which is short. Appends it if it is new.
pub(crate) fn position_or_push<T: PartialEq>(list: &mut Vec<T>, item: T) -> usize {
    list.iter().position(|known| *known == item).unwrap_or_else(|| {
        list.push(item);
        list.len() - 1
    })
}

/// Cuts the work over `tensors` into dispatches that cover every element once.
pub(crate) fn table(tensors: &[Tensor], limits: &TableLimits) -> Vec<TableDispatch> {
    let mut dispatches = Dispatches::default();
    let cell = limits.dispatch.cell();
    for tensor in tensors {
        let cells: Vec<_> = tensor.vectors.iter().map(|places| in_cells(places, cell)).collect();
        let spans: Vec<Vec<Span>> =
            cells.iter().map(|places| places.iter().map(|place| place.span).collect()).collect();
        for piece in plan(&spans, &limits.dispatch) {
            let at = |(cells, binding): (&Vec<Place>, &Binding)| {
                let address = binding.offset + 4 * u64::from(binding.shift);
                let offset = address / cell * cell;
                (Window { buffer: cells[binding.span].buffer, offset }, address - offset)
            };
            let (windows, starts): (Vec<_>, Vec<_>) =
                cells.iter().zip(&piece.bindings).map(at).unzip();
            add(&mut dispatches, tensor, &piece, &windows, &starts, limits);
        }
    }
    dispatches.list
}

/// What a dispatch can have only one of: the kernel's number, and the access to elements.
type Kind = (usize, Element);

/// Dispatches under construction.
#[derive(Debug, Default)]
struct Dispatches {
    list: Vec<TableDispatch>,
    /// The last dispatch with a route over these windows.
    with_route: HashMap<(Kind, Vec<Window>), usize>,
}

/// Adds a piece, block by block, to the last dispatch with its route, to the last one of its kind,
/// or to new ones. `windows` and `starts` have, for each vector, its window and the piece's start
/// there in bytes.
fn add(
    dispatches: &mut Dispatches,
    tensor: &Tensor,
    piece: &Piece,
    windows: &[Window],
    starts: &[u64],
    limits: &TableLimits,
) {
    let (unit, len, max) = match piece.element {
        Element::Quads => (16, piece.len.div_ceil(4), limits.block),
        Element::Scalars => (4, piece.len, 4 * limits.block),
    };
    let kind = (tensor.kernel, piece.element);
    let mut joined = None;
    for first in (0..len).step_by(max as usize) {
        let full =
            |&(index, _): &(usize, u32)| dispatches.list[index].blocks.len() == limits.max_blocks();
        if joined.as_ref().is_none_or(full) {
            joined = Some(dispatches.join(kind, windows, limits));
        }
        let Some((index, route)) = joined else { continue };
        // Within a binding, all of these are far below 2^32.
        let start =
            |vector: usize| starts.get(vector).map_or(0, |bytes| (bytes / unit) as u32 + first);
        dispatches.list[index].blocks.push(Block {
            route,
            group: tensor.group,
            len: max.min(len - first),
            params_start: start(0),
            grads_start: start(1),
            state_start_0: start(2),
            state_start_1: start(3),
            state_start_2: start(4),
        });
    }
}

impl Dispatches {
    /// Finds or adds a dispatch of this kind with a route over `windows`. Returns its index and the
    /// route's number.
    fn join(&mut self, kind: Kind, windows: &[Window], limits: &TableLimits) -> (usize, u32) {
        let key = (kind, windows.to_vec());
        let known = self.with_route.get(&key).copied();
        let last = || self.list.iter().rposition(|d| (d.kernel, d.element) == kind);
        for index in known.into_iter().chain(last()) {
            if let Some(route) = self.list[index].route(windows, limits) {
                self.with_route.insert(key, index);
                return (index, route);
            }
        }
        let mut windows_of_one = Vec::new();
        let route = windows.iter().map(|&w| position_or_push(&mut windows_of_one, w)).collect();
        let (windows, routes, blocks) = (windows_of_one, vec![route], Vec::new());
        let (kernel, element) = kind;
        self.list.push(TableDispatch { kernel, element, windows, routes, blocks });
        let index = self.list.len() - 1;
        self.with_route.insert(key, index);
        (index, 0)
    }
}

/// Cuts places at the ends of cells.
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
