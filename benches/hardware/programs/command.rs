//! The command: models trained in exact precision on the CPU engine and on the device are the same
//! file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::Result;
use crate::child::End;
use crate::record::{Row, Status, Times};
use crate::session::{Session, beside};

pub(crate) fn run(session: &mut Session, part: &str, limit: Duration) -> Result<End> {
    let deadline = Instant::now() + limit;
    let folder = std::env::temp_dir().join(format!("wgpu-optim-command-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let end = compare(session, part, &folder, deadline);
    fs::remove_dir_all(&folder)?;
    end
}

fn compare(session: &mut Session, part: &str, folder: &Path, deadline: Instant) -> Result<End> {
    let data = airfoil()?;
    let case = format!("fit {}", if data.is_some() { "airfoil" } else { "the built-in problem" });
    let mut expected = None;
    for device in ["cpu".to_owned(), session.adapter.name.clone()] {
        let file = folder.join("model.safetensors");
        let mut command = Command::new(beside("wgpu-optim")?);
        command.arg("fit").args(["--precision", "exact", "--quiet"]);
        command.args(["--device", &device, "--save"]).arg(&file);
        if let Some(data) = &data {
            command.arg(data).args(["--rows", "1500"]);
        }
        let start = Instant::now();
        let limit = deadline.saturating_duration_since(start);
        let end = session.run(&mut command, limit, |_, _, _| Ok(()))?;
        if end != End::Done {
            return Ok(end);
        }
        let times = Times::of(vec![start.elapsed().as_secs_f64()]);
        let model = fs::read(&file)?;
        let same = *expected.get_or_insert_with(|| model.clone()) == model;
        let (status, detail) = match same {
            true => (Status::Passed, String::new()),
            false => (Status::Failed, "the model is not the CPU engine's".to_owned()),
        };
        let row = Row::new(part, case.clone(), status);
        session.write(&Row { times, contestant: format!("exact, {device}"), detail, ..row })?;
    }
    Ok(End::Done)
}

/// The airfoil data, if the bundle has them.
pub(crate) fn airfoil() -> Result<Option<PathBuf>> {
    Ok(Some(beside("airfoil_self_noise.dat")?).filter(|file| file.exists()))
}
