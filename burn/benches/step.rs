//! Whole training steps, and the optimizer's part alone, beside Burn's own optimizers: three models,
//! Adagrad and Adam. Beside them stand whole steps without an optimizer, which bound what any
//! optimizer can gain, and our kernel alone. Contestants take turns within a round, and ratios are of
//! one round, so that what the machine does besides affects all alike. `--test` runs each once; a name
//! (SparseNN, LeNet, 300) chooses a model.
//!
//! It prints a CSV table. Times are medians in milliseconds; ratios are the time of Burn's own
//! optimizer divided by the contestant's, with the lowest and highest of all rounds. `host` is the time
//! until the call of the optimizer returns, and `allocations` how often it allocates host memory until
//! the device has finished.

#[path = "support/allocations.rs"]
mod allocations;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::MaxPool2dConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdaGradConfig, AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::activation::{relu, sigmoid};
use burn::tensor::{Device, Distribution, Tensor};
use wgpu_optim_burn::wgpu_optim::{Adagrad, Adam, Gpu, GpuOptimizer, Rule, wgpu};
use wgpu_optim_burn::{WgpuModuleOptim, WgpuOptim};

/// A model with its input.
trait Bench: Module {
    fn loss(&self, input: Tensor<4>) -> Tensor<1>;
}

/// The tutorial's classifier, 100-50-1.
#[derive(Module, Debug)]
struct SparseNn {
    hidden: Linear,
    output: Linear,
}

impl Bench for SparseNn {
    fn loss(&self, input: Tensor<4>) -> Tensor<1> {
        let input = input.reshape([32, 100]);
        sigmoid(self.output.forward(relu(self.hidden.forward(input)))).mean()
    }
}

/// LeNet-5 on images of 28 x 28.
#[derive(Module, Debug)]
struct LeNet {
    first: Conv2d,
    second: Conv2d,
    dense: [Linear; 3],
}

impl Bench for LeNet {
    fn loss(&self, input: Tensor<4>) -> Tensor<1> {
        let pool = |maps| MaxPool2dConfig::new([2, 2]).init().forward(maps);
        let maps = pool(relu(self.first.forward(input)));
        let maps = pool(relu(self.second.forward(maps)));
        let [batch, ..] = maps.dims();
        let flat = maps.reshape([batch, 400]);
        let [a, b, c] = &self.dense;
        c.forward(relu(b.forward(relu(a.forward(flat))))).powf_scalar(2.0).mean()
    }
}

/// 300 tensors, 10 million parameters: 150 layers of width 258.
#[derive(Module, Debug)]
struct Deep {
    layers: Vec<Linear>,
}

impl Bench for Deep {
    fn loss(&self, input: Tensor<4>) -> Tensor<1> {
        let input = input.reshape([8, 258]);
        let step = |x, layer: &Linear| relu(layer.forward(x));
        self.layers.iter().fold(input, step).powf_scalar(2.0).mean()
    }
}

/// Steps a module.
type Step<M> = Box<dyn FnMut(M, GradientsParams) -> M>;

struct Contestant<M> {
    name: &'static str,
    step: Step<M>,
    model: Option<M>,
    rounds: Vec<Round>,
}

/// Milliseconds of a step, and allocations.
#[derive(Clone, Copy, Default)]
struct Round {
    whole: f64,
    optimizer: f64,
    host: f64,
    allocations: f64,
}

fn contestants<M: Bench>(gpu: &Gpu, rule: &str, model: &M) -> Vec<Contestant<M>> {
    let new = |name, step| Contestant {
        name,
        step,
        model: Some(model.clone().fork(&model.devices()[0])),
        rounds: Vec::new(),
    };
    let own = |mut optim: ModuleOptimizer| -> Step<M> {
        Box::new(move |model, grads| optim.step(0.001, model, grads))
    };
    let (burns, launched, at_once): (_, _, Step<M>) = match rule {
        "adagrad" => {
            let module = WgpuModuleOptim::new(gpu, Adagrad::default()).expect("valid");
            (
                own(AdaGradConfig::new().init()),
                own(WgpuOptim::new(Adagrad::default()).expect("valid").init()),
                at_once(module),
            )
        }
        _ => {
            let module = WgpuModuleOptim::new(gpu, Adam::default()).expect("valid");
            (
                own(AdamConfig::new().init()),
                own(WgpuOptim::new(Adam::default()).expect("valid").init()),
                at_once(module),
            )
        }
    };
    // What would be left of a whole step if the optimizer cost nothing.
    let none: Step<M> = Box::new(|model, _| model);
    vec![
        new("Burn's own", burns),
        new("WgpuOptim", launched),
        new("WgpuModuleOptim", at_once),
        new("no optimizer", none),
    ]
}

/// The dispatches of the last step of a module at once.
static DISPATCHES: AtomicUsize = AtomicUsize::new(0);

fn at_once<M: Bench, R: Rule>(mut optim: WgpuModuleOptim<R>) -> Step<M> {
    Box::new(move |model, grads| {
        let model = optim.step(0.001, model, grads).expect("stepped");
        DISPATCHES.store(optim.dispatches(), Ordering::Relaxed);
        model
    })
}

/// Prints the median time of the kernel alone: one dispatch over one vector with as many elements as
/// the model has parameters, submitted and waited for, with nothing of Burn's.
fn kernel_alone(what: &str, gpu: &Gpu, rule: &str, len: usize) {
    fn time<R: Rule>(gpu: &Gpu, rule: R, len: usize) -> f64 {
        let (params, grads) = (gpu.zeros(len).expect("memory"), gpu.zeros(len).expect("memory"));
        let mut optimizer = GpuOptimizer::new(gpu, rule, len).expect("valid");
        let mut step = || {
            let start = Instant::now();
            optimizer.step(&params, &grads).expect("stepped");
            gpu.device().poll(wgpu::PollType::wait_indefinitely()).expect("a working device");
            1e3 * start.elapsed().as_secs_f64()
        };
        step();
        median((0..9).map(|_| step()).collect())
    }
    let time = match rule {
        "adagrad" => time(gpu, Adagrad::default(), len),
        _ => time(gpu, Adam::default(), len),
    };
    println!("# {what}, {rule}: one dispatch of ours over {len} elements takes {time:.3} ms");
}

fn gradients<M: Bench>(model: &M, input: &Tensor<4>) -> GradientsParams {
    GradientsParams::from_grads(model.loss(input.clone()).backward(), model)
}

/// Measures whole training steps, each from the input on.
fn whole<M: Bench>(of: &mut Contestant<M>, device: &Device, input: &Tensor<4>, steps: u32) -> f64 {
    let mut model = of.model.take().expect("there is a model");
    device.sync().expect("a working device");
    let start = Instant::now();
    for _ in 0..steps {
        let grads = gradients(&model, input);
        model = (of.step)(model, grads);
    }
    device.sync().expect("a working device");
    let time = start.elapsed();
    of.model = Some(model);
    1e3 * time.as_secs_f64() / f64::from(steps)
}

/// Measures the optimizer alone, with gradients that are there, less a wait for nothing.
fn alone<M: Bench>(
    of: &mut Contestant<M>,
    device: &Device,
    input: &Tensor<4>,
    steps: u32,
) -> Round {
    let mut model = of.model.take().expect("there is a model");
    let (mut all, mut host, mut allocations) = (Duration::ZERO, Duration::ZERO, 0);
    for _ in 0..steps {
        let grads = gradients(&model, input);
        device.sync().expect("a working device");
        let (start, before) = (Instant::now(), allocations::count());
        model = (of.step)(model, grads);
        host += start.elapsed();
        device.sync().expect("a working device");
        let both = start.elapsed();
        allocations += allocations::count() - before;
        let start = Instant::now();
        device.sync().expect("a working device");
        all += both.saturating_sub(start.elapsed());
    }
    of.model = Some(model);
    let mean = |time: Duration| 1e3 * time.as_secs_f64() / f64::from(steps);
    let allocations = allocations as f64 / f64::from(steps);
    Round { whole: 0.0, optimizer: mean(all), host: mean(host), allocations }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn run<M: Bench>(
    what: &str,
    gpu: &Gpu,
    device: &Device,
    model: &M,
    shape: [usize; 4],
    rounds: usize,
    steps: u32,
) {
    let mut names =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).peekable();
    if names.peek().is_some() && !names.any(|name| name == what) {
        return;
    }
    let input = Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), device);
    for rule in ["adagrad", "adam"] {
        kernel_alone(what, gpu, rule, model.num_params());
        let mut all = contestants(gpu, rule, model);
        for round in 0..=rounds {
            for of in &mut all {
                let whole = whole(of, device, &input, steps);
                let round_of = Round { whole, ..alone(of, device, &input, steps) };
                // The first round tunes kernels.
                if round > 0 || rounds == 0 {
                    of.rounds.push(round_of);
                }
            }
        }
        let dispatches = DISPATCHES.load(Ordering::Relaxed);
        println!("# {what}, {rule}: a step by WgpuModuleOptim is {dispatches} dispatches");
        for contestant in &all {
            println!("{}", row(what, rule, &all[0], contestant));
        }
    }
}

/// A row of the table.
fn row<M>(what: &str, rule: &str, burns: &Contestant<M>, of: &Contestant<M>) -> String {
    let column = |part: fn(&Round) -> f64| median(of.rounds.iter().map(part).collect());
    let ratio = |part: fn(&Round) -> f64| {
        let pairs = burns.rounds.iter().zip(&of.rounds);
        let mut ratios: Vec<_> = pairs.map(|(burns, own)| part(burns) / part(own)).collect();
        ratios.sort_by(f64::total_cmp);
        let (low, high) = (ratios[0], ratios[ratios.len() - 1]);
        format!("{:.2},{low:.2},{high:.2}", median(ratios))
    };
    let (step, optimizer) = (column(|it| it.whole), column(|it| it.optimizer));
    let (host, allocations) = (column(|it| it.host), column(|it| it.allocations));
    let (of_step, of_optimizer) = (ratio(|it| it.whole), ratio(|it| it.optimizer));
    let name = of.name;
    format!(
        "{what},{rule},{name},{step:.3},{of_step},{optimizer:.3},{of_optimizer},{host:.3},{allocations:.0}"
    )
}

fn main() {
    let test = std::env::args().any(|argument| argument == "--test");
    let (rounds, steps) = if test { (0, 1) } else { (7, 20) };
    let options = Device::wgpu_options();
    let (device, setup) = options.init_with_setup().expect("a wgpu device");
    let gpu = Gpu::from_wgpu(setup.device, setup.queue);
    println!("# {}", gpu.info().name);
    println!(
        "model,rule,contestant,step_ms,step_ratio,step_low,step_high,\
         optimizer_ms,optimizer_ratio,optimizer_low,optimizer_high,host_ms,allocations"
    );
    let device = device.autodiff();
    let linear = |from, to| LinearConfig::new(from, to).init(&device);
    let sparse = SparseNn { hidden: linear(100, 50), output: linear(50, 1) };
    run("SparseNN", &gpu, &device, &sparse, [32, 100, 1, 1], rounds, steps);
    let lenet = LeNet {
        first: Conv2dConfig::new([1, 6], [5, 5])
            .with_padding(burn::nn::PaddingConfig2d::Same)
            .init(&device),
        second: Conv2dConfig::new([6, 16], [5, 5]).init(&device),
        dense: [linear(400, 120), linear(120, 84), linear(84, 10)],
    };
    run("LeNet", &gpu, &device, &lenet, [32, 1, 28, 28], rounds, steps.min(5));
    let deep = Deep { layers: (0..150).map(|_| linear(258, 258)).collect() };
    run("300", &gpu, &device, &deep, [8, 258, 1, 1], rounds.min(5), steps.min(3));
}
