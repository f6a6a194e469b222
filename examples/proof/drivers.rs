//! The drivers that are present.

use std::error::Error;

use wgpu_optim::{AdapterKind, Gpu, GpuRequest};

use crate::arguments::Arguments;

/// A driver under proof.
pub(crate) struct Driver {
    pub(crate) name: String,
    pub(crate) gpu: Gpu,
    /// The number of cases is divided by this.
    pub(crate) share: u64,
}

/// The software drivers and the names of their adapters.
const SOFTWARE: [(&str, &str); 2] = [("lavapipe", "llvmpipe"), ("swiftshader", "swiftshader")];

impl Driver {
    fn open(name: &str, request: &GpuRequest, share: u64) -> Result<Self, Box<dyn Error>> {
        let gpu = Gpu::request_blocking(request)?;
        let info = gpu.info();
        let name = if name.is_empty() { info.name.clone() } else { name.to_owned() };
        eprintln!("{name}: {}, {} {}", info.name, info.driver, info.driver_info);
        Ok(Self { name, gpu, share })
    }

    /// This run's part of `full` batches, and at least `least`.
    pub(crate) fn part(&self, full: u64, least: u64) -> u64 {
        (full / self.share).max(least)
    }
}

/// The requested drivers, or all that are present.
pub(crate) fn drivers(arguments: &Arguments) -> Result<Vec<Driver>, Box<dyn Error>> {
    let mut drivers = Vec::new();
    for wanted in &arguments.drivers {
        let known = SOFTWARE.iter().find(|(name, _)| name == wanted);
        let adapter = known.map_or(wanted.as_str(), |(_, adapter)| adapter);
        drivers.push(Driver::open(wanted, &GpuRequest::named(adapter), arguments.share)?);
    }
    if !arguments.drivers.is_empty() {
        return Ok(drivers);
    }
    let hardware = GpuRequest { kind: AdapterKind::Hardware, ..GpuRequest::default() };
    let software = SOFTWARE.map(|(name, adapter)| (name, GpuRequest::named(adapter)));
    for (name, request) in software.into_iter().chain([("", hardware)]) {
        match Driver::open(name, &request, arguments.share) {
            Ok(driver) => drivers.push(driver),
            Err(error) => eprintln!("skipped: {error}"),
        }
    }
    if drivers.is_empty() {
        return Err("no driver was found, so nothing can be proved".into());
    }
    Ok(drivers)
}
