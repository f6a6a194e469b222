//! The driver tests, each with its outcome.
//!
//! The quick ones run first, in one process. They share a device, so one that loses it fails the
//! others too. Each that did not pass runs again alone. The long ones also run alone, since they
//! would delay the others.

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
/// The share of the time for the quick checks' process.
const TOGETHER: f64 = 0.6;
/// The outcome of a check that failed in that process.
const FAILED: &str = "failed beside others";
/// A check that runs alone may take the remaining time divided by this.
const SHARE_ALONE: u32 = 4;
/// A check is not started with less time than this.
const LEAST: Duration = Duration::from_millis(500);

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
    let (end, mut left) = together(session, part, &kind, &names, limit.mul_f64(TOGETHER))?;
    left.sort_by_key(|(name, _)| is_long(name));
    let mut whole = End::Done;
    for (name, outcome) in left {
        let why = match (outcome, &end) {
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

/// Whether a check takes seconds.
fn is_long(name: &str) -> bool {
    LONG.iter().any(|part| name.contains(part))
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

/// What the quick checks' process reported about one that did not pass.
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
) -> Result<(End, Vec<(String, Outcome)>)> {
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
    Ok((end, left.into_iter().collect()))
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
    let end = if limit < LEAST {
        End::TimedOut
    } else {
        let mut command = Command::new(beside(PROGRAM)?);
        command.args(["--exact", &format!("{kind}{name}")]);
        session.run(&mut command, limit, |_, _, _| Ok(()))?
    };
    let (status, what) = match &end {
        End::Done => (Status::Passed, "passed alone".to_owned()),
        End::Failed(why) => (Status::Failed, format!("alone: {why}")),
        End::TimedOut => {
            let status = if before == FAILED { Status::Failed } else { Status::Timeout };
            (status, "no time alone".to_owned())
        }
        End::Absent(what) => (Status::Absent, what.clone()),
    };
    let times = Times::of(vec![start.elapsed().as_secs_f64()]).filter(|_| limit >= LEAST);
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
