//! How often and how long to measure. Steps and copies alternate, so that other load on the machine
//! affects both.

use std::time::{Duration, Instant};

use crate::error::Error;
use crate::interrupt;

/// How long each length is measured.
const MEASURED: Duration = Duration::from_millis(900);
const MIN_SAMPLES: usize = 5;
const MAX_SAMPLES: usize = 1000;
/// The minimum duration of a group of steps, so that waiting for it hardly counts.
const GROUP: Duration = Duration::from_millis(4);
const MAX_STEPS_PER_GROUP: u32 = 512;

/// Something that steps and copies.
pub(super) trait Bench {
    /// Takes `count` steps, and waits for them.
    fn steps(&mut self, count: u32) -> Result<(), Error>;

    /// Copies `count` times, and waits for it.
    fn copies(&mut self, count: u32) -> Result<(), Error>;

    /// Seconds for `count` steps by the device's own clock, if it has one.
    fn kernels(&mut self, count: u32) -> Result<Option<f64>, Error>;
}

/// Seconds, each the median over all samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Medians {
    pub(super) step: f64,
    pub(super) copy: f64,
    pub(super) kernel: Option<f64>,
}

/// Measures for [`MEASURED`], and at least [`MIN_SAMPLES`] times.
pub(super) fn medians(bench: &mut impl Bench) -> Result<Medians, Error> {
    // Compiles kernels and touches all memory for the first time.
    bench.steps(1)?;
    bench.copies(1)?;
    let mut group = 1;
    while group < MAX_STEPS_PER_GROUP && timed(|| bench.steps(group))? < GROUP {
        group *= 2;
    }
    let per_step = |time: Duration| time.as_secs_f64() / f64::from(group);
    let (mut steps, mut copies, mut kernels) = (Vec::new(), Vec::new(), Vec::new());
    let start = Instant::now();
    while steps.len() < MIN_SAMPLES || (start.elapsed() < MEASURED && steps.len() < MAX_SAMPLES) {
        steps.push(per_step(timed(|| bench.steps(group))?));
        copies.push(per_step(timed(|| bench.copies(group))?));
        kernels.extend(bench.kernels(group)?.map(|seconds| seconds / f64::from(group)));
    }
    let (step, copy) = (median(steps).unwrap_or(f64::NAN), median(copies).unwrap_or(f64::NAN));
    Ok(Medians { step, copy, kernel: median(kernels) })
}

fn timed(work: impl FnOnce() -> Result<(), Error>) -> Result<Duration, Error> {
    interrupt::check()?;
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

/// The middle value; none if there are no values.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts steps and copies, and claims that a step takes three seconds.
    #[derive(Default)]
    struct Counting {
        steps: u32,
        copies: u32,
    }

    impl Bench for Counting {
        fn steps(&mut self, count: u32) -> Result<(), Error> {
            self.steps += count;
            Ok(())
        }

        fn copies(&mut self, count: u32) -> Result<(), Error> {
            self.copies += count;
            Ok(())
        }

        fn kernels(&mut self, count: u32) -> Result<Option<f64>, Error> {
            Ok(Some(3.0 * f64::from(count)))
        }
    }

    #[test]
    fn steps_and_copies_come_in_equal_groups() {
        let mut bench = Counting::default();
        let medians = medians(&mut bench).unwrap();
        assert_eq!(medians.kernel, Some(3.0));
        // Before the samples: one step and one copy to warm up, then groups of 1, 2, 4, .. 256.
        assert_eq!(bench.steps - (1 + 511), bench.copies - 1);
        assert_eq!((bench.copies - 1) % MAX_STEPS_PER_GROUP, 0);
        assert!(bench.copies > MAX_STEPS_PER_GROUP * MIN_SAMPLES as u32);
    }

    #[test]
    fn the_middle_one() {
        assert_eq!(median(vec![9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(Vec::new()), None);
    }
}
