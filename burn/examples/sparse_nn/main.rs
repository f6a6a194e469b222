//! The tutorial's classifier of sparse data, 100-50-1, as a Burn module: trained by Adagrad, SGD, Adam
//! and RMSprop of wgpu-optim, from the same weights and with the same order of rows.
//!
//! ```text
//! cargo run --release --manifest-path burn/Cargo.toml --example sparse_nn
//! ```
//!
//! `network.rs` has the module, `rules.rs` the optimizers, `train.rs` the loop; README.md tells what
//! comes out.

mod args;
mod export;
mod network;
#[path = "../support/plot.rs"]
mod plot;
mod problem;
mod report;
mod rules;
mod train;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use burn::tensor::Device;
use clap::Parser;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use wgpu_optim_burn::OptimError;
use wgpu_optim_burn::wgpu_optim::Gpu;

use args::Args;
use problem::Problem;
use report::Row;
use rules::{How, Kind};
use train::{Outcome, Plan};

/// Why the program ends early.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Argument(String),
    #[error("{0}")]
    Run(String),
    #[error(transparent)]
    Optimizer(#[from] OptimError),
}

impl Failure {
    /// From an error of Burn's.
    fn burn(error: impl std::fmt::Debug) -> Self {
        Self::Run(format!("Burn's runtime failed: {error:?}"))
    }
}

fn main() -> ExitCode {
    let status = match run(&Args::parse()) {
        Ok(()) => return ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            if matches!(failure, Failure::Argument(_)) { 2 } else { 1 }
        }
    };
    ExitCode::from(status)
}

fn run(args: &Args) -> Result<(), Failure> {
    check(args)?;
    let (device, how) = open(args)?;
    let plan = Plan { epochs: args.epochs as usize, batch_size: args.batch_size as usize };
    let bar = bar(u64::from(args.runs) * u64::from(args.epochs) * Kind::ALL.len() as u64);
    warm_up(&plan, &device, &how, &bar)?;
    let several = args.runs > 1;
    say(&bar, &format!("{}, {}\n", how.gpu.info().name, what(args)))?;
    if several {
        say(&bar, &report::run_header())?;
    }
    let mut rows = Kind::ALL.map(Row::new);
    for number in 0..args.runs {
        let problem = Problem::new(args.seed.wrapping_add(number.into()));
        let outcomes = all(&plan, &problem, &device, &how, &bar)?;
        for (row, (_, outcome)) in rows.iter_mut().zip(&outcomes) {
            row.add(&plan, outcome);
        }
        if several {
            say(&bar, &report::run_line(problem.seed, &outcomes))?;
        }
        if number == 0 {
            write_files(args, &plan, &problem, &outcomes)?;
        }
    }
    bar.finish_and_clear();
    let gap = if several { "\n" } else { "" };
    say(&bar, &format!("{gap}{}", report::table(&rows, args.runs)))?;
    say(&bar, &format!("The loss curves are in {}.", args.plot.display()))
}

/// Burn's default device, and the same one for our kernels.
fn open(args: &Args) -> Result<(Device, How), Failure> {
    let (device, setup) = Device::wgpu_options().init_with_setup().map_err(|error| {
        Failure::Run(format!(
            "no wgpu device: {error}: install a driver for Vulkan, Metal or DirectX 12 (on Debian: \
             mesa-vulkan-drivers)"
        ))
    })?;
    let how = How {
        gpu: Gpu::from_wgpu(setup.device, setup.queue),
        learning_rate: args.learning_rate,
        precision: args.precision.into(),
        at_once: args.at_once,
    };
    Ok((device.autodiff(), how))
}

/// The picture, and what --export asks for.
fn write_files(
    args: &Args,
    plan: &Plan,
    problem: &Problem,
    outcomes: &[(Kind, Outcome)],
) -> Result<(), Failure> {
    let drawn = plot::write(&args.plot, &[report::chart(args, plan, outcomes)]);
    let path = args.plot.display();
    drawn.map_err(|error| Failure::Run(format!("--plot {path}: cannot be drawn: {error}")))?;
    let Some(directory) = &args.export else { return Ok(()) };
    export::write(directory, args, problem, outcomes)
}

/// Prints a line, or several, above the bar.
fn say(bar: &ProgressBar, text: &str) -> Result<(), Failure> {
    match bar.suspend(|| writeln!(io::stdout(), "{text}")) {
        // A reader that has had enough, such as `head`, is no failure.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::Run(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// What can be known to fail before any training.
fn check(args: &Args) -> Result<(), Failure> {
    if args.export.is_some() && args.runs > 1 {
        let why = "--export writes one run: leave out --runs, and choose the run by --seed";
        return Err(Failure::Argument(why.to_owned()));
    }
    plot::check(&args.plot).map_err(|error| Failure::Argument(format!("--plot {error}")))?;
    args.export.as_deref().map_or(Ok(()), export::prepare)
}

/// One epoch by each rule, so that no compilation of kernels is in the times.
fn warm_up(plan: &Plan, device: &Device, how: &How, bar: &ProgressBar) -> Result<(), Failure> {
    bar.set_message("compiling kernels");
    let problem = Problem::new(0);
    for kind in Kind::ALL {
        Plan { epochs: 1, ..*plan }.train(&problem, device, how.step(kind)?, |_| ())?;
    }
    Ok(())
}

/// Trains by each rule from the same start.
fn all(
    plan: &Plan,
    problem: &Problem,
    device: &Device,
    how: &How,
    bar: &ProgressBar,
) -> Result<Vec<(Kind, Outcome)>, Failure> {
    let one = |kind: Kind| {
        let epoch = |loss| {
            bar.set_message(format!("seed {}, {}: loss {loss:.5}", problem.seed, kind.name()));
            bar.inc(1);
        };
        Ok((kind, plan.train(problem, device, how.step(kind)?, epoch)?))
    };
    Kind::ALL.into_iter().map(one).collect()
}

/// One line of what was asked for.
fn what(args: &Args) -> String {
    let Args { epochs, batch_size, learning_rate, seed, runs, .. } = args;
    let last = seed.wrapping_add(u64::from(*runs) - 1);
    let seeds = if *runs == 1 { format!("seed {seed}") } else { format!("seeds {seed} to {last}") };
    let s = if *epochs == 1 { "" } else { "s" };
    format!("{epochs} epoch{s} in batches of {batch_size}, learning rate {learning_rate}, {seeds}")
}

/// A bar on standard error, or nothing where that is no terminal.
fn bar(length: u64) -> ProgressBar {
    let terminal = io::stderr().is_terminal();
    let target = if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(length), target);
    match ProgressStyle::with_template("{wide_bar} {percent:>3} %  {msg}  {eta_precise} left") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
