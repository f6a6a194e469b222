//! One step of Adagrad, and a step of additions only with the same memory traffic.

use std::time::{Duration, Instant};

use wgpu_optim::{
    Adagrad, CpuOptimizer, CpuVec, EpsilonPlacement, GpuOptimizer, GpuRequest, GpuVec, Rule,
    WeightDecay,
};

use crate::traffic::{Traffic, values};
use crate::{Contestant, adapter};

/// With gradients of about 1, the placement of epsilon makes no difference.
const RULE: Adagrad = Adagrad {
    learning_rate: 0.01,
    epsilon: 1e-10,
    epsilon_placement: EpsilonPlacement::InsideRoot,
    initial_accumulator: 0.0,
    learning_rate_decay: 0.0,
    weight_decay: WeightDecay::None,
    maximize: false,
};
const CHECKED_STEPS: u32 = 3;
const WARM_UP: u32 = 20;

/// The seconds of one step. `run` takes a given number of steps.
fn seconds_per_step(budget: Duration, mut run: impl FnMut(u32)) -> f64 {
    let mut time = |steps: u32| {
        let start = Instant::now();
        run(steps);
        start.elapsed().as_secs_f64() / f64::from(steps)
    };
    let once = time(4);
    time((budget.as_secs_f64() / once).clamp(1.0, 1e6) as u32)
}

fn sum(values: &[f32]) -> f64 {
    values.iter().map(|&value| f64::from(value)).sum()
}

/// The CPU engine with any rule.
pub(crate) struct Cpu<R: Rule> {
    optimizer: CpuOptimizer<R>,
    params: CpuVec,
    grads: CpuVec,
    check: f64,
}

/// Adagrad.
pub(crate) fn cpu(len: usize) -> Cpu<Adagrad> {
    Cpu::new(RULE, len)
}

/// The fastest step that memory allows.
pub(crate) fn traffic(len: usize) -> Cpu<Traffic> {
    Cpu::new(Traffic, len)
}

impl<R: Rule> Cpu<R> {
    fn new(rule: R, len: usize) -> Self {
        let optimizer = CpuOptimizer::new(rule, len).unwrap();
        // On huge pages, like numpy's arrays.
        let vector = || CpuVec::from_slice(&values(len)).unwrap();
        let mut cpu = Self { optimizer, params: vector(), grads: vector(), check: 0.0 };
        cpu.steps(CHECKED_STEPS);
        cpu.check = sum(&cpu.params);
        cpu.steps(WARM_UP);
        cpu
    }

    fn steps(&mut self, steps: u32) {
        for _ in 0..steps {
            self.optimizer.step(&mut self.params, &self.grads).unwrap();
        }
    }
}

impl<R: Rule> Contestant for Cpu<R> {
    fn check(&self) -> f64 {
        self.check
    }

    fn measure(&mut self, _: &str, budget: Duration) -> f64 {
        seconds_per_step(budget, |steps| self.steps(steps))
    }
}

/// The first adapter, in native precision.
pub(crate) struct Gpu {
    gpu: wgpu_optim::Gpu,
    optimizer: GpuOptimizer<Adagrad>,
    params: GpuVec,
    grads: GpuVec,
    check: f64,
}

impl Gpu {
    pub(crate) fn new(len: usize) -> Self {
        let gpu = wgpu_optim::Gpu::request_blocking(&GpuRequest::default()).unwrap();
        let host = values(len);
        let (params, grads) = (gpu.upload(&host).unwrap(), gpu.upload(&host).unwrap());
        let optimizer = GpuOptimizer::new(&gpu, RULE, len).unwrap();
        let mut run = Self { gpu, optimizer, params, grads, check: 0.0 };
        run.steps(CHECKED_STEPS, false);
        run.check = sum(&run.params.download_blocking(&run.gpu).unwrap());
        run.steps(WARM_UP, false);
        run.steps(WARM_UP, true);
        run
    }

    fn steps(&mut self, steps: u32, wait_for_each: bool) {
        for _ in 0..steps {
            self.optimizer.step(&self.params, &self.grads).unwrap();
            if wait_for_each {
                self.gpu.wait_blocking().unwrap();
            }
        }
        self.gpu.wait_blocking().unwrap();
    }
}

impl Contestant for Gpu {
    fn check(&self) -> f64 {
        self.check
    }

    fn device(&self) -> String {
        adapter(&self.gpu)
    }

    fn measure(&mut self, mode: &str, budget: Duration) -> f64 {
        let wait_for_each = match mode {
            "queued" | "lazy" => false,
            "waited" => true,
            _ => panic!("{mode}: no such measurement"),
        };
        seconds_per_step(budget, |steps| self.steps(steps, wait_for_each))
    }
}
