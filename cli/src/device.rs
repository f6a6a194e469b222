//! The choice of a device: what `--device` means.

use serde::Serialize;
use wgpu_optim::linear::Engine;
use wgpu_optim::{AdapterKind, Gpu, GpuRequest, Precision, RequestError, wgpu};

use crate::args::device::DeviceArgs;
use crate::output;

/// Why there is no device.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeviceError {
    #[error("--device: give auto, cpu, gpu or a part of a name that `wgpu-optim devices` lists")]
    NoName,
    /// There is no adapter at all.
    #[error(
        "--device gpu: wgpu finds no adapter: install a driver for Vulkan, Metal or DirectX 12 \
         (on Debian: mesa-vulkan-drivers), or use the CPU engine: --device cpu"
    )]
    NoAdapter,
    /// No adapter has this name.
    #[error("--device {wanted}: no adapter's name contains that; there are: {found}")]
    Unknown { wanted: String, found: String },
    /// The adapter could not be opened.
    #[error(transparent)]
    Request(RequestError),
}

impl DeviceError {
    /// Whether the run failed, rather than the argument being wrong.
    pub(crate) fn run_failed(&self) -> bool {
        matches!(self, Self::NoAdapter | Self::Request(_))
    }
}

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

    /// An adapter, as wgpu describes it.
    pub(crate) fn from_adapter(info: &wgpu::AdapterInfo) -> Self {
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
    /// Opens what `--device` asks for. Reports decisions made for the user, unless `quiet`.
    pub(crate) fn open(args: &DeviceArgs, quiet: bool) -> Result<Self, DeviceError> {
        Self::open_with(args, quiet, wgpu::Features::empty())
    }

    /// As [`Self::open`], with those of `features` that the adapter has.
    pub(crate) fn open_with(
        args: &DeviceArgs,
        quiet: bool,
        features: wgpu::Features,
    ) -> Result<Self, DeviceError> {
        let any = GpuRequest { features, ..GpuRequest::default() };
        match args.device.trim().to_lowercase().as_str() {
            "" => Err(DeviceError::NoName),
            "auto" => Ok(Self::automatic(quiet, any)),
            "cpu" => Ok(Self::Cpu),
            "gpu" => match Gpu::request_blocking(&any) {
                Ok(gpu) => Ok(Self::Gpu(Box::new(gpu))),
                Err(RequestError::NoAdapter { .. }) => Err(DeviceError::NoAdapter),
                Err(error) => Err(DeviceError::Request(error)),
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

    fn named(name: &str, any: GpuRequest) -> Result<Self, DeviceError> {
        match Gpu::request_blocking(&GpuRequest { name: Some(name.to_owned()), ..any }) {
            Ok(gpu) => Ok(Self::Gpu(Box::new(gpu))),
            Err(RequestError::NoAdapter { found, .. }) => {
                let known = ["auto", "cpu", "gpu"].map(str::to_owned);
                let found = known.into_iter().chain(found).collect::<Vec<_>>().join(", ");
                Err(DeviceError::Unknown { wanted: name.to_owned(), found })
            }
            Err(error) => Err(DeviceError::Request(error)),
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
            Self::Gpu(gpu) => Description::from_adapter(&gpu.info()),
        }
    }
}
