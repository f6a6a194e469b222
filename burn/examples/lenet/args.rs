//! The command line.

use std::path::PathBuf;

use clap::Parser;

use crate::Settings;
use crate::data::DIRECTORY;
use crate::plot;
use crate::rules::{self, Entry};

/// LeNet-5 on Fashion-MNIST, trained by several rules from the same start in the same order
#[derive(Parser, Debug)]
pub struct Args {
    /// The directory of the four idx files, compressed or not
    #[arg(long, value_name = "DIR", default_value = DIRECTORY)]
    pub data: PathBuf,
    /// Train on the first N images only
    #[arg(long, value_name = "N", default_value_t = 60_000)]
    pub images: usize,
    /// How often each image is seen
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    pub epochs: u32,
    /// Images in a step
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub batch_size: usize,
    /// Of the initial weights and of the order of the images
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Only these: adagrad, sgd, rmsprop, adadelta, adam. A rate can be given, as in adam=0.001; it is
    /// searched for otherwise
    #[arg(long, value_name = "A,B", value_delimiter = ',', value_parser = rules::parse)]
    pub rules: Vec<Entry>,
    /// Print the learning rates that were tried, with their losses
    #[arg(long)]
    pub rates: bool,
    /// Try learning rates on the first N images, for one epoch
    #[arg(long, value_name = "N", default_value_t = 5_000)]
    pub search_images: usize,
    /// Draw the curves, as .png or .svg
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
    /// Write the initial weights, the order of the images and the results, for compare.py
    #[arg(long, value_name = "DIR")]
    pub export: Option<PathBuf>,
}

impl Args {
    /// What the parser does not find.
    pub fn check(&self) -> Result<(), String> {
        // With fewer, there is nothing to choose a rate by.
        for (option, value, least) in [
            ("--images", self.images, 10),
            ("--batch-size", self.batch_size, 1),
            ("--search-images", self.search_images, 10),
        ] {
            if value < least {
                return Err(format!("{option} {value}: give {least} or more"));
            }
        }
        if let Some(path) = &self.plot {
            plot::check(path).map_err(|error| format!("--plot {error}"))?;
        }
        if let Some(directory) = &self.export {
            let failed = |error| format!("--export {}: {error}", directory.display());
            std::fs::create_dir_all(directory).map_err(failed)?;
        }
        Ok(())
    }

    pub fn settings(&self) -> Settings {
        Settings { epochs: self.epochs, batch_size: self.batch_size, seed: self.seed }
    }

    /// The rules to compare.
    pub fn entries(&self) -> Vec<Entry> {
        if self.rules.is_empty() { rules::all().to_vec() } else { self.rules.clone() }
    }
}
