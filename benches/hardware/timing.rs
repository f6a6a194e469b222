//! Contestants of one case, their samples interleaved.

use std::io::{Stdout, stdout};
use std::time::{Duration, Instant};

use wgpu_optim::{Gpu, wgpu};

use crate::Result;
use crate::clock::Clock;
use crate::device::is_lack_of_memory;
use crate::record::{Row, Rows, Status, Times};

/// Rounds, if the time allows; a row says how many there were.
const ROUNDS: usize = 9;
/// The length of a sample, in seconds: well above the clock's resolution, and well below the time
/// after which a driver considers its GPU hung.
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

/// Encodes one step.
type Encode<'a> = dyn FnMut(&mut wgpu::CommandEncoder) -> Result<()> + 'a;

/// One way to do the work of a case.
pub(crate) struct Contestant<'a> {
    pub(crate) name: String,
    pub(crate) gpu: &'a Gpu,
    /// The bytes that a step must read and write; none where that is not meaningful.
    pub(crate) bytes: Option<u64>,
    /// The outcome of the check before it was timed.
    pub(crate) status: Status,
    pub(crate) check: Option<f64>,
    pub(crate) detail: String,
    pub(crate) record: Box<Encode<'a>>,
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
    pub(crate) deadline: Instant,
    cases_left: u32,
    /// Rows with the status `failed`.
    pub(crate) failed: usize,
    /// Seconds per element of this case, summed over one step of every contestant.
    cost: f64,
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
            failed: 0,
            cost: 0.0,
        }
    }

    /// Announces how many cases follow, so that each gets its share of the time.
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
        self.failed += usize::from(row.status == Status::Failed);
        self.rows.write(row)
    }

    /// Runs a case if there is time for it. An error, such as a lack of memory, is a row.
    pub(crate) fn case(
        &mut self,
        case: &Case,
        run: impl FnOnce(&mut Self, &Case) -> Result<()>,
    ) -> Result<()> {
        // A warm-up, a check and a sample, at the cost of the case before.
        let expected = Duration::from_secs_f64(3.0 * self.cost * case.elements as f64);
        let remaining = self.deadline.saturating_duration_since(Instant::now());
        let (status, detail) = if expected >= remaining {
            let [expected, remaining] = [expected, remaining].map(|time| time.as_secs_f64());
            (Status::Timeout, format!("would take {expected:.1} s of {remaining:.1} s"))
        } else {
            self.cost = 0.0;
            match run(self, case) {
                Ok(()) => return Ok(()),
                Err(error) if is_lack_of_memory(&*error) => (Status::Absent, error.to_string()),
                Err(error) => (Status::Failed, error.to_string()),
            }
        };
        let row = self.row(case, "", status);
        self.write(&Row { detail, ..row })
    }

    /// Measures all contestants in each of `modes`, and writes a row for each. Their samples are
    /// interleaved, so that other load affects all of them; each round starts with another one.
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
                // The first round may exceed the case's share of the time, but not the part's.
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
        /// Steps that hide the latency of one wait.
        const SEVERAL: u32 = 8;
        if self.is_over() {
            return Run::NoTime;
        }
        let sample = if self.quick { QUICK_SAMPLE } else { SAMPLE };
        let clock = &self.clock;
        // A sample of the host's part lasts as long as the device's.
        let mut wall = |steps: u32| -> Result<(f64, f64)> {
            let start = Instant::now();
            let seconds = contestant.seconds(mode, clock, steps)? / f64::from(steps);
            Ok((start.elapsed().as_secs_f64() / f64::from(steps), seconds))
        };
        let mut step = || {
            wall(1)?;
            let once = wall(1)?;
            if f64::from(SEVERAL) * once.0 > sample { Ok(once) } else { wall(SEVERAL) }
        };
        match step() {
            Ok((wall, seconds)) => {
                self.cost += wall / case.elements as f64;
                let steps = (sample / wall).clamp(1.0, mode.max_steps()) as u32;
                // A step that takes as long as a sample is a sample.
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

/// The state of a contestant's measurement.
enum Run {
    Ready { steps: u32, samples: Vec<f64> },
    Failed(String),
    NoTime,
}
