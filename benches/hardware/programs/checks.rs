//! The driver tests, each with its outcome.
//!
//! First the quick ones in one process. They share a device there, so that one which loses it fails the others
//! too: each that did not pass runs again alone. So do the long ones, which would hold up the others.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::Result;
use crate::child::{End, Stream};
use crate::device::driver_name;
use crate::record::{Row, Status, Times};
use crate::session::{Session, beside};

/// The program, in the bundle.
const PROGRAM: &str = "checks";
/// Parts of the names of checks that take seconds.
const LONG: [&str; 3] = ["training", "every choice of formula", "million"];
/// Part of the names of checks that take next to no time.
const QUICK: &str = "by hand";
/// The share of the time for that process.
const TOGETHER: f64 = 0.6;
/// The outcome of a check in that process.
const FAILED: &str = "failed beside others";
/// A check that runs alone may take one in so many parts of the time that is left.
const SHARE_ALONE: u32 = 4;

pub(crate) fn run(session: &mut Session, part: &str, limit: Duration) -> Result<End> {
    let deadline = Instant::now() + limit;
    let kind = format!("[{}] ", driver_name(&session.adapter));
    let (end, mut names) = list(session, &kind, limit)?;
    if end != End::Done {
        return Ok(end);
    }
    if session.quick {
        names.retain(|name| name.contains(QUICK));
        names.truncate(2);
    }
    if names.is_empty() {
        return Ok(End::Failed(format!("there are no checks of {kind}")));
    }
    let (end, left) = together(session, part, &kind, &names, limit.mul_f64(TOGETHER))?;
    let mut whole = if end == End::TimedOut { End::TimedOut } else { End::Done };
    for (name, outcome) in left {
        let why = match (outcome, &end) {
            (Outcome::Missing, End::TimedOut) => {
                session.write(&Row::new(part, name, Status::Timeout))?;
                continue;
            }
            (Outcome::Missing, End::Failed(why)) => format!("beside others: {why}"),
            (Outcome::Missing, _) => "not run beside others".to_owned(),
            (Outcome::Failed, _) => FAILED.to_owned(),
        };
        let remaining = deadline.saturating_duration_since(Instant::now());
        match alone(session, part, &kind, &name, &why, remaining / SHARE_ALONE)? {
            End::Done => {}
            end if !matches!(whole, End::Failed(_)) => whole = end,
            _ => {}
        }
    }
    Ok(whole)
}

/// The names of the checks of a driver.
fn list(session: &mut Session, kind: &str, limit: Duration) -> Result<(End, Vec<String>)> {
    let mut names = Vec::new();
    let mut command = Command::new(beside(PROGRAM)?);
    let end = session.run(command.args(["--list", kind]), limit, |_, _, line| {
        let name = line.strip_prefix(kind).and_then(|name| name.strip_suffix(": test"));
        names.extend(name.map(str::to_owned));
        Ok(())
    })?;
    Ok((end, names))
}

/// What the process of all checks said of one that did not pass.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Failed,
    Missing,
}

/// Runs the quick checks in one process and writes a row for each that passed or is ignored. Returns how the
/// process ended, and the other checks.
fn together(
    session: &mut Session,
    part: &str,
    kind: &str,
    names: &[String],
    limit: Duration,
) -> Result<(End, BTreeMap<String, Outcome>)> {
    let mut left: BTreeMap<String, Outcome> =
        names.iter().map(|name| (name.clone(), Outcome::Missing)).collect();
    let mut command = Command::new(beside(PROGRAM)?);
    command.arg(if session.quick { format!("{kind}{}", names[0]) } else { kind.to_owned() });
    command.args(LONG.iter().flat_map(|part| ["--skip", part]));
    let end = session.run(&mut command, limit, |rows, stream, line| {
        let outcome = (stream == Stream::Output).then(|| parse(line, kind)).flatten();
        let Some((name, outcome)) = outcome else { return Ok(()) };
        match outcome {
            "ok" | "ignored" => {
                let status = if outcome == "ok" { Status::Passed } else { Status::Ignored };
                left.remove(name);
                rows.write(&Row::new(part, name, status))?;
            }
            _ => drop(left.insert(name.to_owned(), Outcome::Failed)),
        }
        Ok(())
    })?;
    Ok((end, left))
}

/// Runs one check in a process of its own and writes its row.
fn alone(
    session: &mut Session,
    part: &str,
    kind: &str,
    name: &str,
    before: &str,
    limit: Duration,
) -> Result<End> {
    let start = Instant::now();
    let mut command = Command::new(beside(PROGRAM)?);
    command.args(["--exact", &format!("{kind}{name}")]);
    let end = session.run(&mut command, limit, |_, _, _| Ok(()))?;
    let (status, what) = match &end {
        End::Done => (Status::Passed, "passed alone".to_owned()),
        End::Failed(why) => (Status::Failed, format!("alone: {why}")),
        End::TimedOut => {
            let status = if before == FAILED { Status::Failed } else { Status::Timeout };
            (status, "did not end in time alone".to_owned())
        }
        End::Absent(what) => (Status::Absent, what.clone()),
    };
    let times = Times::of(vec![start.elapsed().as_secs_f64()]);
    session.write(&Row {
        times,
        detail: format!("{before}; {what}"),
        ..Row::new(part, name, status)
    })?;
    Ok(end)
}

/// The name and the outcome in a line such as `test [driver] name   ... ok`.
fn parse<'a>(line: &'a str, kind: &str) -> Option<(&'a str, &'a str)> {
    let (name, outcome) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    Some((name.trim_start().strip_prefix(kind.trim_end())?.trim(), outcome.trim()))
}
