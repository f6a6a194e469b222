//! PyTorch's own Adagrad on CUDA, if the machine has both.

use std::process::Command;
use std::time::Duration;

use crate::Result;
use crate::child::End;
use crate::session::{Session, beside};

pub(crate) fn run(session: &mut Session, _: &str, limit: Duration) -> Result<End> {
    /// Lower than for our own parts, since the script cannot predict how long compilation takes.
    const PLANNED: f64 = 0.7;
    let script = beside("pytorch_adagrad.py")?;
    if !script.exists() {
        return Ok(End::Absent(format!("{} is not there", script.display())));
    }
    let python = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    let mut command = Command::new(python);
    command.arg(script).arg(&session.file).arg((PLANNED * limit.as_secs_f64()).to_string());
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    session.run_for_rows(&mut command, limit)
}
