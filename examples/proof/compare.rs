//! Compares results and counts mismatches.

use std::fmt;

use rayon::prelude::*;

use crate::operation::Operation;

/// Elements in one task of a thread.
const RUN: usize = 1 << 14;

/// A wrong result.
#[derive(Clone, Debug)]
pub(crate) struct Mismatch {
    /// The operation and its operands, for a message.
    pub(crate) operands: String,
    pub(crate) expected: u32,
    pub(crate) found: u32,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operands, expected, found } = self;
        write!(formatter, "{operands} gives {found:#010x}, should be {expected:#010x}")
    }
}

/// The number of results that were compared, and of those that were wrong.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) cases: u64,
    pub(crate) mismatches: u64,
    pub(crate) first: Option<Mismatch>,
}

impl Tally {
    /// The sum of both. The first mismatch is that of `self`, if it has one.
    pub(crate) fn with(self, other: Self) -> Self {
        Self {
            cases: self.cases + other.cases,
            mismatches: self.mismatches + other.mismatches,
            first: self.first.or(other.first),
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        *self = std::mem::take(self).with(other);
    }

    /// Compares results. `operands` describes the operands at an index.
    pub(crate) fn of(expected: &[u32], found: &[u32], operands: impl Fn(usize) -> String) -> Self {
        let pairs = || expected.iter().zip(found);
        let mismatches = pairs().filter(|(expected, found)| expected != found).count() as u64;
        let mut tally = Self { cases: expected.len() as u64, mismatches, first: None };
        if mismatches > 0 {
            let index = pairs().position(|(expected, found)| expected != found);
            tally.first = index.map(|index| Mismatch {
                operands: operands(index),
                expected: expected[index],
                found: found[index],
            });
        }
        tally
    }
}

/// Compares the results of `operation` to those of this processor, on all cores.
pub(crate) fn with_hardware(
    operation: Operation,
    left: &[u32],
    right: &[u32],
    found: &[u32],
) -> Tally {
    let runs = left.par_chunks(RUN).zip(right.par_chunks(RUN)).zip(found.par_chunks(RUN));
    runs.map_init(
        || vec![0; RUN],
        |expected, ((left, right), found)| {
            let expected = &mut expected[..left.len()];
            operation.on_hardware(left, right, expected);
            Tally::of(expected, found, |index| operation.call(left[index], right[index]))
        },
    )
    .reduce(Tally::default, Tally::with)
}
