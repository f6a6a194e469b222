//! Compares each operation to this processor's hardware, and checks the harness itself.

use std::error::Error;

use crate::compare::{Tally, with_hardware};
use crate::drivers::Driver;
use crate::kernel::{BATCH, Kernel, Replacement};
use crate::operation::{BINARY, Operation, UNARY};
use crate::pairs::{FAMILIES, class_patterns, fill_batch};
use crate::progress::Progress;
use crate::table::{Expected, Row};

pub(crate) const HARDWARE: &str = "CPU hardware";

/// The five operations that round.
pub(crate) const ROUNDED: [Operation; 5] =
    [Operation::Add, Operation::Sub, Operation::Mul, Operation::Div, Operation::SquareRoot];

const GUESSED: [Operation; 2] = [Operation::Div, Operation::SquareRoot];

/// Replaces correct rounding by wrong rounding: ties up, roots down.
const BROKEN: [Replacement; 3] = [
    ("let odd = (significand >> dropped) & ONE;", "let odd = ONE;"),
    ("let odd = (scaled >> vec4<u32>(7u)) & ONE;", "let odd = ONE;"),
    ("+ (vec4<u32>(nearly - remaining) >> vec4<u32>(31u));", ";"),
];

/// Adds the kernel's perturbation, in ULP, to the guesses.
const PERTURBED: [Replacement; 2] = [
    (
        "return numerator / denominator;",
        "return bitcast<vec4<f32>>(bitcast<vec4<u32>>(numerator / denominator) + perturbation.xxxx);",
    ),
    (
        "return sqrt(radicand);",
        "return bitcast<vec4<f32>>(bitcast<vec4<u32>>(sqrt(radicand)) + perturbation.yyyy);",
    ),
];

/// A kernel, a batch of operands for it, and the tallies so far.
struct Bench<'a> {
    kernel: Kernel<'a>,
    operations: &'static [Operation],
    left: Vec<u32>,
    right: Vec<u32>,
    tallies: Vec<Tally>,
}

impl<'a> Bench<'a> {
    fn new(
        driver: &'a Driver,
        operations: &'static [Operation],
        replacements: &[Replacement],
    ) -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            kernel: Kernel::new(&driver.gpu, operations, replacements)?,
            operations,
            left: vec![0; BATCH],
            right: vec![0; BATCH],
            tallies: vec![Tally::default(); operations.len()],
        })
    }

    /// Runs the current batch of operands.
    fn run(&mut self) -> Result<(), Box<dyn Error>> {
        let Self { kernel, left, right, tallies, .. } = self;
        let mut tallies = tallies.iter_mut();
        kernel.run(left, right, |operation, found| {
            if let Some(tally) = tallies.next() {
                tally.add(with_hardware(operation, left, right, found));
            }
        })
    }

    /// Runs batch `batch` of the random and constructed pairs.
    fn run_pairs(&mut self, seed: u64, batch: u64) -> Result<(), Box<dyn Error>> {
        fill_batch(seed, batch, &mut self.left, &mut self.right);
        self.run()
    }

    fn rows(self, driver: &Driver, remark: &str, expected: Expected) -> Vec<Row> {
        let row = |(operation, tally): (&Operation, Tally)| Row {
            operation: format!("{}{remark}", operation.name()),
            driver: driver.name.clone(),
            oracle: HARDWARE,
            tally,
            expected,
        };
        self.operations.iter().zip(self.tallies).map(row).collect()
    }
}

/// The harness must detect a wrong tie rule, and guesses that are too wrong to be corrected.
pub(crate) fn broken_rounding_is_seen(driver: &Driver) -> Result<Vec<Row>, Box<dyn Error>> {
    let mut broken = Bench::new(driver, &ROUNDED, &BROKEN)?;
    let mut hopeless = Bench::new(driver, &GUESSED, &PERTURBED)?;
    hopeless.kernel.perturb(1 << 16, 1 << 16);
    for batch in 0..FAMILIES.len() as u64 {
        broken.run_pairs(1, batch)?;
        hopeless.run_pairs(1, batch)?;
    }
    let mut rows = broken.rows(driver, ", rounding broken", Expected::Mismatches);
    rows.extend(hopeless.rows(driver, ", guess off by 65536 ULP", Expected::Mismatches));
    Ok(rows)
}

/// The operations of one operand on every bit pattern, or, for a share, on patterns at a fixed
/// stride and at the ends of all binades.
pub(crate) fn all_patterns(driver: &Driver) -> Result<Vec<Row>, Box<dyn Error>> {
    let mut bench = Bench::new(driver, &UNARY, &[])?;
    // An odd stride visits all values of the last bits.
    let stride = driver.share as u32 | 1;
    let batches = ((1 << 32) / u64::from(stride)).div_ceil(BATCH as u64);
    let mut progress = Progress::new(format!("all patterns on {}", driver.name), batches);
    if stride > 1 {
        for (index, pattern) in (0..).zip(&mut bench.left) {
            *pattern = binade_end(index);
        }
        bench.run()?;
    }
    for batch in 0..batches {
        let first = (batch as u32).wrapping_mul(BATCH as u32);
        for (index, pattern) in (0..).zip(&mut bench.left) {
            *pattern = (first + index).wrapping_mul(stride);
        }
        bench.run()?;
        progress.tick(batch + 1);
    }
    Ok(bench.rows(driver, "", Expected::Agreement))
}

/// For each of the 512 signs and exponent fields, the first 1024 and the last 1024 fractions.
fn binade_end(index: u32) -> u32 {
    let (binade, fraction) = (index / 2048, index % 2048);
    (binade << 23) | if fraction < 1024 { fraction } else { 0x7f_ffff - (fraction - 1024) }
}

/// The operations of two operands, on all pairs of classes, then on random and constructed pairs.
pub(crate) fn pairs(driver: &Driver) -> Result<Vec<Row>, Box<dyn Error>> {
    let mut bench = Bench::new(driver, &BINARY, &[])?;
    let patterns = class_patterns();
    for first in (0..patterns.len().pow(2)).step_by(BATCH) {
        for index in 0..BATCH {
            bench.left[index] = patterns[(first + index) / patterns.len()];
            bench.right[index] = patterns[(first + index) % patterns.len()];
        }
        bench.run()?;
    }
    let batches = driver.part((1 << 32) / BATCH as u64, FAMILIES.len() as u64);
    let mut progress = Progress::new(format!("pairs on {}", driver.name), batches);
    for batch in 0..batches {
        bench.run_pairs(2, batch)?;
        progress.tick(batch + 1);
    }
    Ok(bench.rows(driver, "", Expected::Agreement))
}

/// Makes the guesses of quotients and roots more wrong than WGSL allows: by every pair of errors up
/// to 8 ULP, and by up to the 28 ULP that exact.wgsl claims to correct.
pub(crate) fn perturbed_guesses(driver: &Driver) -> Result<Vec<Row>, Box<dyn Error>> {
    let mut bench = Bench::new(driver, &GUESSED, &PERTURBED)?;
    let small = (-8..=8).flat_map(|quotient| (-8..=8).map(move |root| (quotient, root)));
    let large = (9..=28).flat_map(|n| [(n, n), (n, -n), (-n, n), (-n, -n)]);
    let errors: Vec<_> = small.chain(large).collect();
    let total = errors.len() as u64;
    let mut progress = Progress::new(format!("perturbed guesses on {}", driver.name), total);
    // A share takes pairs of errors at a fixed step. Each guess has 17 small errors, a prime above
    // the step, so every error of either guess occurs.
    let step = driver.share.min(16) as usize;
    for (index, &(quotient, root)) in errors.iter().enumerate().step_by(step) {
        bench.kernel.perturb(quotient, root);
        bench.run_pairs(3, index as u64 / step as u64)?;
        progress.tick(index as u64 + 1);
    }
    Ok(bench.rows(driver, ", guess off by -28 to 28 ULP", Expected::Agreement))
}
