//! `wgpu-optim completions`: prints the completion script of a shell.

use clap::{Args, Command};
use clap_complete::Shell;

use crate::error::Error;
use crate::output;

/// `completions`: for shells.
#[derive(Debug, Args)]
#[command(
    about = "Print a completion script for a shell",
    after_help = "Examples: complete arguments in bash and in zsh (in a directory of its fpath):

  wgpu-optim completions bash > ~/.local/share/bash-completion/completions/wgpu-optim
  wgpu-optim completions zsh > ~/.zfunc/_wgpu-optim"
)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Runs the subcommand; `command` is the whole command line.
pub(crate) fn run(args: &CompletionsArgs, mut command: Command) -> Result<(), Error> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    Ok(output::print(&String::from_utf8_lossy(&script))?)
}
