//! The devices that the benchmarks run on.

use wgpu_optim::{Gpu, GpuRequest, wgpu};

/// Every adapter that Vulkan, Metal or DirectX finds.
pub(crate) fn gpus() -> Vec<(String, Gpu)> {
    let adapters = pollster::block_on(Gpu::adapters(&GpuRequest::default()));
    let open = |info: wgpu::AdapterInfo| {
        // With its clock, if it has one.
        let features = wgpu::Features::TIMESTAMP_QUERY;
        let request = GpuRequest { features, ..GpuRequest::named(info.name.clone()) };
        let gpu = Gpu::request_blocking(&request).ok()?;
        Some((short_name(&info.name), gpu))
    };
    adapters.into_iter().filter_map(open).collect()
}

/// The first word of an adapter's name, usable as the name of a folder.
fn short_name(name: &str) -> String {
    let word = name.split_whitespace().next().unwrap_or("gpu");
    word.chars().filter(char::is_ascii_alphanumeric).collect()
}
