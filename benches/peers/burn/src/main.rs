//! Burn's AdaGrad on a GPU. `burn-peer ELEMENTS` answers the requests that ../README.md lists.

use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

use burn::optim::{AdaGrad, AdaGradConfig, Optimizer};
use burn::tensor::wgpu::WgpuBackend;
use burn::tensor::{Device, Tensor, TensorData};

const LEARNING_RATE: f64 = 0.01;
/// With gradients of about 1, the placement of epsilon makes no difference.
const EPSILON: f32 = 1e-10;
/// Steps before anything is timed, in which kernels are compiled, fused and tuned.
const WARM_UP: u32 = 20;

type State = <AdaGrad as Optimizer>::State<1>;

/// Numbers between 0.5 and 1.5, the same as in every contestant.
fn values(len: usize) -> Vec<f32> {
    (0..len as u32)
        .map(|index| 0.5 + (index.wrapping_mul(2_654_435_761) >> 8) as f32 / 16_777_216.0)
        .collect()
}

/// When Burn must start a step.
#[derive(Clone, Copy)]
enum Pace {
    /// Each step is submitted before the next is requested. A training run has to do that, because
    /// the next gradient depends on the step.
    Queued,
    /// The same, waiting for each step.
    Waited,
    /// Many steps are requested at once, and Burn may fuse several into one kernel.
    Lazy,
}

struct Run {
    device: Device,
    /// The adapter's name and driver.
    adapter: String,
    optimizer: AdaGrad,
    gradient: Tensor<1>,
    /// Parameters and accumulator. `None` while a step replaces them.
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

    /// The time of `steps` steps, including the wait for the last.
    fn time(&mut self, steps: u32, pace: Pace) -> Duration {
        self.wait();
        let start = Instant::now();
        for _ in 0..steps {
            self.step();
            match pace {
                Pace::Queued => self.device.flush().expect("the device works"),
                Pace::Waited => self.wait(),
                Pace::Lazy => {}
            }
        }
        self.wait();
        start.elapsed()
    }

    /// The seconds of one step, measured for about `budget`.
    fn measure(&mut self, budget: Duration, pace: Pace) -> f64 {
        let once = self.time(4, pace) / 4;
        let steps = budget.div_duration_f64(once).clamp(1.0, 1e6) as u32;
        self.time(steps, pace).as_secs_f64() / f64::from(steps)
    }

    /// The sum of the parameters: proof that the steps were taken.
    fn sum(&self) -> f64 {
        let (parameters, _) = self.current.as_ref().expect("every step puts its result back");
        let data = parameters.clone().into_data();
        data.as_slice::<f32>().expect("f32 data").iter().map(|&value| f64::from(value)).sum()
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
    for pace in [Pace::Queued, Pace::Waited, Pace::Lazy] {
        run.time(WARM_UP, pace);
    }
    let mut output = std::io::stdout().lock();
    let adapter = &run.adapter;
    writeln!(output, "{{\"check\": {check:e}, \"device\": {adapter:?}}}")
        .expect("standard output is open");
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("UTF-8 text");
        let (mode, seconds) = line.split_once(' ').expect("MODE SECONDS");
        let budget = Duration::from_secs_f64(seconds.parse().expect("seconds"));
        let pace = match mode {
            "queued" => Pace::Queued,
            "waited" => Pace::Waited,
            "lazy" => Pace::Lazy,
            _ => panic!("{mode}: no such measurement"),
        };
        let seconds = run.measure(budget, pace);
        writeln!(output, "{{\"seconds\": {seconds:e}}}").expect("standard output is open");
    }
}
