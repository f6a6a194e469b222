//! The drivers that there are, each with its one device.

use std::sync::OnceLock;

use wgpu_optim::numerics::Bound;
use wgpu_optim::{Adagrad, AdapterKind, Gpu, GpuRequest, RequestError, WeightDecay, wgpu};

/// A driver under test.
pub(crate) struct Driver {
    pub(crate) name: String,
    /// Whether its absence is a failure.
    pub(crate) required: bool,
    pub(crate) gpu: Result<Gpu, RequestError>,
}

/// The software drivers that are always listed, and how their adapters call themselves.
const SOFTWARE: [(&str, &str); 2] = [("lavapipe", "llvmpipe"), ("swiftshader", "swiftshader")];

/// All drivers, opened once in the life of the process.
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
    /// The device; the trial has made sure that there is one.
    pub(crate) fn gpu(&self) -> &Gpu {
        self.gpu.as_ref().expect("present")
    }

    /// Whether the driver is known to round each operation correctly.
    pub(crate) fn rounds_correctly(&self) -> bool {
        SOFTWARE.iter().any(|(name, _)| *name == self.name)
    }

    /// The rule to hold native steps against: on drivers that do not round correctly, one without
    /// weight decay, whose bound for a single step needs nothing but the result. native_bound.rs
    /// has the others, and many steps.
    pub(crate) fn bounded(&self, rule: Adagrad) -> Adagrad {
        if self.rounds_correctly() {
            return rule;
        }
        Adagrad { weight_decay: WeightDecay::None, ..rule }
    }

    /// What a native step may differ by here: nothing on the drivers known to round correctly,
    /// the derived bound elsewhere.
    fn bound(&self, derived: Bound) -> Bound {
        if self.rounds_correctly() { Bound::EXACT } else { derived }
    }

    /// Asserts that a state vector is the reference's.
    pub(crate) fn check_state(&self, what: &str, expected: &[f32], actual: &[f32]) {
        let bound = self.bound(Bound::STATE);
        check(bound, &format!("{what} on {}", self.name), expected, actual, &[]);
    }

    /// Asserts that parameters are the reference's, `before` being their values before the step.
    pub(crate) fn check_params(
        &self,
        what: &str,
        expected: &[f32],
        actual: &[f32],
        before: &[f32],
    ) {
        let updates: Vec<f32> = expected.iter().zip(before).map(|(a, b)| a - b).collect();
        let bound = self.bound(Bound::PARAMETER);
        check(bound, &format!("{what} on {}", self.name), expected, actual, &updates);
    }

    /// Asserts equal bits.
    pub(crate) fn check_exact(&self, what: &str, expected: &[f32], actual: &[f32]) {
        check(Bound::EXACT, &format!("{what} on {}", self.name), expected, actual, &[]);
    }

    /// The limits of this driver's device with `change` made to them, on a device of their own.
    ///
    /// One for each set of limits, kept for the life of the process: these drivers are known to
    /// fail when many devices come and go.
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

fn check(bound: Bound, label: &str, expected: &[f32], actual: &[f32], updates: &[f32]) {
    if let Err(mismatch) = bound.check(label, expected, actual, updates) {
        panic!("{mismatch}");
    }
}
