//! `wgpu-optim`: trains linear models from the command line. This file parses the arguments, runs a
//! subcommand and turns its outcome into an exit status; each subcommand has a file or a folder of
//! its own.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        reason = "a test fails by panicking"
    )
)]

mod args;
mod bench;
mod command;
mod compare;
mod completions;
mod device;
mod devices;
mod environment;
mod error;
mod fit;
mod input;
mod interrupt;
mod man;
mod memory;
mod model_file;
mod output;
mod plot;
mod predict;
mod threads;
mod trace;
mod training;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use clap::Parser;

use command::CommandLine;
use error::Error;
use output::OutputError;

/// Where the last panic happened.
static FAULT: Mutex<Option<String>> = Mutex::new(None);

fn main() -> ExitCode {
    environment::quieten_drivers();
    // Libraries may panic and catch it themselves, so report only a panic that gets here.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        *FAULT.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }));
    match std::panic::catch_unwind(run) {
        Ok(status) => status,
        Err(_) => {
            let place = FAULT.lock().unwrap_or_else(PoisonError::into_inner).take();
            let place = place.unwrap_or_else(|| "an unknown place".to_owned());
            output::error(&format!("internal fault at {place}: sorry; please report this line"));
            ExitCode::from(1)
        }
    }
}

fn run() -> ExitCode {
    let command_line = match CommandLine::try_parse() {
        Ok(command_line) => command_line,
        Err(error) => {
            // Help goes to standard output, usage errors to standard error; either may be closed.
            let printed = error.print().and_then(|()| io::stdout().flush());
            if error.use_stderr() {
                return ExitCode::from(2);
            }
            let printed = printed.map_err(OutputError::stdout);
            return exit_code(printed.and_then(|()| output::check_stdout()).map_err(Error::from));
        }
    };
    interrupt::install();
    let _pool = threads::start();
    exit_code(command_line.command.run())
}

/// Reports an error, and chooses the exit status.
fn exit_code(result: Result<(), Error>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let status = error.status();
            if status != 0 {
                output::error(&error.to_string());
            }
            ExitCode::from(status)
        }
    }
}
