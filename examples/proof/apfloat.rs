//! Compares the kernels and this processor to an oracle in software.

use std::error::Error;

use rayon::prelude::*;

use crate::compare::Tally;
use crate::drivers::Driver;
use crate::kernel::{BATCH, Kernel};
use crate::operation::Operation;
use crate::operations::{HARDWARE, ROUNDED};
use crate::oracle;
use crate::pairs::fill_batch;
use crate::progress::Progress;
use crate::table::{Expected, Row};

const APFLOAT: &str = "rustc_apfloat";

/// Pairs at full size. The five operations on them give 1.7 * 10^8 results.
const PAIRS: u64 = 1 << 25;

/// Operands in one task of a thread.
const RUN: usize = 1 << 13;

/// Operands and their correct results.
struct Cases {
    left: Vec<u32>,
    right: Vec<u32>,
    expected: Vec<u32>,
}

impl Cases {
    fn new() -> Self {
        let [left, right, expected] = [0; 3].map(|_| vec![0; BATCH]);
        Self { left, right, expected }
    }

    /// Fills in batch `batch`. Its runs cycle through the families, so each batch has all of them.
    fn fill(&mut self, batch: u64) {
        let first = batch * (BATCH / RUN) as u64;
        let runs = self.left.par_chunks_mut(RUN).zip(self.right.par_chunks_mut(RUN));
        runs.enumerate().for_each(|(run, (left, right))| {
            fill_batch(4, first + run as u64, left, right);
        });
    }

    /// Computes the oracle's results.
    fn expect(&mut self, operation: Operation) {
        let operands = self.left.par_chunks(RUN).zip(self.right.par_chunks(RUN));
        let runs = operands.zip(self.expected.par_chunks_mut(RUN));
        runs.for_each(|((left, right), expected)| {
            // The search for a root starts at the processor's root.
            operation.on_hardware(left, right, expected);
            for ((a, b), result) in left.iter().zip(right).zip(expected) {
                *result = oracle::result(operation, *a, *b, *result);
            }
        });
    }

    fn compare(&self, operation: Operation, found: &[u32]) -> Tally {
        Tally::of(&self.expected, found, |i| operation.call(self.left[i], self.right[i]))
    }
}

/// Compares the results of the kernels.
pub(crate) fn kernels(driver: &Driver) -> Result<Vec<Row>, Box<dyn Error>> {
    let kernel = Kernel::new(&driver.gpu, &ROUNDED, &[])?;
    let results = |left: &[u32], right: &[u32]| {
        let mut results = Vec::new();
        kernel.run(left, right, |_, found| results.push(found.to_vec()))?;
        Ok(results)
    };
    rows(&driver.name, driver.share, results)
}

/// Compares the results of this processor, which is the other oracle.
pub(crate) fn processor(share: u64) -> Result<Vec<Row>, Box<dyn Error>> {
    let result = |operation: Operation, left: &[u32], right: &[u32]| {
        let mut results = vec![0; left.len()];
        operation.on_hardware(left, right, &mut results);
        results
    };
    rows(HARDWARE, share, |left, right| {
        Ok(ROUNDED.map(|operation| result(operation, left, right)).to_vec())
    })
}

/// Compares the `results` of each operation to the oracle's.
fn rows(
    name: &str,
    share: u64,
    results: impl Fn(&[u32], &[u32]) -> Result<Vec<Vec<u32>>, Box<dyn Error>>,
) -> Result<Vec<Row>, Box<dyn Error>> {
    let mut cases = Cases::new();
    let mut tallies = ROUNDED.map(|_| Tally::default());
    let batches = (PAIRS / BATCH as u64 / share).max(1);
    let mut progress = Progress::new(format!("{APFLOAT} on {name}"), batches);
    for batch in 0..batches {
        cases.fill(batch);
        let found = results(&cases.left, &cases.right)?;
        for ((operation, found), tally) in ROUNDED.into_iter().zip(&found).zip(&mut tallies) {
            cases.expect(operation);
            tally.add(cases.compare(operation, found));
        }
        progress.tick(batch + 1);
    }
    let count: u64 = tallies.iter().map(|tally| tally.cases).sum();
    let rate = count as f64 / progress.seconds() / 1e6;
    eprintln!("{APFLOAT} on {name}: {rate:.1} million results a second");
    let row = |(operation, tally): (Operation, Tally)| Row {
        operation: operation.name().to_owned(),
        driver: name.to_owned(),
        oracle: APFLOAT,
        tally,
        expected: Expected::Agreement,
    };
    Ok(ROUNDED.into_iter().zip(tallies).map(row).collect())
}
