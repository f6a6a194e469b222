//! Reports progress on stderr.

use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_secs(10);

pub(crate) struct Progress {
    what: String,
    total: u64,
    start: Instant,
    last: Instant,
}

impl Progress {
    /// Starts the report of `total` batches of `what`.
    pub(crate) fn new(what: String, total: u64) -> Self {
        let now = Instant::now();
        Self { what, total, start: now, last: now }
    }

    /// Reports that `done` batches are done, at most every 10 s.
    pub(crate) fn tick(&mut self, done: u64) {
        if done < self.total && self.last.elapsed() < INTERVAL {
            return;
        }
        self.last = Instant::now();
        let percent = 100 * done / self.total.max(1);
        let seconds = self.start.elapsed().as_secs_f64();
        eprintln!("{}: {percent} % after {seconds:.1} s", self.what);
    }

    /// Seconds since the start.
    pub(crate) fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }
}
