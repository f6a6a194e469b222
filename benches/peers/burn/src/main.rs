//! Burn's AdaGrad on a GPU: `burn-peer ELEMENTS` answers the requests that ../README.md lists.

use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

use burn::optim::{AdaGrad, AdaGradConfig, Optimizer};
use burn::tensor::wgpu::WgpuBackend;
use burn::tensor::{Device, Tensor, TensorData};

const LEARNING_RATE: f64 = 0.01;
/// Beside gradients of about 1 it makes no difference where epsilon goes.
const EPSILON: f32 = 1e-10;
/// Steps before anything is timed: kernels are compiled, fused and tuned.
const WARM_UP: u32 = 20;

type State = <AdaGrad as Optimizer>::State<1>;

/// Numbers between 0.5 and 1.5, the same as in every contestant.
fn values(len: usize) -> Vec<f32> {
    (0..len as u32)
        .map(|index| 0.5 + (index.wrapping_mul(2_654_435_761) >> 8) as f32 / 16_777_216.0)
        .collect()
}

struct Run {
    device: Device,
    /// The adapter's name and driver.
    adapter: String,
    optimizer: AdaGrad,
    gradient: Tensor<1>,
    /// Parameters and accumulator; taken while a step replaces them.
    current: Option<(Tensor<1>, Option<State>)>,
}

impl Run {
    fn new(len: usize) -> Self {
        let options = Device::wgpu_options().graphics_api(WgpuBackend::Vulkan);
        let (device, setup) = options.init_with_setup().expect("a Vulkan driver");
        let info = setup.adapter.get_info();
        let adapter = format!("{}, {} {}", info.name, info.driver, info.driver_info);
        let tensor = || Tensor::<1>::from_data(TensorData::new(values(len), [len]), &device);
        let (parameters, gradient) = (tensor(), tensor());
        let optimizer = AdaGradConfig::new().with_epsilon(EPSILON).build();
        Self { optimizer, gradient, current: Some((parameters, None)), device, adapter }
    }

    fn step(&mut self) {
        let (parameters, state) = self.current.take().expect("every step puts its result back");
        let gradient = self.gradient.clone();
        self.current = Some(self.optimizer.step(LEARNING_RATE, parameters, gradient, state));
    }

    fn wait(&self) {
        self.device.sync().expect("the device works");
    }

    /// The time of `steps` steps, with a wait for each or for all of them.
    fn time(&mut self, steps: u32, wait_for_each: bool) -> Duration {
        self.wait();
        let start = Instant::now();
        for _ in 0..steps {
            self.step();
            if wait_for_each {
                self.wait();
            }
        }
        self.wait();
        start.elapsed()
    }

    /// Seconds for one step, measured for about `budget`.
    fn measure(&mut self, budget: Duration, wait_for_each: bool) -> f64 {
        let once = self.time(4, wait_for_each) / 4;
        let steps = budget.div_duration_f64(once).clamp(1.0, 1e6) as u32;
        self.time(steps, wait_for_each).as_secs_f64() / f64::from(steps)
    }

    /// The sum of the parameters: proof that the steps were taken.
    fn sum(&self) -> f64 {
        let (parameters, _) = self.current.as_ref().expect("every step puts its result back");
        let data = parameters.clone().into_data();
        data.as_slice::<f32>().expect("of f32").iter().map(|&value| f64::from(value)).sum()
    }
}

fn main() {
    let len = std::env::args().nth(1).and_then(|len| len.parse().ok());
    let len = len.expect("usage: burn-peer ELEMENTS");
    let mut run = Run::new(len);
    for _ in 0..3 {
        run.step();
    }
    let check = run.sum();
    run.time(WARM_UP, false);
    run.time(WARM_UP, true);
    let mut output = std::io::stdout().lock();
    let adapter = &run.adapter;
    writeln!(output, "{{\"check\": {check:e}, \"device\": {adapter:?}}}").expect("someone listens");
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("text");
        let (mode, seconds) = line.split_once(' ').expect("MODE SECONDS");
        let budget = Duration::from_secs_f64(seconds.parse().expect("seconds"));
        let seconds = match mode {
            "queued" => run.measure(budget, false),
            "waited" => run.measure(budget, true),
            _ => panic!("{mode}: no such measurement"),
        };
        writeln!(output, "{{\"seconds\": {seconds:e}}}").expect("someone listens");
    }
}
