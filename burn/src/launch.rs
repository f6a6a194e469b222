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
use wgpu_optim::{KernelShape, Precision, Rule};

use crate::error::OptimError;

/// Launches the steps of a rule.
#[derive(Clone, Debug)]
pub(crate) struct Launcher<R> {
    pub(crate) rule: R,
    precision: Precision,
    kernels: Kernels,
    /// Jobs that are in a device's memory already.
    jobs: Jobs,
}

/// Kernels by their shape and whether they load four elements at once.
type Kernels = Arc<Mutex<HashMap<(KernelShape, bool), Source>>>;

impl<R: Rule> Launcher<R> {
    pub(crate) fn new(rule: R, precision: Precision) -> Result<Self, OptimError> {
        let launcher = Self { rule, precision, kernels: Arc::default(), jobs: Arc::default() };
        // Report a faulty kernel here, before Burn's lazy operations run it.
        launcher.kernel(KernelShape::default(), true)?;
        Ok(launcher)
    }

    fn kernel(&self, shape: KernelShape, quads: bool) -> Result<Source, OptimError> {
        let mut kernels = self.kernels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(source) = kernels.get(&(shape, quads)) {
            return Ok(source.clone());
        }
        let source = Source::new(PortableStep::new(&self.rule, self.precision, quads, shape))?;
        kernels.insert((shape, quads), source.clone());
        Ok(source)
    }

    /// Launches step number `step` over a parameter, its gradient, and its state vectors.
    pub(crate) fn launch(
        &self,
        learning_rate: f64,
        step: u64,
        tensors: &[CubeTensor],
    ) -> Result<(), OptimError> {
        let client = &tensors[0].client;
        let len = tensors[0].meta.shape().num_elements();
        let too_long = || OptimError::Tensor(format!("it has {len} elements, more than 2^32 - 1"));
        let len = u32::try_from(len).map_err(|_| too_long())?;
        let job = PortableStep::job(&self.rule, learning_rate, step, len);
        let job = {
            let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
            let upload = || client.create_from_slice(&job);
            // Rates and step counts change, and some lengths too.
            if jobs.len() >= MAX_JOBS {
                jobs.clear();
            }
            jobs.entry((tensors[0].device.clone(), job.clone())).or_insert_with(upload).clone()
        };
        let handles = [job].into_iter().chain(tensors.iter().map(|tensor| tensor.handle.clone()));
        let arguments = handles.fold(KernelArguments::new(), |arguments, handle| {
            arguments.with_buffer(handle.binding())
        });
        let properties = client.properties();
        // Burn's runtime reports no physical device for a software driver.
        let software = properties.identity.physical.is_none();
        let hardware = &properties.hardware;
        let shape = KernelShape::for_device(software, hardware.plane_size_max);
        let kernel = self.kernel(shape, len.is_multiple_of(4))?;
        let [x, y] = kernel.step.workgroups(len, hardware.max_cube_count.0);
        client.launch(Box::new(kernel), CubeCount::Static(x, y, 1), arguments);
        Ok(())
    }
}

/// Whether the runtime of a tensor takes kernels in WGSL.
pub(crate) fn takes_wgsl(tensor: &CubeTensor) -> bool {
    tensor.client.name().contains("wgsl")
}

/// Jobs by device and content, in the device's memory.
type Jobs = Arc<Mutex<HashMap<(CubeDevice, Vec<u8>), Handle>>>;

/// The number of jobs that are kept. Each takes a few dozen bytes.
const MAX_JOBS: usize = 1024;

/// A kernel as cubecl takes it: WGSL without overrides.
#[derive(Clone, Debug)]
struct Source {
    step: Arc<PortableStep>,
    wgsl: Arc<str>,
    entry: String,
    hash: u64,
}

impl Source {
    fn new(step: PortableStep) -> Result<Self, OptimError> {
        let (wgsl, entry) = without_overrides(&step)?;
        let mut hasher = DefaultHasher::new();
        wgsl.hash(&mut hasher);
        Ok(Self { step: Arc::new(step), wgsl: wgsl.into(), entry, hash: hasher.finish() })
    }
}

/// The WGSL with its overrides replaced by their values, since cubecl passes none, and the name of
/// its entry point.
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
    // naga renames an entry point that has the name of a built-in function of WGSL.
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
        // Never compiled: `source` replaces it.
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
