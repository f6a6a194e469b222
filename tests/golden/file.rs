//! Reads a golden file. README.md describes the format.

use std::collections::BTreeMap;

use wgpu_optim::{Adagrad, WeightDecay};

/// A golden file.
#[derive(Debug)]
pub(crate) struct Golden {
    pub(crate) framework: &'static str,
    pub(crate) seed: u64,
    pub(crate) steps: u64,
    /// Which elements are shown, by length.
    pub(crate) indices: BTreeMap<usize, Vec<usize>>,
    pub(crate) cases: Vec<Case>,
}

/// One optimizer with its options, and the framework's results.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// The framework's preset with the case's options.
    pub(crate) rule: Adagrad,
    /// A change of the learning rate: the first step with it, and the new value.
    pub(crate) change: Option<(u64, f32)>,
    /// The shown elements of x and s, by length and step.
    pub(crate) shown: BTreeMap<(usize, u64), Shown>,
}

/// The shown elements after one step.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    pub(crate) x: Vec<f32>,
    pub(crate) s: Vec<f32>,
}

/// The three golden files.
pub(crate) fn golden_files() -> [Golden; 3] {
    [
        parse("pytorch", include_str!("pytorch.txt")),
        parse("optax", include_str!("optax.txt")),
        parse("keras", include_str!("keras.txt")),
    ]
}

fn preset(framework: &str) -> Adagrad {
    match framework {
        "pytorch" => Adagrad::pytorch(),
        // optax has no default learning rate; every case of the file sets one.
        "optax" => Adagrad::optax(f32::NAN),
        "keras" => Adagrad::keras(),
        _ => panic!("no preset for {framework}"),
    }
}

fn parse(framework: &'static str, text: &str) -> Golden {
    let mut golden =
        Golden { framework, seed: 0, steps: 0, indices: BTreeMap::new(), cases: Vec::new() };
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some(key) = words.next().filter(|key| *key != "#") else { continue };
        let mut word = || words.next().unwrap_or_else(|| panic!("{framework}: {line}"));
        match key {
            "seed" => golden.seed = number(word()),
            "steps" => golden.steps = number(word()),
            "indices" => {
                let len = number(word());
                golden.indices.insert(len, words.map(number).collect());
            }
            "case" => golden.cases.push(Case {
                name: word().to_owned(),
                rule: preset(framework),
                change: None,
                shown: BTreeMap::new(),
            }),
            "call" => {}
            _ => {
                let case = golden.cases.last_mut().unwrap();
                match key {
                    "set" => set(&mut case.rule, word(), word()),
                    "change" => case.change = Some((number(word()), number(word()))),
                    "x" | "s" => {
                        let shown = case.shown.entry((number(word()), number(word()))).or_default();
                        let values = words.map(float).collect();
                        *(if key == "x" { &mut shown.x } else { &mut shown.s }) = values;
                    }
                    _ => panic!("{framework}: {line}"),
                }
            }
        }
    }
    golden
}

fn set(rule: &mut Adagrad, option: &str, value: &str) {
    match option {
        "learning_rate" => rule.learning_rate = number(value),
        "epsilon" => rule.epsilon = number(value),
        "initial_accumulator" => rule.initial_accumulator = number(value),
        "learning_rate_decay" => rule.learning_rate_decay = number(value),
        "l2" => rule.weight_decay = WeightDecay::L2(number(value)),
        "decoupled" => rule.weight_decay = WeightDecay::Decoupled(number(value)),
        "maximize" => rule.maximize = value == "True",
        _ => panic!("no option {option}"),
    }
}

fn number<T: std::str::FromStr>(word: &str) -> T {
    word.parse().unwrap_or_else(|_| panic!("not a number: {word}"))
}

fn float(word: &str) -> f32 {
    f32::from_bits(u32::from_str_radix(word, 16).unwrap_or_else(|_| panic!("not bits: {word}")))
}
