//! A line on stderr now and then.

use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_secs(10);

pub(crate) struct Progress {
    what: String,
    total: u64,
    start: Instant,
    last: Instant,
}

impl Progress {
    /// `total` batches of `what` are to come.
    pub(crate) fn new(what: String, total: u64) -> Self {
        let now = Instant::now();
        Self { what, total, start: now, last: now }
    }

    /// `done` of them are done.
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
