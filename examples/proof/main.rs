//! The proof of exact arithmetic: compares every claim of `Precision::Exact`, on every driver, to
//! independent oracles, and prints a table. The exit status is 1 if a check fails.
//!
//! ```sh
//! cargo run --release --example proof                  # all cases
//! cargo run --release --example proof -- --share 16    # about a sixteenth of the cases
//! ```
//!
//! | claim | oracle | cases per driver at full size |
//! |---|---|---|
//! | `square_root` and `negate` of each of the 2^32 bit patterns | CPU hardware | 2^32 each |
//! | `add`, `sub`, `mul`, `div`: all pairs of classes, and random and constructed pairs | CPU hardware | 2^32 + 2^24 each |
//! | the five operations | `rustc_apfloat` | 2^25 each |
//! | the CPU hardware, which is the oracle above | `rustc_apfloat` | 2^25 each |
//! | `div` and `square_root` with the hardware's guesses wrong by up to 28 ULP | CPU hardware | 387 million each |
//! | steps through the public interface by every rule, in every formula that its settings choose | CPU engine | 2^30, divided among the formulas |
//!
//! A proof that cannot fail shows nothing. So the harness first runs on arithmetic with
//! deliberately wrong rounding, on guesses too wrong to be corrected, and, for each rule, on a
//! reference that is wrong by one ULP. It must report mismatches in all of them.
//!
//! NaNs of the oracles are replaced by the canonical NaN; all other bits must agree. All operands
//! come from fixed seeds, so that a mismatch can be reproduced.
//!
//! A share of 1/32 on lavapipe and SwiftShader took three and a half minutes on two cores, most of
//! it for compiling the 96 formulas. The full size on lavapipe, with Adagrad as the only rule, took
//! a quarter of an hour.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command prints its table to stdout and progress to stderr"
)]

mod apfloat;
mod arguments;
mod compare;
mod drivers;
mod kernel;
mod operation;
mod operations;
mod oracle;
mod pairs;
mod progress;
mod random;
mod steps;
mod table;

use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

use arguments::Arguments;
use drivers::{Driver, drivers};
use table::{Row, Table};

/// A part of the proof, on one driver.
type Check = fn(&Driver) -> Result<Vec<Row>, Box<dyn Error>>;

const CHECKS: [Check; 7] = [
    operations::broken_rounding_is_seen,
    steps::wrong_reference_is_seen,
    operations::all_patterns,
    operations::pairs,
    operations::perturbed_guesses,
    apfloat::kernels,
    steps::every_formula,
];

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("proof: {error}");
        ExitCode::FAILURE
    })
}

fn run() -> Result<ExitCode, Box<dyn Error>> {
    let Some(arguments) = Arguments::parse(std::env::args().skip(1))? else {
        print!("{}", arguments::USAGE);
        return Ok(ExitCode::SUCCESS);
    };
    let start = Instant::now();
    let mut table = Table::default();
    let drivers = drivers(&arguments)?;
    table.extend(apfloat::processor(arguments.share)?);
    for driver in drivers {
        for check in CHECKS {
            table.extend(check(&driver)?);
        }
    }
    print!("{table}");
    println!("\n1/{} of the full size, {:.0} s.", arguments.share, start.elapsed().as_secs_f64());
    if table.holds() {
        println!("Every check holds.");
        return Ok(ExitCode::SUCCESS);
    }
    println!("Checks failed: see the rows marked with !");
    Ok(ExitCode::FAILURE)
}
