//! Parity of row-wise Adagrad with TorchRec's, step by step: we take each step from TorchRec's
//! numbers before it. Both results lie within their running error bound of the exact step
//! (tests/golden/README.md), so they differ by at most the sum. TorchRec adds the squares of a row
//! in another order. The bound of adding them one by one holds for any order, since all are
//! positive.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use wgpu_optim::numerics::{Nearest, Rounding, Running};
use wgpu_optim::rules::MeanSquare;
use wgpu_optim::{Adagrad, CpuOptimizer, Rule};

use super::gradients;
use super::rules::Framework;

struct Case {
    rows: usize,
    width: usize,
    rule: Adagrad,
    /// By name and step.
    vectors: BTreeMap<(String, u64), Vec<f32>>,
}

fn parse(text: &str) -> (u64, Vec<u64>, Vec<Case>) {
    let (mut seed, mut compared, mut cases) = (0, Vec::new(), Vec::<Case>::new());
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |index: usize| words[index].parse::<u64>().unwrap();
        match (words[0], cases.last_mut()) {
            ("#" | "", _) => {}
            ("seed", _) => seed = number(1),
            ("compared", _) => compared = (1..words.len()).map(number).collect(),
            ("case", _) => cases.push(Case {
                rows: number(1) as usize,
                width: number(2) as usize,
                rule: Adagrad::pytorch(),
                vectors: BTreeMap::new(),
            }),
            ("set", Some(case)) => {
                wgpu_optim::rules::set(&mut case.rule, words[1], words[2]).unwrap();
            }
            (vector, Some(case)) => {
                let float = |word: &&str| f32::from_bits(u32::from_str_radix(word, 16).unwrap());
                let values = words[2..].iter().map(float).collect();
                case.vectors.insert((vector.to_owned(), number(1)), values);
            }
            _ => panic!("{line}"),
        }
    }
    (seed, compared, cases)
}

/// The parameters and the accumulator of one row after a step, with their bounds.
fn bounds<A: Rounding>(
    rule: &Adagrad,
    step: u64,
    (x, g, s): (&[f32], &[f32], f32),
) -> Vec<Running<A>> {
    let square = |&g: &f32| Running::<A>::input(g) * Running::input(g);
    let sum = g.iter().map(square).reduce(|sum, term| sum + term).unwrap();
    let mean = MeanSquare(sum / Running::input(g.len() as f32));
    let uniforms = rule.uniforms(step);
    let mut all = Vec::new();
    let mut state = [Running::input(s)];
    for (&x, &g) in x.iter().zip(g) {
        state = [Running::input(s)];
        let (x, g) = (Running::input(x), Running::input(g));
        all.push(rule.update(&uniforms, x, g, mean, &mut state));
    }
    all.push(state[0]);
    all
}

/// Compares one step of one case.
fn compare(case: &Case, step: u64, gradients: &[f32]) {
    let Case { rows, width, rule, vectors } = case;
    let theirs = |name: &str, step| &vectors[&(name.to_owned(), step)];
    let mut optimizer = CpuOptimizer::row_wise(*rule, *rows, *width).unwrap();
    let mut x = theirs("x", step - 1).clone();
    let before = (x.clone(), theirs("s", step - 1));
    optimizer.state_mut(0).copy_from_slice(before.1);
    optimizer.set_steps(step - 1);
    let indices: Vec<u32> = (0..*rows as u32).collect();
    optimizer.step_rows(&mut x, gradients, &indices).unwrap();

    for row in 0..*rows {
        let own = row * width..(row + 1) * width;
        let input = (&before.0[own.clone()], &gradients[own.clone()], before.1[row]);
        let allowed = bounds::<Nearest>(rule, step, input);
        let theirs_allowed = bounds::<Framework>(rule, step, input);
        let ours = x[own.clone()].iter().chain([&optimizer.state(0)[row]]);
        let found = theirs("x", step)[own].iter().chain([&theirs("s", step)[row]]);
        for (column, ((ours, found), (a, b))) in
            ours.zip(found).zip(allowed.iter().zip(&theirs_allowed)).enumerate()
        {
            let allowed = a.error().unwrap() + b.error().unwrap();
            let off = (f64::from(*ours) - f64::from(*found)).abs();
            assert!(off <= allowed, "step {step}, row {row}, {column}: {ours:e}, theirs {found:e}");
        }
        // The bound is not vacuous: it is small compared with the accumulator.
        let sum = allowed[*width].error().unwrap() + theirs_allowed[*width].error().unwrap();
        assert!(sum < 1e-5 * f64::from(optimizer.state(0)[row]), "{sum:e}");
    }
}

#[test]
fn torchrec() {
    let (seed, compared, cases) = parse(include_str!("torchrec.txt"));
    assert_eq!((cases.len(), compared.len()), (6, 4), "the file is incomplete");
    for case in &cases {
        for &step in &compared {
            let gradients = gradients::moderate(seed, step, case.rows * case.width);
            compare(case, step, &gradients);
        }
    }
}
