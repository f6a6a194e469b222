//! Prints the complete WGSL of a kernel, as a device gets it.
//!
//! `cargo run --release --example kernel -- --help` lists the options. Without options, it prints
//! an Adagrad step over tensors.
#![allow(clippy::print_stdout, reason = "an example shows its result")]

use std::process::ExitCode;

use wgpu_optim::gpu::{KernelChoice, KernelPlace, kernel_text};
use wgpu_optim::{AnyRule, GradientGuard, NonFinite, Precision, with_rule};

const HELP: &str = "\
Prints the complete WGSL of a kernel. Comments name the file that each part comes from.

  --rule NAME            the rule; default adagrad
  -O NAME=VALUE          one of its hyper-parameters; may be repeated
  --place WORD           which elements the kernel steps; default tensors
  --guard WORD           print a kernel of the guard instead of a step
  --element WORD         how the kernel loads and stores four elements; default quads
  --treatment WORD       how a guard treats gradients; default none
  --precision WORD       the arithmetic; default native
  --row-wise             rows share accumulators
  --windows N            number of buffers of parameters and gradients, 1 to 32; default 2
  --help                 print this text
";

/// The values of an option, by name.
type Words<T> = &'static [(&'static str, T)];

const PLACES: Words<KernelPlace> = &[
    ("tensors", KernelPlace::Tensors),
    ("rows", KernelPlace::Rows),
    ("all-rows", KernelPlace::AllRows),
    ("row-means", KernelPlace::RowMeans),
    ("row-sums", KernelPlace::RowSums),
];
const GUARDS: Words<KernelPlace> = &[
    ("scan", KernelPlace::Scan),
    ("reduce", KernelPlace::Reduce),
    ("decide", KernelPlace::Decide),
];
const ELEMENTS: Words<bool> = &[("quads", true), ("scalars", false)];
const TREATMENTS: Words<GradientGuard> = &[
    ("none", GradientGuard { non_finite: NonFinite::Propagate, max_norm: None }),
    ("decided", GradientGuard { non_finite: NonFinite::SkipStep, max_norm: Some(1.0) }),
    ("only-finite", GradientGuard { non_finite: NonFinite::SkipElement, max_norm: Some(1.0) }),
];
const PRECISIONS: Words<Precision> = &[("native", Precision::Native), ("exact", Precision::Exact)];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        println!("{}", help());
        return ExitCode::SUCCESS;
    }
    match run(arguments.into_iter()) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            use std::io::Write;
            // If standard error is closed, the message cannot be shown.
            let _ = writeln!(std::io::stderr(), "{message}");
            ExitCode::from(2)
        }
    }
}

fn run(mut arguments: impl Iterator<Item = String>) -> Result<String, String> {
    let mut rule = AnyRule::named("adagrad").map_err(|error| error.to_string())?;
    let (mut choice, mut settings) = (KernelChoice::default(), Vec::new());
    while let Some(name) = arguments.next() {
        if name == "--row-wise" {
            choice.row_wise = true;
            continue;
        }
        let mut value = || arguments.next().ok_or_else(|| format!("{name} needs a value"));
        match &*name {
            "--rule" => rule = AnyRule::named(&value()?).map_err(|error| error.to_string())?,
            "-O" => settings.push(value()?),
            "--place" => choice.place = word(&name, &value()?, PLACES)?,
            "--guard" => choice.place = word(&name, &value()?, GUARDS)?,
            "--element" => choice.quads = word(&name, &value()?, ELEMENTS)?,
            "--treatment" => choice.guard = word(&name, &value()?, TREATMENTS)?,
            "--precision" => choice.precision = word(&name, &value()?, PRECISIONS)?,
            "--windows" => choice.windows = windows(&value()?)?,
            _ => return Err(format!("there is no option {name:?}\n\n{}", help())),
        }
    }
    // `-O` may come before `--rule`, so settings are applied last.
    for setting in settings {
        let (name, value) = setting
            .split_once('=')
            .ok_or_else(|| format!("-O {setting}: write it as NAME=VALUE"))?;
        rule.set(name, value).map_err(|error| error.to_string())?;
    }
    rule.validate().map_err(|error| error.to_string())?;
    with_rule!(rule, |rule| kernel_text(&rule, &choice)).map_err(|error| error.to_string())
}

fn word<T: Copy>(option: &str, text: &str, words: Words<T>) -> Result<T, String> {
    let found = words.iter().find(|(word, _)| *word == text);
    let known = || format!("{option} {text}: not a known value; use one of {}", list(words));
    found.map(|(_, value)| *value).ok_or_else(known)
}

fn windows(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=32).contains(number));
    number.ok_or_else(|| format!("--windows {text}: give a number from 1 to 32"))
}

fn list<T>(words: Words<T>) -> String {
    words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ")
}

fn help() -> String {
    let rules: Vec<_> = AnyRule::presets().iter().map(|preset| preset.name).collect();
    let words = [
        ("--rule", rules.join(", ")),
        ("--place", list(PLACES)),
        ("--guard", list(GUARDS)),
        ("--element", list(ELEMENTS)),
        ("--treatment", list(TREATMENTS)),
        ("--precision", list(PRECISIONS)),
    ];
    let lines: Vec<_> = words.iter().map(|(name, known)| format!("  {name:<12} {known}")).collect();
    format!("{HELP}\nValues of WORD and NAME:\n{}", lines.join("\n"))
}
