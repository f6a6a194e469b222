//! A run of the kit: all parts, one after the other, and the record that grows with them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use wgpu_optim::wgpu;

use crate::child::{self, End, Stream};
use crate::programs::{checks, command, proof, pytorch};
use crate::record::{COLUMNS, Row, Rows, Status, Times, WHOLE, parse};
use crate::{Result, device, machine};

/// The options of a run.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) minutes: u32,
    /// The time for one part; only where one is run alone.
    pub(crate) seconds: Option<f64>,
    pub(crate) folder: PathBuf,
    pub(crate) date: String,
    pub(crate) commit: String,
    pub(crate) quick: bool,
}

impl Default for Settings {
    fn default() -> Self {
        let commit = beside("COMMIT").and_then(|file| Ok(fs::read_to_string(file)?));
        Self {
            minutes: 8,
            seconds: None,
            folder: PathBuf::from("record"),
            date: "undated".to_owned(),
            commit: commit.map_or("unknown".to_owned(), |commit| commit.trim().to_owned()),
            quick: false,
        }
    }
}

/// A part of a record.
pub(crate) struct Part {
    pub(crate) name: &'static str,
    /// Its share of the time. The time that a part leaves unused goes to the parts after it.
    weight: u32,
    run: fn(&mut Session, &str, Duration) -> Result<End>,
}

/// The parts that show the most in the least time come first, the longest last.
pub(crate) const PARTS: [Part; 11] = [
    Part { name: "training", weight: 25, run: measured },
    Part { name: "command", weight: 15, run: command::run },
    Part { name: "step", weight: 75, run: measured },
    Part { name: "pytorch", weight: 80, run: pytorch::run },
    Part { name: "groups", weight: 30, run: measured },
    Part { name: "rows", weight: 30, run: measured },
    Part { name: "guards", weight: 25, run: measured },
    Part { name: "encode", weight: 10, run: measured },
    Part { name: "shape", weight: 50, run: measured },
    Part { name: "proof", weight: 50, run: proof::run },
    Part { name: "checks", weight: 90, run: checks::run },
];

/// The record and what its parts need.
pub(crate) struct Session {
    pub(crate) adapter: wgpu::AdapterInfo,
    pub(crate) quick: bool,
    /// The record's file.
    pub(crate) file: PathBuf,
    rows: Rows<File>,
    log: File,
}

impl Session {
    pub(crate) fn write(&mut self, row: &Row) -> Result<()> {
        self.rows.write(row)
    }

    /// Runs a program; its lines go to the log too.
    pub(crate) fn run(
        &mut self,
        command: &mut Command,
        limit: Duration,
        mut each: impl FnMut(&mut Rows<File>, Stream, &str) -> Result<()>,
    ) -> Result<End> {
        let Self { rows, log, .. } = self;
        child::run(command, limit, log, |stream, line| each(rows, stream, line))
    }

    /// Runs a program whose output is rows.
    pub(crate) fn run_for_rows(&mut self, command: &mut Command, limit: Duration) -> Result<End> {
        let mut strange = None;
        let end = self.run(command, limit, |rows, stream, line| {
            if stream == Stream::Output {
                match parse(line) {
                    Ok(fields) => rows.write_fields(&fields)?,
                    // A killed program may have written half a line.
                    Err(error) => strange = Some(format!("{error}, in {line:?}")),
                }
            }
            Ok(())
        })?;
        Ok(match (end, strange) {
            (End::Done, Some(strange)) => End::Failed(strange),
            (end, _) => end,
        })
    }
}

/// A file in the folder of this program.
pub(crate) fn beside(name: &str) -> Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(name))
}

/// The time to stop programs and to write the rows.
const RESERVE: Duration = Duration::from_secs(5);

/// Measures all parts; returns the record's file.
///
/// # Errors
/// There is no device, or the record cannot be written. All other failures are rows of the record.
pub(crate) fn record(settings: &Settings) -> Result<PathBuf> {
    let mut session = begin(settings)?;
    println!("{}: at most {} min", session.adapter.name, settings.minutes);
    let deadline = Instant::now() + 60 * settings.minutes * Duration::from_secs(1) - RESERVE;
    for (index, part) in PARTS.iter().enumerate() {
        let left: u32 = PARTS[index..].iter().map(|part| part.weight).sum();
        let remaining = deadline.saturating_duration_since(Instant::now());
        let limit = remaining * part.weight / left;
        let start = Instant::now();
        let end = (part.run)(&mut session, part.name, limit);
        let end = end.unwrap_or_else(|error| End::Failed(error.to_string()));
        let seconds = start.elapsed().as_secs_f64();
        println!("{:>9} {seconds:6.1} s  {}", part.name, describe(&end));
        session.write(&whole(part, seconds, end))?;
    }
    Ok(session.file)
}

/// Opens the device and the record's file, and describes the machine in it.
fn begin(settings: &Settings) -> Result<Session> {
    let gpu = device::open()?;
    let adapter = gpu.info();
    let folder = settings.folder.join(slug(&adapter.name));
    fs::create_dir_all(&folder)
        .map_err(|error| format!("{}: {error}: give another --folder", folder.display()))?;
    let file = new_file(&folder, &settings.date);
    let head = machine::header(&gpu, settings);
    let head: String = head.iter().map(|line| format!("# {line}\n")).collect();
    fs::write(&file, head)?;
    let mut rows = Rows::new(File::options().append(true).open(&file)?);
    rows.write_fields(COLUMNS)?;
    let log = File::create(file.with_extension("log"))?;
    Ok(Session { adapter, quick: settings.quick, file, rows, log })
}

/// The first name for that date that is not taken.
fn new_file(folder: &Path, date: &str) -> PathBuf {
    let first = folder.join(format!("{date}.csv"));
    let later = (2..).map(|number| folder.join(format!("{date}-{number}.csv")));
    std::iter::once(first.clone()).chain(later).find(|file| !file.exists()).unwrap_or(first)
}

/// An adapter's name, fit for a folder.
fn slug(name: &str) -> String {
    let lower = name.to_lowercase();
    let words = lower.split(|character: char| !character.is_ascii_alphanumeric());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-")
}

/// A part that this program measures, in a process of its own: a crash of the driver ends no other part.
fn measured(session: &mut Session, name: &str, limit: Duration) -> Result<End> {
    /// The share of its time that a part plans with; the rest is a reserve.
    const PLANNED: f64 = 0.85;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["part", name, "--seconds", &(PLANNED * limit.as_secs_f64()).to_string()]);
    if session.quick {
        command.arg("--quick");
    }
    session.run_for_rows(&mut command, limit)
}

fn describe(end: &End) -> String {
    match end {
        End::Done => "done".to_owned(),
        End::Failed(why) => format!("FAILED: {why}"),
        End::TimedOut => "stopped: its time was up".to_owned(),
        End::Absent(what) => format!("left out: {what}"),
    }
}

/// The row that ends a part.
fn whole(part: &Part, seconds: f64, end: End) -> Row {
    let (status, detail) = match end {
        End::Done => (Status::Passed, String::new()),
        End::Failed(why) => (Status::Failed, why),
        End::TimedOut => (Status::Timeout, "the time of the part was up".to_owned()),
        End::Absent(what) => (Status::Absent, what),
    };
    let times = Times::of(vec![seconds]);
    Row { times, detail, ..Row::new(part.name, WHOLE, status) }
}
