//! Contestants of one case, measured in turns.

use std::collections::HashMap;
use std::io::{Stdout, stdout};
use std::time::{Duration, Instant};

use wgpu_optim::{Gpu, wgpu};

use crate::Result;
use crate::clock::Clock;
use crate::record::{Row, Rows, Status, Times};

/// Rounds, if the time allows; a row says how many there were.
const ROUNDS: usize = 9;
/// What a sample should take, in seconds: long beside the clock's resolution, short beside a watchdog's
/// patience.
const SAMPLE: f64 = 0.03;
const QUICK_SAMPLE: f64 = 1e-4;

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Mode {
    /// Many steps in one encoder, by the device's own clock.
    Device,
    /// Many steps, each submitted alone, and one wait at the end.
    Queued,
    /// The same with a wait after each.
    Waited,
    /// The host's part of a step: recording it into an encoder.
    Record,
    /// The host's part from a new encoder to the end of its submission.
    Submit,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::Queued => "queued",
            Self::Waited => "waited",
            Self::Record => "record",
            Self::Submit => "submit",
        }
    }

    /// Steps in a sample.
    fn max_steps(self) -> f64 {
        match self {
            Self::Device => 256.0,
            _ => 1000.0,
        }
    }
}

/// One way to do the work of a case.
pub(crate) struct Contestant<'a> {
    pub(crate) name: String,
    pub(crate) gpu: &'a Gpu,
    /// What a step must read and write once; none where that says nothing.
    pub(crate) bytes: Option<u64>,
    /// What was found before it was timed.
    pub(crate) status: Status,
    pub(crate) check: Option<f64>,
    pub(crate) detail: String,
    pub(crate) record: Box<dyn FnMut(&mut wgpu::CommandEncoder) -> Result<()> + 'a>,
}

impl<'a> Contestant<'a> {
    /// `record` encodes one step.
    pub(crate) fn new(
        name: impl Into<String>,
        gpu: &'a Gpu,
        bytes: Option<u64>,
        record: impl FnMut(&mut wgpu::CommandEncoder) -> Result<()> + 'a,
    ) -> Self {
        Self {
            name: name.into(),
            gpu,
            bytes,
            status: Status::Measured,
            check: None,
            detail: String::new(),
            record: Box::new(record),
        }
    }

    /// Seconds for `steps` steps together.
    fn seconds(&mut self, mode: Mode, clock: &Clock, steps: u32) -> Result<f64> {
        let gpu = self.gpu;
        if mode == Mode::Device {
            let mut recorded = Ok(());
            let seconds = clock.seconds(gpu, |encoder| {
                recorded = (0..steps).try_for_each(|_| (self.record)(encoder));
            });
            return recorded.map(|()| seconds);
        }
        gpu.wait_blocking()?;
        let begin = Instant::now();
        let mut host = Duration::ZERO;
        for _ in 0..steps {
            let start = Instant::now();
            let mut encoder = gpu.device().create_command_encoder(&Default::default());
            let encoding = Instant::now();
            (self.record)(&mut encoder)?;
            if mode == Mode::Record {
                host += encoding.elapsed();
            }
            gpu.queue().submit([encoder.finish()]);
            if mode == Mode::Submit {
                host += start.elapsed();
            }
            if mode != Mode::Queued {
                gpu.wait_blocking()?;
            }
        }
        gpu.wait_blocking()?;
        let of_host = matches!(mode, Mode::Record | Mode::Submit);
        Ok(if of_host { host } else { begin.elapsed() }.as_secs_f64())
    }
}

/// A case: its name, and how many elements it has.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) elements: usize,
}

impl Case {
    pub(crate) fn new(name: impl Into<String>, elements: usize) -> Self {
        Self { name: name.into(), elements }
    }
}

/// Measures the cases of a part, and prints their rows.
pub(crate) struct Bench {
    pub(crate) gpu: Gpu,
    pub(crate) quick: bool,
    part: String,
    clock: Clock,
    rows: Rows<Stdout>,
    deadline: Instant,
    cases_left: u32,
    /// Seconds for an element, where a contestant was measured last.
    costs: HashMap<(String, Mode), f64>,
}

impl Bench {
    pub(crate) fn new(gpu: Gpu, part: &str, seconds: f64, quick: bool) -> Self {
        Self {
            clock: Clock::of(&gpu),
            gpu,
            quick,
            part: part.to_owned(),
            rows: Rows::new(stdout()),
            deadline: Instant::now() + Duration::from_secs_f64(seconds),
            cases_left: 1,
            costs: HashMap::new(),
        }
    }

    /// Says how many cases are to come, so that each gets its share of the time.
    pub(crate) fn expect(&mut self, cases: usize) {
        self.cases_left = cases as u32;
    }

    /// When the next case should end.
    pub(crate) fn next_share(&mut self) -> Instant {
        let now = Instant::now();
        let share = self.deadline.saturating_duration_since(now) / self.cases_left.max(1);
        self.cases_left = self.cases_left.saturating_sub(1);
        now + share
    }

    pub(crate) fn rounds(&self) -> usize {
        if self.quick { 1 } else { ROUNDS }
    }

    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// A row of this part.
    pub(crate) fn row(&self, case: &Case, contestant: &str, status: Status) -> Row {
        let elements = Some(case.elements as u64);
        let row = Row::new(self.part.clone(), case.name.clone(), status);
        Row { elements, contestant: contestant.to_owned(), ..row }
    }

    pub(crate) fn write(&mut self, row: &Row) -> Result<()> {
        self.rows.write(row)
    }

    /// Runs a case, and records it as failed if it does: for want of memory, above all.
    pub(crate) fn case(
        &mut self,
        case: &Case,
        run: impl FnOnce(&mut Self, &Case) -> Result<()>,
    ) -> Result<()> {
        match run(self, case) {
            Ok(()) => Ok(()),
            Err(error) => {
                let row = self.row(case, "", Status::Failed);
                self.write(&Row { detail: error.to_string(), ..row })
            }
        }
    }

    /// Measures all contestants in each of `modes`, and writes a row for each. They take turns, so that
    /// what else the machine does meets all of them, and another one begins each round.
    pub(crate) fn compare(
        &mut self,
        case: &Case,
        contestants: &mut [Contestant<'_>],
        modes: &[Mode],
    ) -> Result<()> {
        let until = self.next_share();
        for (index, &mode) in modes.iter().enumerate() {
            let now = Instant::now();
            let share = until.saturating_duration_since(now) / (modes.len() - index) as u32;
            self.compare_in(mode, case, contestants, now + share)?;
        }
        Ok(())
    }

    fn compare_in(
        &mut self,
        mode: Mode,
        case: &Case,
        contestants: &mut [Contestant<'_>],
        until: Instant,
    ) -> Result<()> {
        let mut runs = Vec::new();
        for contestant in &mut *contestants {
            runs.push(self.warm_up(mode, case, contestant));
        }
        for round in 0..self.rounds() {
            for turn in 0..contestants.len() {
                let index = (round + turn) % contestants.len();
                // The first round may take longer than its share, but not than all there is.
                let over = if round == 0 { self.is_over() } else { Instant::now() >= until };
                if let (false, Run::Ready { steps, samples }) = (over, &mut runs[index]) {
                    match contestants[index].seconds(mode, &self.clock, *steps) {
                        Ok(seconds) => samples.push(seconds / f64::from(*steps)),
                        Err(error) => runs[index] = Run::Failed(error.to_string()),
                    }
                }
            }
        }
        for (contestant, run) in contestants.iter().zip(runs) {
            let row = self.result(mode, case, contestant, run);
            self.write(&row)?;
        }
        Ok(())
    }

    /// Compiles, binds, and finds how many steps make a sample.
    fn warm_up(&mut self, mode: Mode, case: &Case, contestant: &mut Contestant<'_>) -> Run {
        let key = (contestant.name.clone(), mode);
        // Two steps to warm up and one to measure.
        let expected = self.costs.get(&key).map_or(0.0, |cost| 3.0 * cost * case.elements as f64);
        if Instant::now() + Duration::from_secs_f64(expected) >= self.deadline {
            return Run::NoTime;
        }
        let mut once = || {
            contestant.seconds(mode, &self.clock, 1)?;
            contestant.seconds(mode, &self.clock, 1)
        };
        match once() {
            Ok(seconds) => {
                self.costs.insert(key, seconds / case.elements as f64);
                let sample = if self.quick { QUICK_SAMPLE } else { SAMPLE };
                let steps = (sample / seconds).clamp(1.0, mode.max_steps()) as u32;
                // What is long enough for a sample is one.
                let samples = if steps == 1 { vec![seconds] } else { Vec::new() };
                Run::Ready { steps, samples }
            }
            Err(error) => Run::Failed(error.to_string()),
        }
    }

    fn result(&self, mode: Mode, case: &Case, contestant: &Contestant<'_>, run: Run) -> Row {
        let (bytes, check) = (contestant.bytes, contestant.check);
        let mut row = self.row(case, &contestant.name, contestant.status);
        row = Row { mode: mode.name().to_owned(), detail: contestant.detail.clone(), ..row };
        match run {
            Run::Ready { samples, .. } if !samples.is_empty() => {
                Row { times: Times::of(samples), bytes, check, ..row }
            }
            Run::Failed(detail) => Row { status: Status::Failed, detail, ..row },
            Run::Ready { .. } | Run::NoTime => Row { status: Status::Timeout, ..row },
        }
    }
}

/// What a contestant has come to.
enum Run {
    Ready { steps: u32, samples: Vec<f64> },
    Failed(String),
    NoTime,
}
