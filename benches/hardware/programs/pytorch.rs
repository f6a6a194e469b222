//! PyTorch's own Adagrad on CUDA, where both are there.

use std::process::Command;
use std::time::Duration;

use crate::Result;
use crate::child::End;
use crate::session::{Session, beside};

pub(crate) fn run(session: &mut Session, _: &str, limit: Duration) -> Result<End> {
    /// As for our own parts; compilation is what a script cannot foresee.
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
