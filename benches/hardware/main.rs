//! The hardware kit: measures the GPU of a machine without a toolchain and writes a record of it.
//! `README.md` says what is measured and why; `bundle` packs this program with those that it starts.
#![allow(missing_docs, reason = "a program")]
#![allow(clippy::unwrap_used, reason = "a benchmark fails by panicking")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program that says what it does")]

mod child;
#[path = "../support/clock.rs"]
mod clock;
mod device;
mod machine;
mod parts;
mod programs;
#[path = "../support/random.rs"]
mod random;
mod record;
mod session;
mod timing;
#[path = "../support/traffic.rs"]
mod traffic;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use session::{PARTS, Settings};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const USAGE: &str = "\
record [--minutes N] [--folder DIR] [--date DATE] [--quick]  measures all parts and writes a record
part NAME --seconds S [--quick]                              measures one part and prints its rows
verify FILE                                                  checks that a record is whole

  --minutes N   the time for everything, at least 1 (8)
  --folder DIR  where records go: DIR/<gpu>/<date>.csv (record)
  --date DATE   the name of the record (undated)
  --quick       shows in seconds that everything runs; its figures mean nothing
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["record", ref options @ ..] => record(options),
        ["part", name, ref options @ ..] => part(name, options),
        ["verify", file] => record::verify(file.as_ref()).map(|counts| println!("{counts}")),
        ["--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        // Called by cargo, as a test.
        [] => as_a_test(),
        _ if words.contains(&"--bench") => as_a_test(),
        _ => Err(format!("{}: unknown command; see --help", words.join(" ")).into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn record(options: &[&str]) -> Result<()> {
    let file = session::record(&settings(options)?)?;
    let counts = record::verify(&file)?;
    println!("{counts}\nThe record is {}; README.md says how to send it.", file.display());
    Ok(())
}

fn part(name: &str, options: &[&str]) -> Result<()> {
    let settings = settings(options)?;
    let seconds = settings.seconds.ok_or("part needs --seconds")?;
    parts::measure(name, seconds, settings.quick)
}

/// A quick record in a folder of its own, where there is a device.
fn as_a_test() -> Result<()> {
    if let Err(error) = device::open() {
        println!("nothing to measure: {error}");
        return Ok(());
    }
    let folder = std::env::temp_dir().join(format!("wgpu-optim-hardware-{}", std::process::id()));
    let settings =
        Settings { folder: folder.clone(), minutes: 1, quick: true, ..Settings::default() };
    let verified = session::record(&settings).and_then(|file| record::verify(&file));
    std::fs::remove_dir_all(folder)?;
    println!("{}\nRecords are made by benches/hardware/bundle.", verified?);
    Ok(())
}

fn settings(options: &[&str]) -> Result<Settings> {
    let mut settings = Settings::default();
    let mut words = options.iter();
    while let Some(&option) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{option} needs a value"));
        match option {
            "--minutes" => settings.minutes = value()?.parse()?,
            "--seconds" => settings.seconds = Some(value()?.parse()?),
            "--folder" => settings.folder = PathBuf::from(value()?),
            "--date" => settings.date = (*value()?).to_owned(),
            "--quick" => settings.quick = true,
            _ => return Err(format!("{option}: no such option; see --help").into()),
        }
    }
    if settings.minutes == 0 {
        return Err("--minutes is at least 1".into());
    }
    Ok(settings)
}
