//! LeNet-5 on Fashion-MNIST, trained by five rules from the same start in the same order: a table of
//! losses and accuracies, and a picture of the curves. `README.md` beside this file tells more.

mod args;
mod data;
mod effective;
mod export;
mod idx;
mod net;
mod picture;
#[path = "../support/plot.rs"]
mod plot;
mod rates;
mod report;
mod rules;
mod train;

use std::error::Error;
use std::process::ExitCode;

use burn::tensor::Device;
use clap::Parser;

use crate::args::Args;
use crate::data::FashionMnist;
use crate::report::Outcome;

/// Whatever ends the program.
pub type Failure = Box<dyn Error>;

/// What all runs have in common.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    pub epochs: u32,
    pub batch_size: usize,
    pub seed: u64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    // What the user can put right is found before any work.
    let data = args.check().and_then(|()| FashionMnist::load(&args.data));
    let data = match data {
        Ok(data) => data,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(2);
        }
    };
    match run(&args, &data) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args, data: &FashionMnist) -> Result<(), Failure> {
    let (device, setup) = Device::wgpu_options().init_with_setup()?;
    let device = device.autodiff();
    let (images, _) = data.training.split(args.images, 0);
    let settings = args.settings();
    let [count, held_out] = [images.len(), data.test.len()];
    println!(
        "LeNet-5 on Fashion-MNIST: {count} images to train, {held_out} held out; epochs {}, batches \
         of {}, seed {}; {}\n",
        settings.epochs,
        settings.batch_size,
        settings.seed,
        setup.adapter.get_info().name,
    );
    train::warm_up(&device, &settings, &images, &data.test.split(500, 0).0)?;
    let found = rates::find(&device, args, &images)?;
    let start = train::score(&train::initial(&device, settings.seed), &data.test, &device)?;
    let bar = report::bar(count as u64 * u64::from(settings.epochs));
    let mut outcomes = Vec::new();
    println!("{}", report::HEAD);
    for (entry, rate) in found {
        report::begin(&bar, format!("{} at {rate}", entry.name));
        let with = (entry.rule, rate);
        let mut run = train::train(&device, &settings, with, &images, &data.test, &bar)?;
        run.accuracies.insert(0, (0.0, start.accuracy));
        let outcome = Outcome { name: entry.name, rate, run };
        bar.suspend(|| println!("{outcome}"));
        outcomes.push(outcome);
        // After each rule, since a long run may be cut off.
        if let Some(path) = &args.plot {
            plot::write(path, &picture::charts(&outcomes))?;
        }
        if let Some(directory) = &args.export {
            export::write(directory, &device, &settings, count, &outcomes)?;
        }
    }
    bar.finish_and_clear();
    if let Some(text) = report::effective(&outcomes) {
        print!("\n{text}");
    }
    if let Some(path) = &args.plot {
        println!("\nThe curves are in {}.", path.display());
    }
    if let Some(directory) = &args.export {
        println!("\nThe start, the order and the results are in {}.", directory.display());
    }
    Ok(())
}
