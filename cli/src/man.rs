//! `wgpu-optim man`: the help as manual pages.

use clap::{Args, Command};
use clap_mangen::Man;

use crate::error::Error;
use crate::output;

/// `man`: manual pages.
#[derive(Debug, Args)]
#[command(
    about = "Print the manual page of the command or of a subcommand",
    after_help = "Examples: read a page, and install one:

  wgpu-optim man fit | man -l -
  wgpu-optim man fit > ~/.local/share/man/man1/wgpu-optim-fit.1"
)]
pub(crate) struct ManArgs {
    /// The subcommand [default: the page of the command itself]
    subcommand: Option<String>,
}

/// Runs the subcommand; `command` is the whole command line.
pub(crate) fn run(args: &ManArgs, command: Command) -> Result<(), Error> {
    let mut command = command.disable_help_subcommand(true);
    command.build(); // gives subcommands their full names
    let page = match &args.subcommand {
        None => command,
        Some(name) => match command.find_subcommand(name) {
            Some(subcommand) => subcommand.clone(),
            None => return Err(unknown(name, &command)),
        },
    };
    let mut text = Vec::new();
    let version = concat!("wgpu-optim ", env!("CARGO_PKG_VERSION"));
    Man::new(page)
        .source(version)
        .render(&mut text)
        .map_err(|error| Error::Run(format!("no manual page: {error}")))?;
    Ok(output::print(&String::from_utf8_lossy(&text))?)
}

fn unknown(name: &str, command: &Command) -> Error {
    let names: Vec<_> = command.get_subcommands().map(Command::get_name).collect();
    Error::Argument(format!("man {name}: no such subcommand; there are: {}", names.join(", ")))
}
