//! Bound dispatches, and how they are encoded.

use std::sync::Arc;

use super::context::Gpu;
use super::errors::DeviceError;
use super::kernel::{Compiled, DECISION_GROUP, OWN_GROUP, UNIFORM_GROUP};
use super::memory::PartGuard;
use super::slots::Slot;

/// A dispatch with its pipeline, its buffers and its grid.
#[derive(Debug)]
pub(crate) struct BoundDispatch {
    pipeline: wgpu::ComputePipeline,
    bind_group: wgpu::BindGroup,
    grid: [u32; 2],
}

/// Dispatches in order, and the memory that they read, which they hold until the device has run
/// them.
#[derive(Debug, Default)]
pub(crate) struct Pass {
    pub(crate) dispatches: Vec<BoundDispatch>,
    /// It holds no wgpu handle, so it is `Send` on all targets.
    held: Option<Arc<Vec<Arc<PartGuard>>>>,
}

/// The maximum number of passes in a step: sums of rows, guard, tensors, rows.
const MAX_PASSES: usize = 4;

impl Pass {
    /// Adds a dispatch of a kernel over these buffers, in the order of its bindings.
    pub(crate) fn add<'a>(
        &mut self,
        gpu: &Gpu,
        kernel: &Compiled,
        buffers: impl IntoIterator<Item = wgpu::BufferBinding<'a>>,
        grid: [u32; 2],
    ) -> Result<(), DeviceError> {
        let (pipeline, bind_group) = (kernel.pipeline.clone(), kernel.bind(gpu, buffers)?);
        self.dispatches.push(BoundDispatch { pipeline, bind_group, grid });
        Ok(())
    }

    /// Holds parts of shared buffers for as long as the pass lives.
    pub(crate) fn hold(&mut self, guards: impl Iterator<Item = Arc<PartGuard>>) {
        Arc::make_mut(self.held.get_or_insert_default()).extend(guards);
    }

    /// Appends another pass.
    pub(crate) fn append(&mut self, mut other: Self) {
        self.dispatches.append(&mut other.dispatches);
        let others = other.held.iter().flat_map(|held| held.iter().cloned());
        self.hold(others);
    }
}

/// Encodes passes that read the uniforms in `slot`, and the decision if there is one.
pub(crate) fn encode(
    encoder: &mut wgpu::CommandEncoder,
    label: &str,
    passes: [Option<&Pass>; MAX_PASSES],
    slot: &Slot,
    decision: Option<&wgpu::BindGroup>,
) {
    let mut compute = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
        label: Some(label),
        timestamp_writes: None,
    });
    compute.set_bind_group(UNIFORM_GROUP, &slot.bind_group, &[slot.offset()]);
    if let Some(decision) = decision {
        compute.set_bind_group(DECISION_GROUP, decision, &[]);
    }
    for pass in passes.into_iter().flatten() {
        for dispatch in &pass.dispatches {
            compute.set_pipeline(&dispatch.pipeline);
            compute.set_bind_group(OWN_GROUP, &dispatch.bind_group, &[]);
            compute.dispatch_workgroups(dispatch.grid[0], dispatch.grid[1], 1);
        }
    }
    drop(compute);
    // Slot and memory are freed when the device has read them, or the commands are dropped.
    let (guard, held) = (slot.guard(), passes.map(|pass| pass?.held.clone()));
    encoder.on_submitted_work_done(move || drop((guard, held)));
}
