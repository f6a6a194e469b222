//! Programs that run for a limited time.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;

/// How a program, or a part, ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum End {
    Done,
    Failed(String),
    TimedOut,
    /// It is not on this machine.
    Absent(String),
}

/// Where a line came from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Stream {
    Output,
    Error,
}

/// The exit status of a program of the kit that lacks what it needs.
const ABSENT: i32 = 3;

/// How long a killed program may take to end, and its last lines to arrive.
const DRAIN: Duration = Duration::from_secs(1);

/// Runs `command` for at most `limit`. Each line that it writes goes to `log`, then to `each`.
///
/// # Errors
/// Those of `each` and of writing to the log.
pub(crate) fn run(
    command: &mut Command,
    limit: Duration,
    log: &mut File,
    mut each: impl FnMut(Stream, &str) -> Result<()>,
) -> Result<End> {
    writeln!(log, "$ {command:?}")?;
    let deadline = Instant::now() + limit;
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            let program = command.get_program().to_string_lossy();
            return Ok(End::Absent(format!("{program}: {error}")));
        }
    };
    let lines = lines_of(&mut child);
    let mut words = LastWords::default();
    let mut line = |(stream, line): (Stream, String)| -> Result<()> {
        writeln!(log, "{line}")?;
        if stream == Stream::Error {
            words.hear(&line);
        }
        each(stream, &line)
    };
    let status = loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(text) => line(text)?,
            Err(RecvTimeoutError::Timeout) => break None,
            Err(RecvTimeoutError::Disconnected) => break wait(&mut child, deadline)?,
        }
    };
    let Some(status) = status else {
        child.kill()?;
        // A program that hangs in its driver may never end.
        wait(&mut child, Instant::now() + DRAIN)?;
        while let Ok(text) = lines.recv_timeout(DRAIN) {
            line(text)?;
        }
        return Ok(End::TimedOut);
    };
    Ok(match status.code() {
        Some(0) => End::Done,
        Some(ABSENT) => End::Absent(words.last),
        _ => End::Failed(words.about(status)),
    })
}

fn lines_of(child: &mut Child) -> Receiver<(Stream, String)> {
    let (sender, lines) = channel();
    if let Some(output) = child.stdout.take() {
        read(output, Stream::Output, sender.clone());
    }
    if let Some(error) = child.stderr.take() {
        read(error, Stream::Error, sender);
    }
    lines
}

fn read(from: impl Read + Send + 'static, stream: Stream, lines: Sender<(Stream, String)>) {
    thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut bytes = Vec::new();
        while from.read_until(b'\n', &mut bytes).is_ok_and(|count| count > 0) {
            let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
            if lines.send((stream, line)).is_err() {
                break;
            }
            bytes.clear();
        }
    });
}

/// The status of a program that has closed its output; none if it still runs at the deadline.
fn wait(child: &mut Child, deadline: Instant) -> Result<Option<ExitStatus>> {
    loop {
        match child.try_wait()? {
            Some(status) => return Ok(Some(status)),
            None if Instant::now() >= deadline => return Ok(None),
            None => thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// A failed program's explanation: the message of its first panic, or else its last line.
#[derive(Default)]
struct LastWords {
    last: String,
    panic: Option<String>,
    in_panic: bool,
}

impl LastWords {
    fn hear(&mut self, line: &str) {
        if std::mem::take(&mut self.in_panic) {
            self.panic.get_or_insert_with(|| line.to_owned());
        }
        // The message follows the line that names the place.
        self.in_panic = line.contains(" panicked at ");
        if !line.trim().is_empty() {
            self.last = line.to_owned();
        }
    }

    fn about(self, status: ExitStatus) -> String {
        format!("{status}: {}", self.panic.unwrap_or(self.last))
    }
}
