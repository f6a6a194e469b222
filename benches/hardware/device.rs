//! The device under test.

use wgpu_optim::{AdapterKind, Gpu, GpuRequest, RequestError, wgpu};

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

/// Checks that there are `bytes` bytes for the device. A discrete GPU reports a lack itself; a driver that
/// takes the host's memory may promise more than there is.
///
/// # Errors
/// There are fewer.
pub(crate) fn check_room(gpu: &Gpu, bytes: u64) -> Result<()> {
    /// Left for the rest of the machine.
    const RESERVE: u64 = 1 << 30;
    if gpu.info().device_type == wgpu::DeviceType::DiscreteGpu {
        return Ok(());
    }
    match available_bytes() {
        Some(available) if available < bytes + RESERVE => {
            let mebibytes = [bytes, available].map(|bytes| bytes >> 20);
            let [needed, available] = mebibytes;
            Err(format!("needs {needed} MiB and 1 GiB to spare of {available} MiB").into())
        }
        _ => Ok(()),
    }
}
