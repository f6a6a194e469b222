//! What compare.py reads: vectors as plain little-endian f32 and u32, and the settings as JSON.
//!
//! - `features.f32` (1000 x 100, row by row), `labels.f32` (1000; the first 800 rows are trained on)
//! - `order.u32` (epochs x 800): the rows in the order in which each epoch visits them
//! - `hidden_weight.f32` (100 x 50, inputs by outputs), `hidden_bias.f32`, `output_weight.f32` (50),
//!   `output_bias.f32`: the initial weights
//! - for each rule, by its lower-case name: `losses_RULE.f32` (one for each step), `logits_RULE.f32`
//!   (of the 200 held-out rows)
//! - `settings.json`: the sizes, and how it was trained

use std::fs;
use std::io;
use std::path::Path;

use crate::Failure;
use crate::args::Args;
use crate::problem::{FEATURES, HIDDEN, Problem, ROWS, TRAINING_ROWS};
use crate::rules::Kind;
use crate::train::Outcome;

/// Makes the directory, so that nobody waits for files that cannot be written.
pub fn prepare(directory: &Path) -> Result<(), Failure> {
    let probe = directory.join("settings.json");
    let made = fs::create_dir_all(directory).and_then(|()| fs::write(probe, ""));
    made.map_err(|error| {
        let what = format!("--export {}: cannot be written: {error}", directory.display());
        Failure::Argument(what)
    })
}

pub fn write(
    directory: &Path,
    args: &Args,
    problem: &Problem,
    outcomes: &[(Kind, Outcome)],
) -> Result<(), Failure> {
    files(directory, args, problem, outcomes).map_err(|error| {
        Failure::Run(format!("--export {}: cannot be written: {error}", directory.display()))
    })
}

fn files(
    directory: &Path,
    args: &Args,
    problem: &Problem,
    outcomes: &[(Kind, Outcome)],
) -> io::Result<()> {
    let floats = |name: &str, values: &[f32]| {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        fs::write(directory.join(name), bytes)
    };
    floats("features.f32", &problem.features)?;
    floats("labels.f32", &problem.labels)?;
    let order = (0..args.epochs as usize).flat_map(|epoch| problem.order(epoch));
    let order: Vec<u8> = order.flat_map(u32::to_le_bytes).collect();
    fs::write(directory.join("order.u32"), order)?;
    let weights = &problem.weights;
    floats("hidden_weight.f32", &weights.hidden_weight)?;
    floats("hidden_bias.f32", &weights.hidden_bias)?;
    floats("output_weight.f32", &weights.output_weight)?;
    floats("output_bias.f32", &weights.output_bias)?;
    for (kind, outcome) in outcomes {
        let name = kind.name().to_lowercase();
        floats(&format!("losses_{name}.f32"), &outcome.losses)?;
        floats(&format!("logits_{name}.f32"), &outcome.logits)?;
    }
    fs::write(directory.join("settings.json"), settings(args, problem.seed))
}

fn settings(args: &Args, seed: u64) -> String {
    let Args { epochs, batch_size, learning_rate, precision, at_once, .. } = args;
    let precision = format!("{precision:?}").to_lowercase();
    format!(
        r#"{{
  "rows": {ROWS},
  "training_rows": {TRAINING_ROWS},
  "features": {FEATURES},
  "hidden": {HIDDEN},
  "seed": {seed},
  "epochs": {epochs},
  "batch_size": {batch_size},
  "learning_rate": {learning_rate},
  "precision": "{precision}",
  "at_once": {at_once}
}}
"#
    )
}
