//! What a device allows an optimizer over groups, and how the work is shared out on it.

use super::super::context::Gpu;
use super::super::errors::StepError;
use super::super::plan::DispatchLimits;
use super::super::slots::SLOT_BYTES;
use super::super::step_kernel::FIRST_STATE_BINDING;
use super::table::{Block, TableLimits};

/// The most buffers that a kernel is written for, whatever the device allows.
const MOST_WINDOWS: usize = 32;
/// The most pairs of buffers that a kernel branches between: each is a copy of the update.
const MOST_ROUTES: usize = 16;
/// Invocations in a workgroup, each with one group of four.
const WORKGROUP_SIZE: u32 = 128;
/// The same where the device is software, which runs a workgroup's invocations one after another,
/// a few lanes at a time, and every branch for all of them: few invocations over long blocks.
const SOFTWARE_WORKGROUP_SIZE: u32 = 8;
const SOFTWARE_BLOCK: u32 = 512;

/// How the work over tensors with so many state vectors is shared out on a device.
pub(super) fn table_limits(gpu: &Gpu, state: u32) -> TableLimits {
    let limits = gpu.device().limits();
    let software = gpu.info().device_type == wgpu::DeviceType::Cpu;
    let (workgroup_size, block) = if software {
        (SOFTWARE_WORKGROUP_SIZE, SOFTWARE_BLOCK)
    } else {
        (WORKGROUP_SIZE, WORKGROUP_SIZE)
    };
    TableLimits {
        dispatch: DispatchLimits::of(&limits, workgroup_size),
        windows: windows(&limits, state),
        routes: MOST_ROUTES,
        block,
    }
}

/// How many windows fit beside the blocks, `state` vectors and the uniform slot.
fn windows(limits: &wgpu::Limits, state: u32) -> usize {
    let places = [
        limits.max_storage_buffers_per_shader_stage.saturating_sub(1 + state),
        limits.max_buffers_and_acceleration_structures_per_shader_stage.saturating_sub(2 + state),
        // Bindings are numbered up to this limit.
        limits.max_bindings_per_bind_group.saturating_sub(FIRST_STATE_BINDING + state),
    ];
    places.into_iter().fold(MOST_WINDOWS, |least, room| least.min(room as usize)).max(2)
}

/// Whether the device can run a kernel with so many state vectors and `uniforms` bytes of
/// hyper-parameters at all.
pub(super) fn check_limits(
    limits: &wgpu::Limits,
    state: u32,
    uniforms: u64,
) -> Result<(), StepError> {
    let alignment = u64::from(limits.min_storage_buffer_offset_alignment).max(16);
    let needs = [
        (
            "max_storage_buffers_per_shader_stage",
            3 + u64::from(state),
            u64::from(limits.max_storage_buffers_per_shader_stage),
        ),
        (
            "max_buffers_and_acceleration_structures_per_shader_stage",
            4 + u64::from(state),
            u64::from(limits.max_buffers_and_acceleration_structures_per_shader_stage),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_what_every_limit_leaves() {
        let none = wgpu::Limits {
            max_storage_buffers_per_shader_stage: u32::MAX,
            max_buffers_and_acceleration_structures_per_shader_stage: u32::MAX,
            max_bindings_per_bind_group: u32::MAX,
            ..wgpu::Limits::default()
        };
        assert_eq!(windows(&none, 1), MOST_WINDOWS);
        let storage = wgpu::Limits { max_storage_buffers_per_shader_stage: 8, ..none.clone() };
        assert_eq!((windows(&storage, 1), windows(&storage, 2)), (6, 5));
        let max_buffers_and_acceleration_structures_per_shader_stage = 28;
        let buffers = wgpu::Limits {
            max_buffers_and_acceleration_structures_per_shader_stage,
            ..none.clone()
        };
        assert_eq!(windows(&buffers, 1), 25);
        let bindings = wgpu::Limits { max_bindings_per_bind_group: 10, ..none };
        assert_eq!(windows(&bindings, 2), 5);
    }
}
