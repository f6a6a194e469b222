//! The driver tests, each with its outcome.
//!
//! They share one device, so that one which loses it takes the others with it. Whatever did not pass is
//! run again alone.

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
/// The share of the time for all of them together.
const TOGETHER: f64 = 0.7;

pub(crate) fn run(session: &mut Session, part: &str, limit: Duration) -> Result<End> {
    let deadline = Instant::now() + limit;
    let kind = format!("[{}] ", driver_name(&session.adapter));
    let mut names = Vec::new();
    let mut list = Command::new(beside(PROGRAM)?);
    let end = session.run(list.args(["--list", &kind]), limit, |_, _, line| {
        let name = line.strip_prefix(&kind).and_then(|name| name.strip_suffix(": test"));
        names.extend(name.map(str::to_owned));
        Ok(())
    })?;
    if end != End::Done {
        return Ok(end);
    }
    if names.is_empty() {
        return Ok(End::Failed(format!("there are no checks of {kind}")));
    }
    if session.quick {
        names.drain(..names.len().saturating_sub(2));
    }
    let failed = together(session, part, &kind, &names, limit.mul_f64(TOGETHER))?;
    let mut worst = End::Done;
    for (name, why) in failed {
        let remaining = deadline.saturating_duration_since(Instant::now());
        match alone(session, part, &kind, &name, &why, remaining)? {
            End::Done => {}
            end if worst == End::Done || worst == End::TimedOut => worst = end,
            _ => {}
        }
    }
    Ok(worst)
}

/// Runs all checks in one process and writes a row of each that passed or is ignored; returns the others,
/// and what became of them.
fn together(
    session: &mut Session,
    part: &str,
    kind: &str,
    names: &[String],
    limit: Duration,
) -> Result<BTreeMap<String, String>> {
    let mut left: BTreeMap<String, String> =
        names.iter().map(|name| (name.clone(), String::new())).collect();
    let mut command = Command::new(beside(PROGRAM)?);
    command.arg(if session.quick { format!("{kind}{}", names[0]) } else { kind.to_owned() });
    let end = session.run(&mut command, limit, |rows, stream, line| {
        let outcome = (stream == Stream::Output).then(|| outcome(line, kind)).flatten();
        let Some((name, outcome)) = outcome else { return Ok(()) };
        match outcome {
            "ok" | "ignored" => {
                let status = if outcome == "ok" { Status::Passed } else { Status::Ignored };
                left.remove(name);
                rows.write(&Row::new(part, name, status))?;
            }
            _ => drop(left.insert(name.to_owned(), "failed beside the others".to_owned())),
        }
        Ok(())
    })?;
    let ended = match end {
        End::TimedOut => "did not end beside the others".to_owned(),
        End::Failed(why) => format!("beside the others: {why}"),
        _ => "was not run beside the others".to_owned(),
    };
    for why in left.values_mut().filter(|why| why.is_empty()) {
        *why = ended.clone();
    }
    Ok(left)
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
    let end = if limit.is_zero() {
        End::TimedOut
    } else {
        let mut command = Command::new(beside(PROGRAM)?);
        session.run(command.args(["--exact", &format!("{kind}{name}")]), limit, |_, _, _| Ok(()))?
    };
    let (status, what) = match &end {
        End::Done => (Status::Passed, "passed alone".to_owned()),
        End::Failed(why) => (Status::Failed, format!("alone: {why}")),
        End::TimedOut => (Status::Timeout, "no time to run it alone".to_owned()),
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
fn outcome<'a>(line: &'a str, kind: &str) -> Option<(&'a str, &'a str)> {
    let (name, outcome) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    Some((name.trim_start().strip_prefix(kind.trim_end())?.trim(), outcome.trim()))
}
