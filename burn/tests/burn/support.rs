//! A device, a module, gradients, and the CPU engine beside it.

use std::sync::OnceLock;

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::module::{Module, Param};
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::wgpu::WgpuSetup;
use burn::tensor::{Device, Tensor, TensorData};
use wgpu_optim_burn::wgpu_optim::{CpuOptimizer, Gpu, Precision, Rule};
use wgpu_optim_burn::{WgpuModuleOptim, WgpuOptim};

pub struct Shared {
    /// With automatic differentiation.
    pub device: Device,
    pub gpu: Gpu,
    pub setup: WgpuSetup,
}

/// The default device.
pub fn shared() -> &'static Shared {
    static SHARED: OnceLock<Shared> = OnceLock::new();
    SHARED.get_or_init(|| {
        let (device, setup) = Device::wgpu_options().init_with_setup().expect("a wgpu device");
        let gpu = Gpu::from_wgpu(setup.device.clone(), setup.queue.clone());
        println!("On {}", gpu.info().name);
        Shared { device: device.autodiff(), gpu, setup }
    })
}

/// Parameters of several ranks, whose lengths are on both sides of what a kernel loads at once and of
/// what a workgroup steps.
#[derive(Module, Debug)]
pub struct Net {
    pub weight: Param<Tensor<2>>,
    pub bias: Param<Tensor<1>>,
    pub kernel: Param<Tensor<4>>,
    pub single: Param<Tensor<1>>,
    pub wide: Param<Tensor<2>>,
}

/// The lengths of its parameters.
pub const LENS: [usize; 5] = [35, 3, 96, 1, 1025];

impl Net {
    pub fn new(seed: u64) -> Self {
        Self::on(&shared().device, seed)
    }

    pub fn on(device: &Device, seed: u64) -> Self {
        let [weight, bias, kernel, single, wide] = initial(seed);
        Self {
            weight: Param::from_data(TensorData::new(weight, [5, 7]), device),
            bias: Param::from_data(TensorData::new(bias, [3]), device),
            kernel: Param::from_data(TensorData::new(kernel, [2, 3, 4, 4]), device),
            single: Param::from_data(TensorData::new(single, [1]), device),
            wide: Param::from_data(TensorData::new(wide, [41, 25]), device),
        }
    }

    /// The values of all parameters.
    pub fn values(&self) -> Vec<Vec<f32>> {
        vec![
            values(self.weight.val()),
            values(self.bias.val()),
            values(self.kernel.val()),
            values(self.single.val()),
            values(self.wide.val()),
        ]
    }

    /// Gradients of all parameters.
    pub fn grads(&self, all: &[Vec<f32>]) -> GradientsParams {
        let mut grads = GradientsParams::new();
        grads.register(self.weight.id, like(&self.weight, &all[0]));
        grads.register(self.bias.id, like(&self.bias, &all[1]));
        grads.register(self.kernel.id, like(&self.kernel, &all[2]));
        grads.register(self.single.id, like(&self.single, &all[3]));
        grads.register(self.wide.id, like(&self.wide, &all[4]));
        grads
    }
}

/// A gradient for a parameter.
pub fn like<const D: usize>(param: &Param<Tensor<D>>, values: &[f32]) -> Tensor<D> {
    let tensor = param.val();
    let data = TensorData::new(values.to_vec(), tensor.shape());
    Tensor::from_data(data, &tensor.device().inner())
}

pub fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().expect("f32")
}

/// Numbers in -1..1 that look random, and are the same everywhere (SplitMix64).
pub fn numbers(seed: u64, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x2545_f491_4f6c_dd1d);
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z >> 40) as f32) / (1_u64 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// The values that [`Net::new`] starts from.
pub fn initial(seed: u64) -> [Vec<f32>; 5] {
    gradients(1000 + seed)
}

/// Gradients for each parameter of a [`Net`].
pub fn gradients(seed: u64) -> [Vec<f32>; 5] {
    std::array::from_fn(|index| numbers(10 * seed + index as u64, LENS[index]))
}

/// What steps a [`Net`].
pub type Step = Box<dyn FnMut(ModuleLearningRate, Net, GradientsParams) -> Net>;

/// A step of Burn's own kind.
pub fn of_burn(mut optim: ModuleOptimizer) -> Step {
    Box::new(move |rate, net, grads| optim.step(rate, net, grads))
}

/// A step that is submitted at once.
pub fn at_once<R: Rule>(mut optim: WgpuModuleOptim<R>) -> Step {
    Box::new(move |rate, net, grads| optim.step(rate, net, grads).expect("a step"))
}

/// Each way of ours to step a module by a rule: launched by Burn's runtime, through the buffers as
/// where that takes no WGSL, and all parameters at once.
pub fn each<R: Rule>(rule: R, precision: Precision) -> [(&'static str, Step); 3] {
    let launched = WgpuOptim::with_precision(rule, precision).expect("a valid rule");
    let through_buffers = WgpuOptim::with_precision(rule, precision)
        .and_then(|optim| optim.with_gpu(&shared().gpu))
        .expect("a valid rule")
        .always_through_buffers();
    [
        ("WgpuOptim", of_burn(launched.init())),
        ("WgpuOptim, through buffers", of_burn(through_buffers.init())),
        ("WgpuModuleOptim", at_once(module_optim(rule).with_precision(precision))),
    ]
}

pub fn module_optim<R: Rule>(rule: R) -> WgpuModuleOptim<R> {
    WgpuModuleOptim::new(&shared().gpu, rule).expect("a valid rule")
}

/// The CPU engine over the same parameters.
pub struct Cpu<R: Rule> {
    pub optims: Vec<CpuOptimizer<R>>,
    pub params: Vec<Vec<f32>>,
}

impl<R: Rule> Cpu<R> {
    pub fn new(rule: R, params: &[Vec<f32>]) -> Self {
        let optim =
            |params: &Vec<f32>| CpuOptimizer::new(rule, params.len()).expect("a valid rule");
        Self { optims: params.iter().map(optim).collect(), params: params.to_vec() }
    }

    /// A step of the parameter of this number.
    pub fn step_one(&mut self, index: usize, grads: &[f32]) {
        self.optims[index].step(&mut self.params[index], grads).expect("a step");
    }

    pub fn step(&mut self, grads: &[Vec<f32>]) {
        for (index, grads) in grads.iter().enumerate() {
            self.step_one(index, grads);
        }
    }
}

/// Compares bits, and says which differ.
#[track_caller]
pub fn assert_bits(what: &str, found: &[Vec<f32>], expected: &[Vec<f32>]) {
    assert_eq!(found.len(), expected.len(), "{what}: how many parameters");
    for (param, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert_eq!(found.len(), expected.len(), "{what}: the length of parameter {param}");
        let pairs = found.iter().zip(expected).enumerate();
        let mut differing = pairs.filter(|(_, (a, b))| a.to_bits() != b.to_bits());
        if let Some((at, (a, b))) = differing.next() {
            let more = differing.count();
            panic!("{what}: element {at} of parameter {param} is {a:e}, not {b:e}; {more} more");
        }
    }
}

/// A device of its own on the same adapter, with automatic differentiation.
pub fn another_device() -> &'static Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE.get_or_init(|| {
        let setup = &shared().setup;
        let descriptor = wgpu_optim_burn::wgpu_optim::wgpu::DeviceDescriptor {
            required_features: setup.device.features(),
            required_limits: setup.device.limits(),
            ..Default::default()
        };
        let request = setup.adapter.request_device(&descriptor);
        let (device, queue) = pollster::block_on(request).expect("a second device");
        let setup = WgpuSetup { device, queue, ..setup.clone() };
        Device::wgpu_options().setup(setup).init().expect("a device of Burn's").autodiff()
    })
}
