//! What the benchmarks share: devices, data, and the limit that memory sets.

use wgpu_optim::numerics::Real;
use wgpu_optim::{Gpu, GpuRequest, Rule, RuleError, wgpu};

/// Every adapter that the Vulkan loader, Metal or DirectX finds.
pub(crate) fn gpus() -> Vec<(String, Gpu)> {
    let adapters = pollster::block_on(Gpu::adapters(&GpuRequest::default()));
    let open = |info: wgpu::AdapterInfo| {
        let gpu = Gpu::request_blocking(&GpuRequest::named(info.name.clone())).ok()?;
        Some((short_name(&info.name), gpu))
    };
    adapters.into_iter().filter_map(open).collect()
}

/// The first word of an adapter's name, fit for a folder.
fn short_name(name: &str) -> String {
    let word = name.split_whitespace().next().unwrap_or("gpu");
    word.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// Numbers between 0.5 and 1.5, none like its neighbour.
pub(crate) fn values(len: usize) -> Vec<f32> {
    (0..len as u32)
        .map(|index| 0.5 + (index.wrapping_mul(2_654_435_761) >> 8) as f32 / 16_777_216.0)
        .collect()
}

/// The traffic of Adagrad with additions only: what memory alone allows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Traffic;

impl Rule for Traffic {
    const NAME: &'static str = "traffic";
    const STATE: &'static [&'static str] = &["sum"];
    const SHADER: &'static str = "
        struct Hyper { unused: vec4<u32> }
        fn update(hyper: Hyper, x: Real, gradient: Real, state: ptr<function, State>) -> Real {
            (*state).sum = add((*state).sum, gradient);
            return add(x, gradient);
        }";

    type State<T: Real> = [T; 1];
    type Uniforms = [u32; 4];

    fn validate(&self) -> Result<(), RuleError> {
        Ok(())
    }

    fn initial_state(&self) -> [f32; 1] {
        [0.0]
    }

    fn learning_rate(&self) -> f32 {
        0.0
    }

    fn set_learning_rate(&mut self, _: f32) {}

    fn uniforms(&self, _: u64) -> [u32; 4] {
        [0; 4]
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    #[inline(always)]
    fn update<T: Real>(&self, _: &[u32; 4], x: T, gradient: T, [sum]: &mut [T; 1]) -> T {
        *sum = *sum + gradient;
        x + gradient
    }
}
