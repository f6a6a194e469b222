//! The dispatches of a step over a pair of lists: made for a new pair, kept for the last few.

use super::super::optimizer::BoundDispatch;
use super::super::plan::Span;
use super::super::scope::caught;
use super::super::vector::GpuVec;
use super::error::GroupError;
use super::kernel::{GroupVariant, bind, pipeline};
use super::optimizer::GpuGroupOptimizer;
use super::table::{Place, TableDispatch, TableLimits, Tensor, Window, table};
use super::tensors::{Buffers, place};
use crate::rules::Rule;

/// Pairs of lists whose bindings are kept.
const KEPT_BINDINGS: usize = 4;
/// The dispatches of a step over one pair of lists.
#[derive(Debug)]
pub(super) struct Bindings {
    pub(super) params: Vec<GpuVec>,
    pub(super) grads: Vec<GpuVec>,
    pub(super) dispatches: Vec<BoundDispatch>,
}

impl<R: Rule> GpuGroupOptimizer<R> {
    /// Brings the bindings of this pair to the front; checks the pair and makes them if new.
    pub(super) fn prepare_bindings(
        &mut self,
        params: &[GpuVec],
        grads: &[GpuVec],
    ) -> Result<(), GroupError> {
        let known = self.bindings.iter().position(|b| b.params == params && b.grads == grads);
        if let Some(index) = known {
            self.bindings[..=index].rotate_right(1);
            return Ok(());
        }
        let dispatches = self.bind(params, grads)?;
        self.bindings.truncate(KEPT_BINDINGS - 1);
        let bindings = Bindings { params: params.to_vec(), grads: grads.to_vec(), dispatches };
        self.bindings.insert(0, bindings);
        Ok(())
    }

    fn bind(&self, params: &[GpuVec], grads: &[GpuVec]) -> Result<Vec<BoundDispatch>, GroupError> {
        let (buffers, [params, grads]) = place(&self.gpu, &self.lens, &self.arenas, params, grads)?;
        let tensors: Vec<Tensor> = params
            .into_iter()
            .zip(grads)
            .enumerate()
            .map(|(index, (params, grads))| {
                let group = self.group_of[index];
                let kernel = self.kernels[group as usize];
                Tensor { group, kernel, params, grads, state: self.state_places(index) }
            })
            .collect();
        let dispatches = table(&tensors, &self.limits);
        let (blocks, offsets) = self.upload_blocks(&dispatches)?;
        let bound = dispatches.iter().zip(offsets);
        bound
            .map(|(dispatch, offset)| self.bind_dispatch(dispatch, &buffers, (&blocks, offset)))
            .collect()
    }

    /// Where the state of a tensor lies, in every arena alike.
    fn state_places(&self, tensor: usize) -> Vec<Place> {
        let (Some(views), Some(arena)) = (self.state.first(), self.arenas.first()) else {
            // A rule without state is cut by its parameters and gradients alone.
            let span = Span { offset: 0, len: self.lens[tensor] as u64, padded: true };
            return vec![Place { buffer: 0, span }];
        };
        let number = |buffer| arena.buffers().position(|(known, _)| known == buffer).unwrap_or(0);
        let segments = views[tensor].segments().iter();
        segments.map(|s| Place { buffer: number(&s.buffer), span: s.span }).collect()
    }

    /// The blocks of all dispatches in one buffer, and where each dispatch's begin.
    fn upload_blocks(
        &self,
        dispatches: &[TableDispatch],
    ) -> Result<(wgpu::Buffer, Vec<u64>), GroupError> {
        let alignment = self.limits.dispatch.alignment as usize;
        let (mut bytes, mut offsets): (Vec<u8>, Vec<u64>) = Default::default();
        for dispatch in dispatches {
            bytes.resize(bytes.len().next_multiple_of(alignment), 0);
            offsets.push(bytes.len() as u64);
            bytes.extend_from_slice(bytemuck::cast_slice(&dispatch.blocks));
        }
        let buffer = caught(self.gpu.device(), || {
            let buffer = self.gpu.device().create_buffer(&wgpu::BufferDescriptor {
                label: Some("wgpu-optim blocks"),
                size: bytes.len() as u64,
                usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            self.gpu.queue().write_buffer(&buffer, 0, &bytes);
            buffer
        })?;
        Ok((buffer, offsets))
    }

    fn bind_dispatch(
        &self,
        dispatch: &TableDispatch,
        buffers: &Buffers,
        (blocks, offset): (&wgpu::Buffer, u64),
    ) -> Result<BoundDispatch, GroupError> {
        let groups = self.rules.len();
        let names = &self.state_names;
        let variant = GroupVariant::of(dispatch, &buffers.written, self.precision, groups, names);
        let rule = &self.rules[dispatch.kernel];
        let workgroup_size = self.limits.dispatch.workgroup_size;
        let pipeline = pipeline(&self.gpu, rule, &variant, workgroup_size, &self.slots)?;
        let size = wgpu::BufferSize::new(size_of_val(&dispatch.blocks[..]) as u64);
        let blocks = wgpu::BufferBinding { buffer: blocks, offset, size };
        let part = |buffer, window: Window| self.limits.part(buffer, window);
        let arena = dispatch.state.buffer;
        let state =
            self.arenas.iter().map(|vector| part(&vector.segments()[arena].buffer, dispatch.state));
        let windows =
            dispatch.windows.iter().map(|&window| part(&buffers.list[window.buffer], window));
        let device = self.gpu.device();
        let bind_group = caught(device, || bind(device, &variant, blocks, state, windows))?;
        Ok(BoundDispatch { pipeline, bind_group, grid: dispatch.grid(&self.limits.dispatch) })
    }
}

impl TableLimits {
    /// The part of `buffer` that `window` is.
    fn part<'a>(&self, buffer: &'a wgpu::Buffer, window: Window) -> wgpu::BufferBinding<'a> {
        let size = self.cell().min(buffer.size() - window.offset) / 4 * 4;
        let (offset, size) = (window.offset, wgpu::BufferSize::new(size));
        wgpu::BufferBinding { buffer, offset, size }
    }
}
