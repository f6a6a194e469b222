//! Whole Adagrad steps through the public interface: `GpuOptimizer` in exact precision against
//! `CpuOptimizer`, every formula.

use std::error::Error;

use rayon::prelude::*;
use wgpu_optim::{
    Adagrad, CpuOptimizer, EpsilonPlacement, GpuOptimizer, GpuVec, Precision, WeightDecay,
};

use crate::compare::Tally;
use crate::drivers::Driver;
use crate::kernel::BATCH;
use crate::pairs::{pack, significand};
use crate::progress::Progress;
use crate::random::{Random, fill};
use crate::table::{Expected, Row};

const ENGINE: &str = "CPU engine";

/// Two placements of epsilon, three kinds of weight decay, two directions.
const FORMULAS: u64 = 12;

/// The kinds of values that the formulas take turns in.
const KINDS: [Kind; 4] = [Kind::Realistic, Kind::Patterns, Kind::Wide, Kind::Realistic];

#[derive(Clone, Copy)]
enum Kind {
    /// Parameters near 1, gradients from 1e-20 to 1e10, accumulators such as these give.
    Realistic,
    /// Any bit patterns, but few negative accumulators: their roots are NaN.
    Patterns,
    /// Every exponent, subnormals too, with significands that make trouble.
    Wide,
}

/// A step's three vectors.
struct Vectors {
    params: Vec<f32>,
    grads: Vec<f32>,
    accumulator: Vec<f32>,
}

/// 2^30 steps of single elements.
pub(crate) fn adagrad(driver: &Driver) -> Result<Vec<Row>, Box<dyn Error>> {
    let full = (1 << 30) / BATCH as u64;
    let batches = driver.part(full, FORMULAS * KINDS.len() as u64);
    let mut progress = Progress::new(format!("adagrad on {}", driver.name), batches);
    let mut stepper = Stepper::new(driver)?;
    let mut tally = Tally::default();
    for batch in 0..batches {
        let rule = rule(batch);
        tally.add(stepper.step(batch, rule, rule)?);
        progress.tick(batch + 1);
    }
    Ok(vec![row(driver, "adagrad step, x and s, 12 formulas", tally, Expected::Agreement)])
}

/// The comparison must see a reference whose learning rate is off by one ULP.
pub(crate) fn wrong_reference_is_seen(driver: &Driver) -> Result<Vec<Row>, Box<dyn Error>> {
    let rule = Adagrad::default();
    let wrong = Adagrad { learning_rate: rule.learning_rate.next_up(), ..rule };
    let tally = Stepper::new(driver)?.step(0, rule, wrong)?;
    Ok(vec![row(driver, "adagrad step, reference 1 ULP off", tally, Expected::Mismatches)])
}

fn row(driver: &Driver, operation: &str, tally: Tally, expected: Expected) -> Row {
    Row {
        operation: operation.to_owned(),
        driver: driver.name.clone(),
        oracle: ENGINE,
        tally,
        expected,
    }
}

/// Memory for a batch, on both sides.
struct Stepper<'a> {
    driver: &'a Driver,
    params: GpuVec,
    grads: GpuVec,
    host: Vectors,
}

impl<'a> Stepper<'a> {
    fn new(driver: &'a Driver) -> Result<Self, Box<dyn Error>> {
        let empty = || vec![0.0; BATCH];
        Ok(Self {
            driver,
            params: driver.gpu.zeros(BATCH)?,
            grads: driver.gpu.zeros(BATCH)?,
            host: Vectors { params: empty(), grads: empty(), accumulator: empty() },
        })
    }

    /// One step of each element of batch number `batch`, by `rule` on the device and by
    /// `reference` on the host.
    fn step(
        &mut self,
        batch: u64,
        rule: Adagrad,
        reference: Adagrad,
    ) -> Result<Tally, Box<dyn Error>> {
        let gpu = &self.driver.gpu;
        self.host.fill(batch);
        let Vectors { params, grads, accumulator } = &self.host;
        let steps_before = batch % 1000; // the learning rate decays with them

        let mut on_gpu = GpuOptimizer::new(gpu, rule, BATCH)?.with_precision(Precision::Exact);
        on_gpu.set_steps(steps_before);
        gpu.write(on_gpu.state(0), accumulator)?;
        gpu.write(&self.params, params)?;
        gpu.write(&self.grads, grads)?;
        on_gpu.step(&self.params, &self.grads)?;
        let found_x = self.params.download_blocking(gpu)?;
        let found_s = on_gpu.state(0).download_blocking(gpu)?;

        let mut on_cpu = CpuOptimizer::new(reference, BATCH)?;
        on_cpu.set_steps(steps_before);
        on_cpu.state_mut(0).copy_from_slice(accumulator);
        let mut expected_x = params.clone();
        on_cpu.step(&mut expected_x, grads)?;

        let operands = |index: usize, result: &str| {
            let [x, g, s] = [params, grads, accumulator].map(|v| v[index].to_bits());
            let step = steps_before + 1;
            format!(
                "{result} of step {step} from x {x:#010x}, g {g:#010x}, s {s:#010x} by {rule:?}"
            )
        };
        let x = tally(&expected_x, &found_x, |index| operands(index, "x"));
        let s = tally(on_cpu.state(0), &found_s, |index| operands(index, "s"));
        // A case is an element, whose two results count as one mismatch each.
        Ok(Tally { cases: x.cases, ..x.with(s) })
    }
}

/// Compares bits, on all cores.
fn tally(expected: &[f32], found: &[f32], operands: impl Fn(usize) -> String + Sync) -> Tally {
    const RUN: usize = 1 << 16;
    let runs = expected.par_chunks(RUN).zip(found.par_chunks(RUN)).enumerate();
    runs.map(|(run, (expected, found))| {
        let (expected, found) = (bytemuck::cast_slice(expected), bytemuck::cast_slice(found));
        Tally::of(expected, found, |index| operands(run * RUN + index))
    })
    .reduce(Tally::default, Tally::with)
}

impl Vectors {
    fn fill(&mut self, batch: u64) {
        let kind = KINDS[(batch / FORMULAS % KINDS.len() as u64) as usize];
        let seed = (batch << 8) | 5;
        fill(seed, &mut self.params, |random| kind.param(random));
        fill(seed + 1, &mut self.grads, |random| kind.grad(random));
        fill(seed + 2, &mut self.accumulator, |random| kind.accumulator(random));
    }
}

impl Kind {
    fn param(self, random: &mut Random) -> u32 {
        match self {
            Self::Realistic => pack(random.sign(), random.between(110, 132), random.bits()),
            Self::Patterns => random.bits(),
            Self::Wide => pack(random.sign(), random.between(-22, 254), significand(random)),
        }
    }

    fn grad(self, random: &mut Random) -> u32 {
        match self {
            Self::Realistic if random.below(16) == 0 => random.sign(), // no gradient: a zero
            // 2^-67 to 2^33.
            Self::Realistic => pack(random.sign(), random.between(60, 160), random.bits()),
            // Fields above 191 have infinite squares.
            Self::Wide => pack(random.sign(), random.between(-22, 194), significand(random)),
            Self::Patterns => self.param(random),
        }
    }

    fn accumulator(self, random: &mut Random) -> u32 {
        match self {
            Self::Realistic if random.below(16) == 0 => 0,
            Self::Realistic => pack(0, random.between(-10, 194), random.bits()),
            Self::Patterns if random.below(16) > 0 => random.bits() & 0x7fff_ffff,
            Self::Patterns => random.bits(),
            Self::Wide => self.param(random) & 0x7fff_ffff,
        }
    }
}

/// The rule of a batch: the formulas in turn, with hyper-parameters drawn from what people use
/// and from the ends of what is allowed.
fn rule(batch: u64) -> Adagrad {
    let random = &mut Random::new(6, batch);
    let coefficient = random.one_of(&[0.0, 1e-4, 0.01, 0.5, 1.5, 1e-37, 1e20]);
    Adagrad {
        learning_rate: random.one_of(&[0.001, 0.01, 0.1, 0.3, 1.0, 0.0, 1e-37, 1e30]),
        epsilon: random.one_of(&[1e-10, 1e-8, 1e-7, 1e-6, 0.1, 0.0, f32::MIN_POSITIVE, 1e30]),
        epsilon_placement: if batch.is_multiple_of(2) {
            EpsilonPlacement::InsideRoot
        } else {
            EpsilonPlacement::OutsideRoot
        },
        initial_accumulator: 0.0, // every accumulator is written
        learning_rate_decay: random.one_of(&[0.0, 0.0, 1e-3, 0.5]),
        weight_decay: match batch / 2 % 3 {
            0 => WeightDecay::None,
            1 => WeightDecay::L2(coefficient),
            _ => WeightDecay::Decoupled(coefficient),
        },
        maximize: batch / 6 % 2 == 1,
    }
}
