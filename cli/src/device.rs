//! The choice of a device: what `--device` means.

use serde::Serialize;
use wgpu_optim::linear::Engine;
use wgpu_optim::{AdapterKind, Gpu, GpuRequest, Precision, RequestError, wgpu};

use crate::args::DeviceArgs;
use crate::error::Error;
use crate::output;

/// Something to run on.
pub(crate) enum Device {
    Cpu,
    Gpu(Box<Gpu>),
}

/// A device in words, for tables and JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Description {
    /// As the driver calls it.
    pub(crate) name: String,
    /// The graphics interface, or `cpu`.
    pub(crate) backend: String,
    /// `hardware`, `software` (a driver that runs on the CPU) or `cpu` (the CPU engine).
    pub(crate) kind: &'static str,
}

impl Description {
    /// The CPU engine.
    pub(crate) fn cpu_engine() -> Self {
        Self { name: "CPU engine".to_owned(), backend: "cpu".to_owned(), kind: "cpu" }
    }

    /// What wgpu says of an adapter.
    pub(crate) fn of_adapter(info: &wgpu::AdapterInfo) -> Self {
        let software = info.device_type == wgpu::DeviceType::Cpu;
        Self {
            name: info.name.clone(),
            backend: info.backend.to_string(),
            kind: if software { "software" } else { "hardware" },
        }
    }
}

impl std::fmt::Display for Description {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kind {
            "cpu" => formatter.write_str(&self.name),
            kind => write!(formatter, "{} ({}, {kind})", self.name, self.backend),
        }
    }
}

impl Device {
    /// Opens what `--device` asks for. Decisions made for the user are told unless `quiet`.
    pub(crate) fn open(args: &DeviceArgs, quiet: bool) -> Result<Self, Error> {
        Self::open_with(args, quiet, wgpu::Features::empty())
    }

    /// The same, with such of these features as the adapter has.
    pub(crate) fn open_with(
        args: &DeviceArgs,
        quiet: bool,
        features: wgpu::Features,
    ) -> Result<Self, Error> {
        let any = GpuRequest { features, ..GpuRequest::default() };
        match args.device.trim().to_lowercase().as_str() {
            "" => Err(Error::Argument(
                "--device: give auto, cpu, gpu or a part of a name that `wgpu-optim devices` lists"
                    .to_owned(),
            )),
            "auto" => Ok(Self::automatic(quiet, any)),
            "cpu" => Ok(Self::Cpu),
            "gpu" => match Gpu::request_blocking(&any) {
                Ok(gpu) => Ok(Self::Gpu(Box::new(gpu))),
                Err(RequestError::NoAdapter { .. }) => Err(Error::NoDevice),
                Err(error) => Err(Error::Device(error)),
            },
            _ => Self::named(args.device.trim(), any),
        }
    }

    fn automatic(quiet: bool, any: GpuRequest) -> Self {
        let request = GpuRequest { kind: AdapterKind::Hardware, ..any };
        match Gpu::request_blocking(&request) {
            Ok(gpu) => return Self::Gpu(Box::new(gpu)),
            Err(_) if quiet => {}
            Err(RequestError::NoAdapter { .. }) => {
                output::note("no hardware GPU was found: using the CPU engine");
            }
            Err(error) => output::warning(&format!("{error}: using the CPU engine")),
        }
        Self::Cpu
    }

    fn named(name: &str, any: GpuRequest) -> Result<Self, Error> {
        match Gpu::request_blocking(&GpuRequest { name: Some(name.to_owned()), ..any }) {
            Ok(gpu) => Ok(Self::Gpu(Box::new(gpu))),
            Err(RequestError::NoAdapter { found, .. }) => {
                let known = ["auto", "cpu", "gpu"].map(str::to_owned);
                let found = known.into_iter().chain(found).collect::<Vec<_>>().join(", ");
                Err(Error::NoSuchDevice { wanted: name.to_owned(), found })
            }
            Err(error) => Err(Error::Device(error)),
        }
    }

    /// The device as the library's trainer takes it.
    pub(crate) fn engine(&self, precision: Precision) -> Engine<'_> {
        match self {
            Self::Cpu => Engine::Cpu,
            Self::Gpu(gpu) => Engine::Gpu { gpu, precision },
        }
    }

    /// The device in words.
    pub(crate) fn description(&self) -> Description {
        match self {
            Self::Cpu => Description::cpu_engine(),
            Self::Gpu(gpu) => Description::of_adapter(&gpu.info()),
        }
    }
}
