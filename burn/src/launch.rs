//! Steps launched by Burn's own runtime: no copy, no lookup of buffers, no wait.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use burn::backend::wgpu::CubeTensor;
use burn_cubecl::CubeDevice;
use cubecl::ir::metadata::Info;
use cubecl::ir::{ElemType, Scope, UIntKind};
use cubecl::prelude::*;
use cubecl::server::{Handle, KernelArguments};
use cubecl::{CubeKernel, PrecompiledSource};
use wgpu_optim::gpu::PortableStep;
use wgpu_optim::{Precision, Rule};

use crate::error::OptimError;

/// Launches the steps of a rule.
#[derive(Clone, Debug)]
pub(crate) struct Launcher<R> {
    pub(crate) rule: R,
    /// Loading four elements at once, and one by one.
    kernels: [Source; 2],
    /// The last job of each device and length, where it is in the device's memory.
    jobs: Jobs,
}

impl<R: Rule> Launcher<R> {
    pub(crate) fn new(rule: R, precision: Precision) -> Result<Self, OptimError> {
        let source = |quads| Source::new(&PortableStep::new(&rule, precision, quads));
        Ok(Self { rule, kernels: [source(true)?, source(false)?], jobs: Arc::default() })
    }

    /// Launches step number `step` over a parameter, its gradient, and its state vectors.
    pub(crate) fn launch(&self, learning_rate: f64, step: u64, tensors: &[CubeTensor]) {
        let client = &tensors[0].client;
        let len = tensors[0].meta.shape().num_elements() as u32;
        let job = PortableStep::job(&self.rule, learning_rate, step, len);
        let job = {
            let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            let key = (tensors[0].device.clone(), len);
            match jobs.get(&key) {
                Some((bytes, handle)) if *bytes == job => handle.clone(),
                _ => {
                    let handle = client.create_from_slice(&job);
                    jobs.insert(key, (job, handle.clone()));
                    handle
                }
            }
        };
        let handles = [job].into_iter().chain(tensors.iter().map(|tensor| tensor.handle.clone()));
        let arguments = handles.fold(KernelArguments::new(), |arguments, handle| {
            arguments.with_buffer(handle.binding())
        });
        let max = client.properties().hardware.max_cube_count.0;
        let [x, y] = PortableStep::workgroups(len, max);
        let kernel = self.kernels[usize::from(!len.is_multiple_of(4))].clone();
        client.launch(Box::new(kernel), CubeCount::Static(x, y, 1), arguments);
    }
}

/// Whether the runtime of a tensor takes kernels in WGSL.
pub(crate) fn takes_wgsl(tensor: &CubeTensor) -> bool {
    tensor.client.name().contains("wgsl")
}

/// Jobs by device and length: the bytes, and where they are on the device.
type Jobs = Arc<Mutex<HashMap<(CubeDevice, u32), (Vec<u8>, Handle)>>>;

/// A kernel as cubecl takes it: WGSL without overrides.
#[derive(Clone, Debug)]
struct Source {
    wgsl: Arc<str>,
    entry: String,
    hash: u64,
}

impl Source {
    fn new(step: &PortableStep) -> Result<Self, OptimError> {
        let (wgsl, entry) = without_overrides(step)?;
        let mut hasher = DefaultHasher::new();
        wgsl.hash(&mut hasher);
        Ok(Self { wgsl: wgsl.into(), entry, hash: hasher.finish() })
    }
}

/// The WGSL with its overrides at their values, since cubecl passes none, and its entry point.
fn without_overrides(step: &PortableStep) -> Result<(String, String), OptimError> {
    use naga::back::{pipeline_constants::process_overrides, wgsl};
    use naga::valid::{Capabilities, ValidationFlags, Validator};
    let fail = |error: &dyn std::fmt::Display| OptimError::Kernel(error.to_string());
    let module = naga::front::wgsl::parse_str(&step.wgsl).map_err(|error| fail(&error))?;
    let mut validator = Validator::new(ValidationFlags::all(), Capabilities::empty());
    let info = validator.validate(&module).map_err(|error| fail(&error))?;
    let constants = step.constants.iter().map(|&(name, value)| (name.to_owned(), value)).collect();
    let (module, info) =
        process_overrides(&module, &info, None, &constants).map_err(|error| fail(&error))?;
    let text = wgsl::write_string(&module, &info, wgsl::WriterFlags::empty());
    let text = text.map_err(|error| fail(&error))?;
    // naga renames what has the name of a function of WGSL's own.
    let written = naga::front::wgsl::parse_str(&text).map_err(|error| fail(&error))?;
    let entry = written.entry_points.into_iter().map(|entry| entry.name).next();
    Ok((text, entry.unwrap_or_default()))
}

impl KernelMetadata for Source {
    fn id(&self) -> KernelId {
        KernelId::new::<Self>().info(self.hash)
    }

    fn address_type(&self) -> ElemType {
        UIntKind::U32.into()
    }
}

impl CubeKernel for Source {
    fn define(&self) -> KernelDefinition {
        // Never compiled: the source stands in for it.
        let settings = KernelSettings::new(
            CubeDim::new_1d(1).into(),
            ExecutionMode::Checked,
            AddressType::U32,
        );
        KernelDefinition { body: Scope::root(settings.clone()), settings, info: Info::default() }
    }

    fn source(&self) -> Option<PrecompiledSource> {
        Some(PrecompiledSource {
            source: self.wgsl.to_string(),
            entrypoint_name: self.entry.clone(),
            lang: "wgsl",
        })
    }
}
