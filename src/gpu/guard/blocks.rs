//! How the scan of gradient vectors becomes dispatches: a pure function of their places and the
//! device's limits. Blocks of 4096 elements are numbered vector after vector, whatever buffers and
//! bindings the vectors lie in.

use super::super::plan::Element;
use super::super::table::{Place, Window, in_cells, position_or_push};
use crate::numerics::sum::BLOCK;

/// The device's limits on a scan.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScanLimits {
    /// The size of a cell in bytes: the largest part of a buffer that can be bound.
    pub(super) cell: u64,
    /// The maximum number of windows in a dispatch, at least 1.
    pub(super) windows: usize,
    /// The maximum numbers of entries and of blocks in a dispatch.
    pub(super) entries: usize,
    pub(super) blocks: usize,
}

/// `struct Block` of `shaders/guard/scan.wgsl`, which documents the fields. Here, pieces count from
/// 0; the uploaded blocks count them as entries.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub(super) struct Block {
    pub(super) first_piece: u32,
    pub(super) end_piece: u32,
    pub(super) number: u32,
    pub(super) carried: u32,
    pub(super) goes_on: u32,
    pub(super) is_left: u32,
    pub(super) first_low: u32,
    pub(super) first_high: u32,
}

/// `struct Piece` of the WGSL.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub(super) struct Piece {
    pub(super) window: u32,
    pub(super) start: u32,
    pub(super) begin: u32,
    pub(super) end: u32,
}

/// One dispatch of the scan.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ScanDispatch {
    pub(super) element: Element,
    pub(super) windows: Vec<Window>,
    pub(super) blocks: Vec<Block>,
    pub(super) pieces: Vec<Piece>,
}

/// The number of places for a block that is carried from one dispatch to the next of its kind: one
/// place is read while the other is written.
pub(super) const CARRIED_BLOCKS: u64 = 2;

impl ScanDispatch {
    fn begin(&self, block: Block) -> Block {
        Block { first_piece: self.pieces.len() as u32, ..block }
    }

    fn end(&mut self, block: Block) {
        let end_piece = self.pieces.len() as u32;
        self.blocks.push(Block { end_piece, ..block });
    }

    /// The entries that the kernel reads.
    pub(super) fn entries(&self) -> Vec<[u32; 4]> {
        let first = 1 + 2 * self.blocks.len() as u32; // entries fit a binding
        let mut entries = vec![[self.blocks.len() as u32, 0, 0, 0]];
        for block in &self.blocks {
            let (first_piece, end_piece) = (first + block.first_piece, first + block.end_piece);
            let halves: [[u32; 4]; 2] = bytemuck::cast(Block { first_piece, end_piece, ..*block });
            entries.extend(halves);
        }
        entries.extend(self.pieces.iter().map(|&piece| bytemuck::cast::<_, [u32; 4]>(piece)));
        entries
    }
}

/// The whole scan.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ScanPlan {
    pub(super) dispatches: Vec<ScanDispatch>,
    /// The number of blocks of all vectors. Each block has one partial.
    pub(super) blocks: usize,
}

/// A run of a block's elements in one window.
struct Run {
    window: Window,
    piece: Piece,
    in_quads: bool,
}

/// Cuts the scan of `vectors` into dispatches.
pub(super) fn plan(vectors: &[Vec<Place>], limits: &ScanLimits) -> ScanPlan {
    let mut planner =
        Planner { limits, plan: ScanPlan::default(), open: [None; 2], carried: [0; 2] };
    let mut first = 0;
    for places in vectors {
        let len: u64 = places.iter().map(|place| place.span.len).sum();
        for (block, runs) in blocks_of(places, limits.cell) {
            planner.add(first + block * BLOCK as u64, &runs);
        }
        first += len;
    }
    planner.plan
}

/// The runs of each block of a vector.
fn blocks_of(places: &[Place], cell: u64) -> Vec<(u64, Vec<Run>)> {
    let block_len = BLOCK as u64;
    let mut blocks: Vec<(u64, Vec<Run>)> = Vec::new();
    let mut done = 0; // elements of the vector so far
    for place in in_cells(places, cell) {
        let (span, mut within) = (place.span, 0);
        while within < span.len {
            let at = done + within;
            let (block, begin) = (at / block_len, at % block_len);
            let count = (block_len - begin).min(span.len - within);
            let address = span.offset + 4 * within;
            let offset = address / cell * cell;
            let is_padded = span.padded && within + count == span.len;
            let in_quads = address.is_multiple_of(16)
                && begin.is_multiple_of(4)
                && (count.is_multiple_of(4) || is_padded);
            let piece = Piece {
                window: 0,
                start: ((address - offset) / 4) as u32, // within a binding
                begin: begin as u32,
                end: (begin + count) as u32,
            };
            let run = Run { window: Window { buffer: place.buffer, offset }, piece, in_quads };
            match blocks.last_mut() {
                Some((last, runs)) if *last == block => runs.push(run),
                _ => blocks.push((block, vec![run])),
            }
            within += count;
        }
        done += span.len;
    }
    blocks
}

struct Planner<'a> {
    limits: &'a ScanLimits,
    plan: ScanPlan,
    /// The last dispatch for quads and for scalars.
    open: [Option<usize>; 2],
    /// For quads and for scalars, the place of the block that was cut last.
    carried: [u32; 2],
}

impl Planner<'_> {
    /// Adds a block whose first element is number `first`. The block is cut where a dispatch has no
    /// room for another window.
    fn add(&mut self, first: u64, runs: &[Run]) {
        let quads = runs.iter().all(|run| run.in_quads);
        let element = if quads { Element::Quads } else { Element::Scalars };
        let fresh = Block {
            number: self.plan.blocks as u32, // partials fit a binding
            first_low: first as u32,
            first_high: (first >> 32) as u32,
            ..Block::default()
        };
        self.plan.blocks += 1;
        let mut current: Option<(usize, Block)> = None;
        for run in runs {
            let entries = if current.is_none() { 3 } else { 1 };
            let open = self.open[element as usize];
            let open = open.filter(|&index| self.has_room(index, run, entries));
            let index = open.unwrap_or_else(|| self.new_dispatch(element));
            let block = match current {
                Some((known, block)) if known == index => block,
                Some((full, block)) => {
                    // Each kind of dispatch has one cut block at a time. A dispatch may begin with
                    // one cut block and end with another, but it never reads the place that it
                    // writes.
                    let place = &mut self.carried[element as usize];
                    let carried = *place;
                    *place ^= 1;
                    self.plan.dispatches[full].end(Block { is_left: 1, carried, ..block });
                    let block = Block { goes_on: 1, carried: carried ^ 1, ..block };
                    self.plan.dispatches[index].begin(block)
                }
                None => self.plan.dispatches[index].begin(fresh),
            };
            current = Some((index, block));
            let target = &mut self.plan.dispatches[index];
            let window = position_or_push(&mut target.windows, run.window) as u32;
            target.pieces.push(Piece { window, ..run.piece });
        }
        if let Some((last, block)) = current {
            self.plan.dispatches[last].end(block);
        }
    }

    fn new_dispatch(&mut self, element: Element) -> usize {
        let (windows, blocks, pieces) = Default::default();
        self.plan.dispatches.push(ScanDispatch { element, windows, blocks, pieces });
        let index = self.plan.dispatches.len() - 1;
        self.open[element as usize] = Some(index);
        index
    }

    fn has_room(&self, index: usize, run: &Run, entries: usize) -> bool {
        let ScanDispatch { windows, blocks, pieces, .. } = &self.plan.dispatches[index];
        let known = windows.contains(&run.window) || windows.len() < self.limits.windows;
        // Three entries: the header, and the block that is not in the list yet.
        let used = 3 + 2 * blocks.len() + pieces.len();
        known && used + entries <= self.limits.entries && blocks.len() < self.limits.blocks
    }
}

#[cfg(test)]
#[path = "blocks_tests.rs"]
mod tests;
