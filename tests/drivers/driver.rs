//! The drivers under test, each with one device, and comparisons of devices with the reference.

use std::sync::OnceLock;

use wgpu_optim::{
    AdapterKind, Gpu, GpuOptimizer, GpuRequest, GpuVec, Precision, RequestError, Rule, wgpu,
};

use crate::bound::Bound;
use crate::reference::Reference;

/// A driver under test.
pub(crate) struct Driver {
    pub(crate) name: String,
    /// Whether its absence is a failure.
    pub(crate) required: bool,
    pub(crate) gpu: Result<Gpu, RequestError>,
}

/// The software drivers that are always listed, with the names of their adapters.
const SOFTWARE: [(&str, &str); 2] = [("lavapipe", "llvmpipe"), ("swiftshader", "swiftshader")];

/// All drivers, opened once in a process.
pub(crate) fn drivers() -> &'static [Driver] {
    static DRIVERS: OnceLock<Vec<Driver>> = OnceLock::new();
    DRIVERS.get_or_init(|| {
        let required = std::env::var("WGPU_OPTIM_REQUIRE_DRIVERS").unwrap_or_default();
        let mut drivers: Vec<Driver> = SOFTWARE
            .iter()
            .map(|&(name, adapter)| Driver {
                name: name.to_owned(),
                required: required.split(',').any(|wanted| wanted.trim() == name),
                gpu: Gpu::request_blocking(&GpuRequest::named(adapter)),
            })
            .collect();
        let hardware = GpuRequest { kind: AdapterKind::Hardware, ..GpuRequest::default() };
        if let Ok(gpu) = Gpu::request_blocking(&hardware) {
            let name = gpu.info().name;
            drivers.push(Driver { name, required: false, gpu: Ok(gpu) });
        }
        drivers
    })
}

impl Driver {
    /// The device. The trial has checked that there is one.
    pub(crate) fn gpu(&self) -> &Gpu {
        self.gpu.as_ref().expect("present")
    }

    /// Whether the driver is known to round each operation correctly.
    pub(crate) fn rounds_correctly(&self) -> bool {
        SOFTWARE.iter().any(|(name, _)| *name == self.name)
    }

    /// The precisions that have the bits of the CPU engine. The last has the shortest kernels.
    pub(crate) fn precisions(&self) -> &'static [Precision] {
        let all = &[Precision::Exact, Precision::Native];
        if self.rounds_correctly() { all } else { &all[..1] }
    }

    /// Asserts that a native optimizer has the reference's parameters and state: with equal bits on
    /// drivers that round correctly, and elsewhere within the derived bound of the exact
    /// trajectory.
    pub(crate) fn check_native<R: Rule>(
        &self,
        what: &str,
        reference: &Reference<R>,
        params: &[f32],
        optimizer: &GpuOptimizer<R>,
        gpu: &Gpu,
    ) {
        let actual = vectors(params, optimizer, gpu);
        if self.rounds_correctly() {
            self.check_vectors(what, reference, &actual);
            return;
        }
        let mut bounded = 0;
        for index in 0..params.len() {
            for (vector, running) in actual.iter().zip(reference.running(index)) {
                let Some(allowed) = running.error() else { continue };
                bounded += 1;
                let (found, exact) = (f64::from(vector[index]), running.value());
                assert!(
                    (found - exact).abs() <= allowed,
                    "{what} on {}: element {index} is {found:e}, exactly {exact:e}: allowed \
                     {allowed:e}",
                    self.name
                );
            }
        }
        // Where terms cancel, as in centred RMSProp without smoothing, parameters have no bound.
        assert!(3 * bounded > actual.len() * params.len(), "{what}: {bounded} have a bound");
    }

    /// Asserts that parameters and state have the reference's bits.
    pub(crate) fn check_vectors<R: Rule>(
        &self,
        what: &str,
        reference: &Reference<R>,
        actual: &[Vec<f32>],
    ) {
        let expected = reference.vectors();
        assert_eq!(expected.len(), actual.len(), "{what}");
        for ((name, expected), actual) in expected.into_iter().zip(actual) {
            self.check_exact(&format!("{what}, {name}"), expected, actual);
        }
    }

    /// [`Driver::check_native`] or [`Driver::check_exactly`], depending on the optimizer's
    /// precision.
    pub(crate) fn check<R: Rule>(
        &self,
        what: &str,
        reference: &Reference<R>,
        params: &[f32],
        optimizer: &GpuOptimizer<R>,
        gpu: &Gpu,
    ) {
        match optimizer.precision() {
            Precision::Native => self.check_native(what, reference, params, optimizer, gpu),
            Precision::Exact => self.check_exactly(what, reference, params, optimizer, gpu),
        }
    }

    /// Asserts that an exact optimizer has the reference's bits, on any driver.
    pub(crate) fn check_exactly<R: Rule>(
        &self,
        what: &str,
        reference: &Reference<R>,
        params: &[f32],
        optimizer: &GpuOptimizer<R>,
        gpu: &Gpu,
    ) {
        let actual = vectors(params, optimizer, gpu);
        self.check_vectors(what, reference, &actual);
    }

    /// Asserts equal bits.
    pub(crate) fn check_exact(&self, what: &str, expected: &[f32], actual: &[f32]) {
        let label = format!("{what} on {}", self.name);
        if let Err(mismatch) = Bound::EXACT.check(&label, expected, actual, &[]) {
            panic!("{mismatch}");
        }
    }

    /// A device with limits so low that vectors of a few thousand elements are split.
    pub(crate) fn with_low_limits(&self) -> Gpu {
        self.with_limits(|limits| {
            limits.max_storage_buffer_binding_size = 4096;
            limits.max_buffer_size = 64 << 10;
            limits.max_compute_workgroups_per_dimension = 2;
            limits.max_compute_invocations_per_workgroup = 64;
            limits.max_compute_workgroup_size_x = 64;
            limits.max_compute_workgroup_size_y = 64;
        })
    }

    /// Another device with WebGPU's default limits, changed by `change`.
    ///
    /// There is one for each set of limits, kept until the process ends: these drivers are known to
    /// fail when many devices are created and destroyed.
    pub(crate) fn with_limits(&self, change: impl FnOnce(&mut wgpu::Limits)) -> Gpu {
        static OPENED: std::sync::Mutex<Vec<(String, wgpu::Limits, Gpu)>> =
            std::sync::Mutex::new(Vec::new());
        let mut limits = wgpu::Limits::default();
        let own = self.gpu().device().limits();
        limits.min_storage_buffer_offset_alignment = own.min_storage_buffer_offset_alignment;
        change(&mut limits);
        let mut opened = OPENED.lock().unwrap();
        if let Some((_, _, gpu)) = opened.iter().find(|(n, l, _)| *n == self.name && *l == limits) {
            return gpu.clone();
        }
        let name = Some(self.gpu().info().name);
        let request = GpuRequest { name, limits: Some(limits.clone()), ..GpuRequest::default() };
        let gpu = Gpu::request_blocking(&request).unwrap();
        opened.push((self.name.clone(), limits, gpu.clone()));
        gpu
    }
}

/// Parameters and state of an optimizer.
fn vectors<R: Rule>(params: &[f32], optimizer: &GpuOptimizer<R>, gpu: &Gpu) -> Vec<Vec<f32>> {
    let state = (0..optimizer.state_count()).map(|k| optimizer.state(k));
    let state = state.map(|vector| vector.download_blocking(gpu).unwrap());
    [params.to_vec()].into_iter().chain(state).collect()
}

/// The value around a vector in a caller's buffer, which nothing may overwrite.
pub(crate) const POISON: f32 = f32::from_bits(0x7fa5_a5a5_u32);

/// The usages of parameters.
pub(crate) const USAGES: wgpu::BufferUsages = wgpu::BufferUsages::STORAGE
    .union(wgpu::BufferUsages::COPY_SRC)
    .union(wgpu::BufferUsages::COPY_DST);

/// `content` at element `offset` of a caller's buffer, with poison before it and in the `behind`
/// elements after it.
pub(crate) fn placed(
    gpu: &Gpu,
    content: &[f32],
    offset: usize,
    behind: usize,
    usage: wgpu::BufferUsages,
) -> GpuVec {
    let mut host = vec![POISON; offset + content.len() + behind];
    host[offset..offset + content.len()].copy_from_slice(content);
    let buffer = gpu.device().create_buffer(&wgpu::BufferDescriptor {
        label: Some("a caller's buffer"),
        size: 4 * host.len() as u64,
        usage,
        mapped_at_creation: false,
    });
    let bytes: Vec<u8> = host.iter().flat_map(|value| value.to_bits().to_ne_bytes()).collect();
    gpu.queue().write_buffer(&buffer, 0, &bytes);
    GpuVec::from_buffer(buffer, 4 * offset as u64, content.len()).unwrap()
}
