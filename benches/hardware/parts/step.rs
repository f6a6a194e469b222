//! One step of Adagrad in both precisions, beside the same traffic with additions only and a copy.

use wgpu_optim::{CpuOptimizer, Gpu, GpuOptimizer, GpuVec, Precision, Rule};

use super::{RULE, step_bytes};
use crate::Result;
use crate::device::check_room;
use crate::record::Status;
use crate::timing::{Bench, Case, Contestant, Mode};
use crate::traffic::{Traffic, values};

/// One size at which submission dominates, then sizes from what a cache may hold to what no cache
/// holds.
const SIZES: [usize; 10] =
    [1 << 12, 1 << 20, 1 << 21, 1 << 22, 1 << 23, 1 << 24, 1 << 25, 1 << 26, 1 << 27, 1 << 28];
const QUICK_SIZES: [usize; 2] = [1 << 12, 1 << 20];
/// The number of distinct values; longer vectors repeat them.
const BLOCK: usize = 1 << 20;
/// Steps before the sum of parameters is taken, as in benches/peers.
const CHECKED_STEPS: usize = 3;
/// The tolerance of that sum for each element. Rounding changes an element by less, a missing step
/// by 6e-3.
const TOLERANCE: f64 = 1e-6;
/// Bytes that a copy reads and writes for each element.
const COPY_BYTES: u64 = 8;

pub(super) fn measure(bench: &mut Bench) -> Result<()> {
    let sizes = if bench.quick { &QUICK_SIZES[..] } else { &SIZES };
    bench.expect(sizes.len());
    for &len in sizes {
        bench.case(&Case::new("one tensor", len), one_size)?;
    }
    Ok(())
}

fn one_size(bench: &mut Bench, case: &Case) -> Result<()> {
    let gpu = bench.gpu.clone();
    let vectors = Vectors::new(&gpu, case.elements)?;
    let native = vectors.check(&gpu, Precision::Native)?;
    let exact = vectors.check(&gpu, Precision::Exact)?;
    let mut contestants = [
        checked(vectors.contestant(&gpu, "native", RULE, Precision::Native)?, &native),
        checked(vectors.contestant(&gpu, "exact", RULE, Precision::Exact)?, &exact),
        vectors.contestant(&gpu, "additions", Traffic, Precision::Native)?,
        vectors.copy(&gpu),
    ];
    bench.compare(case, &mut contestants, &[Mode::Device, Mode::Queued])
}

/// The vectors of a step, shared by all contestants.
struct Vectors {
    params: GpuVec,
    grads: GpuVec,
    state: GpuVec,
    /// The gradients and the initial parameters repeat this block.
    block: Vec<f32>,
    on_gpu: GpuVec,
}

/// The outcome of three steps.
struct Check {
    sum: f64,
    agrees: bool,
}

fn checked<'a>(contestant: Contestant<'a>, check: &Check) -> Contestant<'a> {
    let (status, detail) = match check.agrees {
        true => (Status::Measured, ""),
        false => (Status::Failed, "three steps give other values than on the CPU engine"),
    };
    Contestant { status, check: Some(check.sum), detail: detail.to_owned(), ..contestant }
}

impl Vectors {
    fn new(gpu: &Gpu, len: usize) -> Result<Self> {
        check_room(gpu, 3 * 4 * len as u64)?;
        let block = values(len.min(BLOCK));
        let on_gpu = gpu.upload(&block)?;
        let [params, grads, state] = [gpu.zeros(len)?, gpu.zeros(len)?, gpu.zeros(len)?];
        let vectors = Self { params, grads, state, block, on_gpu };
        vectors.tile(gpu, &vectors.grads);
        Ok(vectors)
    }

    /// Fills a vector with copies of the block, without using the host's memory.
    fn tile(&self, gpu: &Gpu, vector: &GpuVec) {
        let mut encoder = gpu.device().create_command_encoder(&Default::default());
        let (size, mut done) = (4 * self.block.len() as u64, 0);
        for (buffer, bytes) in vector.buffers() {
            let mut at = bytes.start;
            while at < bytes.end {
                // A buffer may begin in the middle of a block.
                let from = done % size;
                let len = (size - from).min(bytes.end - at);
                for (block, range) in self.on_gpu.buffers() {
                    encoder.copy_buffer_to_buffer(block, range.start + from, buffer, at, len);
                }
                (at, done) = (at + len, done + len);
            }
        }
        gpu.queue().submit([encoder.finish()]);
    }

    fn optimizer<R: Rule>(
        &self,
        gpu: &Gpu,
        rule: R,
        precision: Precision,
    ) -> Result<GpuOptimizer<R>> {
        let state = std::slice::from_ref(&self.state);
        let optimizer = GpuOptimizer::over_state(gpu, rule, self.params.len(), state)?;
        Ok(optimizer.with_precision(precision))
    }

    /// Takes three steps from the start, and checks that they give the CPU engine's values, in
    /// exact precision its bits. Only the last block is compared.
    fn check(&self, gpu: &Gpu, precision: Precision) -> Result<Check> {
        self.tile(gpu, &self.params);
        gpu.fill(&self.state, 0.0)?;
        let mut on_gpu = self.optimizer(gpu, RULE, precision)?;
        let mut on_cpu = CpuOptimizer::new(RULE, self.block.len())?;
        let mut expected = self.block.clone();
        for _ in 0..CHECKED_STEPS {
            on_gpu.step(&self.params, &self.grads)?;
            on_cpu.step(&mut expected, &self.block)?;
        }
        let len = self.params.len();
        let found = self.params.slice(len - self.block.len()..len)?.download_blocking(gpu)?;
        let sum = |values: &[f32]| values.iter().map(|&value| f64::from(value)).sum::<f64>();
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        let agrees = match precision {
            Precision::Exact => bits(&found) == bits(&expected),
            Precision::Native => {
                (sum(&found) - sum(&expected)).abs() <= TOLERANCE * self.block.len() as f64
            }
        };
        Ok(Check { sum: sum(&found), agrees })
    }

    fn contestant<'a, R: Rule>(
        &'a self,
        gpu: &'a Gpu,
        name: &str,
        rule: R,
        precision: Precision,
    ) -> Result<Contestant<'a>> {
        let mut optimizer = self.optimizer(gpu, rule, precision)?;
        Ok(Contestant::new(name, gpu, step_bytes(self.params.len()), move |encoder| {
            Ok(optimizer.record(encoder, &self.params, &self.grads)?)
        }))
    }

    fn copy<'a>(&'a self, gpu: &'a Gpu) -> Contestant<'a> {
        let bytes = COPY_BYTES * self.params.len() as u64;
        Contestant::new("copy", gpu, Some(bytes), move |encoder| {
            for ((from, range), (to, there)) in self.grads.buffers().zip(self.params.buffers()) {
                let size = range.end - range.start;
                encoder.copy_buffer_to_buffer(from, range.start, to, there.start, size);
            }
            Ok(())
        })
    }
}
