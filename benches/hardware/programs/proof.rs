//! A share of the proof of exact arithmetic, operation by operation.

use std::process::Command;
use std::time::Duration;

use crate::Result;
use crate::child::{End, Stream};
use crate::device::driver_name;
use crate::record::{Row, Status};
use crate::session::{Session, beside};

/// The whole proof takes a quarter of an hour on two processors.
const SHARE: &str = "64";
const QUICK_SHARE: &str = "1000000";
/// Even the smallest share has to compile all kernels, which takes most of its time.
const QUICK_LIMIT: Duration = Duration::from_secs(5);

pub(crate) fn run(session: &mut Session, part: &str, limit: Duration) -> Result<End> {
    let mut command = Command::new(beside("proof")?);
    let driver = driver_name(&session.adapter);
    let (share, limit) = match session.quick {
        true => (QUICK_SHARE, limit.min(QUICK_LIMIT)),
        false => (SHARE, limit),
    };
    command.args(["--share", share, "--driver", &driver]);
    session.run(&mut command, limit, |rows, stream, line| match stream {
        Stream::Error => result(part, line).map_or(Ok(()), |row| rows.write(&row)),
        // The same table again.
        Stream::Output => Ok(()),
    })
}

/// The row of a line such as `  div | driver | CPU hardware | 1048576 | 0`.
fn result(part: &str, line: &str) -> Option<Row> {
    let cells: Vec<&str> = line.split(" | ").map(str::trim).collect();
    let [operation, driver, oracle, cases, mismatches] = cells[..] else { return None };
    let elements = Some(cases.parse().ok()?);
    // A wrong number is marked with an exclamation mark.
    let status = if mismatches.starts_with('!') { Status::Failed } else { Status::Passed };
    let contestant = format!("{driver} against {oracle}");
    let detail = format!("mismatches: {mismatches}");
    Some(Row { elements, contestant, detail, ..Row::new(part, operation, status) })
}
