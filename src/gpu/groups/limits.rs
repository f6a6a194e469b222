//! What a device allows an optimizer over groups, and how the work is shared out on it.

use super::super::context::Gpu;
use super::super::errors::StepError;
use super::super::plan::DispatchLimits;
use super::super::slots::SLOT_BYTES;
use super::table::{Block, TableLimits};
use crate::rules::Rule;

/// The most buffers that a kernel is written for, whatever the device allows.
const MOST_WINDOWS: usize = 32;
/// The most pairs of buffers that a kernel branches between: each is a copy of the update.
const MOST_ROUTES: usize = 16;

/// How the work over `R`'s tensors is shared out on a device.
pub(super) fn table_limits<R: Rule>(gpu: &Gpu) -> TableLimits {
    let limits = gpu.device().limits();
    // A driver in software runs a workgroup's invocations one vector of a few lanes after another,
    // and all branches of all: there long runs of few invocations are fastest.
    let software = gpu.info().device_type == wgpu::DeviceType::Cpu;
    let (workgroup_size, block) = if software { (8, 512) } else { (128, 128) };
    let storage = limits.max_storage_buffers_per_shader_stage as usize;
    TableLimits {
        dispatch: DispatchLimits::of(&limits, workgroup_size),
        windows: storage.saturating_sub(1 + R::STATE.len()).clamp(2, MOST_WINDOWS),
        routes: MOST_ROUTES,
        block,
    }
}

/// Whether the device can run `R`'s kernel with `uniforms` bytes of hyper-parameters at all.
pub(super) fn check_limits<R: Rule>(limits: &wgpu::Limits, uniforms: u64) -> Result<(), StepError> {
    let alignment = u64::from(limits.min_storage_buffer_offset_alignment).max(16);
    let needs = [
        (
            "max_storage_buffers_per_shader_stage",
            3 + R::STATE.len() as u64,
            u64::from(limits.max_storage_buffers_per_shader_stage),
        ),
        (
            "max_storage_buffer_binding_size",
            alignment.max(size_of::<Block>() as u64),
            limits.max_storage_buffer_binding_size,
        ),
        (
            "max_uniform_buffer_binding_size",
            uniforms.next_multiple_of(SLOT_BYTES),
            limits.max_uniform_buffer_binding_size,
        ),
        ("max_bind_groups", 2, u64::from(limits.max_bind_groups)),
    ];
    for (limit, needed, allowed) in needs {
        if needed > allowed {
            return Err(StepError::Limit { limit, needed, allowed });
        }
    }
    Ok(())
}
