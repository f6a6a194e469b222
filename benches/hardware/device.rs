//! The device under test.

use std::error::Error;

use wgpu_optim::{AdapterKind, Gpu, GpuRequest, RequestError, StepError, VectorError, wgpu};

use crate::Result;
use crate::machine::available_bytes;

/// The first hardware GPU, or else the first software driver, with its clock if it has one.
pub(crate) fn open() -> std::result::Result<Gpu, RequestError> {
    let features = wgpu::Features::TIMESTAMP_QUERY;
    let hardware = GpuRequest { kind: AdapterKind::Hardware, features, ..GpuRequest::default() };
    Gpu::request_blocking(&hardware).or_else(|_| {
        Gpu::request_blocking(&GpuRequest { kind: AdapterKind::Any, ..hardware.clone() })
    })
}

/// What the driver tests and the proof call the device.
pub(crate) fn driver_name(info: &wgpu::AdapterInfo) -> String {
    let name = info.name.to_lowercase();
    let software = [("llvmpipe", "lavapipe"), ("swiftshader", "swiftshader")];
    let known = software.into_iter().find(|(adapter, _)| name.contains(adapter));
    known.map_or_else(|| info.name.clone(), |(_, driver)| driver.to_owned())
}

/// Memory that the host does not have.
#[derive(Debug, thiserror::Error)]
#[error("needs {needed} MiB and a reserve of {reserve} MiB, but {available} MiB are available")]
struct NoRoom {
    needed: u64,
    reserve: u64,
    available: u64,
}

/// Checks that there are `bytes` bytes for the device. A discrete GPU reports a lack itself; a driver that
/// takes the host's memory may promise more than there is.
///
/// # Errors
/// If there are fewer.
pub(crate) fn check_room(gpu: &Gpu, bytes: u64) -> Result<()> {
    /// Left for the rest of the machine, in MiB.
    const RESERVE: u64 = 1 << 10;
    if gpu.info().device_type == wgpu::DeviceType::DiscreteGpu {
        return Ok(());
    }
    let Some(available) = available_bytes() else { return Ok(()) };
    let [needed, available] = [bytes, available].map(|bytes| bytes >> 20);
    if needed + RESERVE > available {
        return Err(NoRoom { needed, reserve: RESERVE, available }.into());
    }
    Ok(())
}

/// Whether a case failed for lack of memory.
pub(crate) fn is_lack_of_memory(error: &(dyn Error + 'static)) -> bool {
    let vector = error.downcast_ref::<VectorError>();
    let step = error.downcast_ref::<StepError>();
    error.is::<NoRoom>()
        || matches!(vector, Some(VectorError::OutOfMemory { .. }))
        || matches!(step, Some(StepError::OutOfMemory { .. }))
        || matches!(step, Some(StepError::State(VectorError::OutOfMemory { .. })))
}
