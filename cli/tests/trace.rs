//! `trace`: the textbook's experiments (Dive into Deep Learning, chapter on optimization), each by
//! its formula as the book prints it, here in double precision.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::{Folder, json, text};
use serde_json::Value;

const STEPS: usize = 20;
/// Half a unit in the last place of an f32, relative to the number.
const ROUNDING: f64 = 1.0 / (1 << 24) as f64;

/// One step of one coordinate: step number from 1, hyper-parameters, gradient, two state variables
/// that start from 0; what is subtracted.
type Formula = fn(i32, &[f64], f64, &mut [f64; 2]) -> f64;

/// The path from (-5, -2) over 0.1 x1^2 + 2 x2^2. In step number `rounded.0`, hyper-parameter number
/// `rounded.1` is larger by as much as rounding to f32 can make it.
fn path(formula: Formula, hyper: &[f64], rounded: Option<(usize, usize)>) -> Vec<[f64; 2]> {
    let (mut x, mut states) = ([-5.0, -2.0], [[0.0; 2]; 2]);
    let mut path = vec![x];
    for step in 1..=STEPS {
        let mut hyper = hyper.to_vec();
        if let Some((when, which)) = rounded
            && when == step
        {
            hyper[which] *= 1.0 + ROUNDING;
        }
        let gradient = [0.2 * x[0], 4.0 * x[1]];
        for axis in 0..2 {
            x[axis] -= formula(step as i32, &hyper, gradient[axis], &mut states[axis]);
        }
        path.push(x);
    }
    path
}

/// Asserts that `trace` with `arguments` follows the book's formula. It computes in double
/// precision, but each hyper-parameter of each step is rounded to f32. To first order, the path
/// differs by at most the sum of the effects of these roundings. A hundredth is added for
/// second-order effects and the rounding of double precision.
#[track_caller]
fn follows(arguments: &[&str], formula: Formula, hyper: &[f64]) {
    let report = json(&Folder::new().succeed(&[&["trace", "--json"], arguments].concat()));
    let found: Vec<[f64; 2]> = serde_json::from_value(report["path"].clone()).unwrap();
    let book = path(formula, hyper, None);
    let all = (1..=STEPS).flat_map(|step| (0..hyper.len()).map(move |which| (step, which)));
    let moved: Vec<_> = all.map(|rounded| path(formula, hyper, Some(rounded))).collect();
    assert_eq!(found.len(), STEPS + 1);
    for (point, (found, book)) in found.iter().zip(&book).enumerate() {
        for axis in 0..2 {
            let moves = moved.iter().map(|path| (path[point][axis] - book[axis]).abs());
            let bound = 1.01 * moves.sum::<f64>() + f64::EPSILON;
            let error = (found[axis] - book[axis]).abs();
            assert!(
                error <= bound,
                "{arguments:?} step {point}: {found:?}, book {book:?}, {bound:e}"
            );
            assert!(
                bound < 1e-5 * book[axis].abs().max(1.0),
                "{arguments:?}: a bound of {bound:e}"
            );
        }
    }
}

/// The line that `trace` prints is the one that the book prints.
#[track_caller]
fn prints(arguments: &[&str], line: &str) {
    let printed = Folder::new().succeed(&[&["trace"], arguments].concat());
    assert_eq!(printed, format!("epoch 20, {line}\n"), "{arguments:?}");
}

#[test]
fn gradient_descent() {
    let formula: Formula = |_, hyper, g, _| hyper[0] * g;
    follows(&["--optimizer", "sgd"], formula, &[0.4]);
    follows(&["--optimizer", "sgd", "--learning-rate", "0.6"], formula, &[0.6]);
    prints(&["--optimizer", "sgd"], "x1: -0.943467, x2: -0.000073");
}

/// `v <- beta v + g; x <- x - eta v`, which is PyTorch's momentum.
#[test]
fn momentum() {
    let formula: Formula = |_, hyper, g, [v, _]| {
        *v = hyper[1] * *v + g;
        hyper[0] * *v
    };
    for beta in ["0.5", "0.25"] {
        for rate in ["0.4", "0.6"] {
            let option = format!("momentum={beta}");
            let arguments = ["--optimizer", "sgd", "-O", &option, "--learning-rate", rate];
            follows(&arguments, formula, &[rate.parse().unwrap(), beta.parse().unwrap()]);
        }
    }
    let half = ["--optimizer", "sgd", "-O", "momentum=0.5", "--learning-rate", "0.6"];
    prints(&half, "x1: 0.007188, x2: 0.002553");
}

/// The book adds epsilon, 1e-6, to its running average inside the root and keeps 0.9 of it; PyTorch
/// adds 1e-8 outside the root and keeps 0.99.
#[test]
fn rmsprop() {
    let formula: Formula = |_, hyper, g, [s, _]| {
        *s = hyper[1] * *s + hyper[2] * g * g;
        hyper[0] * g / (*s + hyper[3]).sqrt()
    };
    let options = ["-O", "smoothing=0.9", "-O", "epsilon=1e-6", "-O", "epsilon-placement=inside"];
    let arguments = [&["--optimizer", "rmsprop"][..], &options].concat();
    follows(&arguments, formula, &[0.4, 0.9, 0.1, 1e-6]);
    prints(&arguments, "x1: -0.010599, x2: 0.000000");
}

/// The book has no learning rate, which is the same as 1, and epsilon is 1e-5, where PyTorch has
/// 1e-6.
#[test]
fn adadelta() {
    let formula: Formula = |_, hyper, g, [s, delta]| {
        *s = hyper[1] * *s + hyper[2] * g * g;
        let rescaled = (*delta + hyper[3]).sqrt() / (*s + hyper[3]).sqrt() * g;
        *delta = hyper[1] * *delta + hyper[2] * rescaled * rescaled;
        hyper[0] * rescaled
    };
    for (option, rho) in [("rho=0.9", 0.9), ("rho=0.5", 0.5)] {
        let options = ["-O", option, "-O", "epsilon=1e-5", "--learning-rate", "1"];
        let arguments = [&["--optimizer", "adadelta"][..], &options].concat();
        follows(&arguments, formula, &[1.0, rho, 1.0 - rho, 1e-5]);
    }
}

/// The book adds epsilon outside the root of the corrected average, as PyTorch does; it is 1e-6,
/// and PyTorch's is 1e-8.
#[test]
fn adam() {
    let formula: Formula = |step, hyper, g, [v, s]| {
        *v = hyper[1] * *v + hyper[2] * g;
        *s = hyper[3] * *s + hyper[4] * g * g;
        let (v, s) = (*v / (1.0 - 0.9f64.powi(step)), *s / (1.0 - 0.999f64.powi(step)));
        hyper[0] * v / (s.sqrt() + hyper[5])
    };
    let arguments = ["--optimizer", "adam", "-O", "epsilon=1e-6"];
    follows(&arguments, formula, &[0.4, 0.9, 0.1, 0.999, 0.001, 1e-6]);
}

/// `s <- s + g^2; x <- x - eta g / sqrt(s + epsilon)`, this command's own default.
#[test]
fn adagrad() {
    let formula: Formula = |_, hyper, g, [s, _]| {
        *s += g * g;
        hyper[0] * g / (*s + hyper[1]).sqrt()
    };
    follows(&[], formula, &[0.4, 1e-6]);
    follows(&["--learning-rate", "2"], formula, &[2.0, 1e-6]);
}

#[test]
fn several_rates_print_a_line_each() {
    let place = Folder::new();
    let printed = place.succeed(&["trace", "--learning-rate", "0.4,2"]);
    let expected = "adagrad, learning rate 0.4: epoch 20, x1: -2.382563, x2: -0.158591\n\
                    adagrad, learning rate 2: epoch 20, x1: -0.002295, x2: -0.000000\n";
    assert_eq!(printed, expected);
    let report = json(&place.succeed(&["trace", "--learning-rate", "0.4,2", "--json"]));
    let runs = report["runs"].as_array().unwrap();
    let alone = json(&place.succeed(&["trace", "--learning-rate", "2", "--json"]));
    assert_eq!((runs.len(), &runs[1]), (2, &alone));
}

/// Two rules at two rates, over a rotated function. Plain SGD at 0.6 leaves the picture.
#[test]
fn several_rules_are_drawn_in_panels() {
    let place = Folder::new();
    let arguments = ["trace", "--optimizers", "adam:beta1=0.5,sgd", "--learning-rate", "0.1,0.6"];
    let drawn = [&arguments[..], &["--rotate", "30", "--plot", "four.svg", "--json"]].concat();
    let report = json(&place.succeed(&drawn));
    let runs: Vec<_> = report["runs"].as_array().unwrap().iter().collect();
    let rules: Vec<_> = runs.iter().map(|run| run["optimizer"].as_str().unwrap()).collect();
    assert_eq!(rules, ["adam", "adam", "sgd", "sgd"]);
    assert_eq!(runs[0]["options"]["beta1"], Value::from(0.5));
    let picture = text(&place.read("four.svg"));
    for rate in ["0.1", "0.6"] {
        for rule in ["adam:beta1=0.5", "sgd"] {
            assert!(picture.contains(&format!("{rule}, learning rate {rate}")), "{rule} {rate}");
        }
    }
    assert_eq!(picture.matches("leaves the picture").count(), 1);
    assert!(picture.trim_end().ends_with("</svg>"));
}

#[test]
fn what_cannot_be_traced_is_refused() {
    let place = Folder::new();
    let both = ["trace", "--optimizers", "sgd", "--optimizer", "adam"];
    place.fail(2, &both, &["--optimizer", "cannot be used with"]);
    place.fail(2, &["trace", "--optimizers", "sgd,nothing"], &["--optimizers nothing", "adagrad"]);
    place.fail(2, &["trace", "--learning-rate", "0.1,x"], &["--learning-rate", "'x'"]);
    let twice = ["trace", "--learning-rate", "0.1", "-O", "learning-rate=1"];
    place.fail(2, &twice, &["--option learning-rate=1", "--learning-rate sets this too"]);
    let many = vec!["0.1"; 25].join(",");
    place.fail(2, &["trace", "--learning-rate", &many], &["25 learning rates", "at most 24"]);
}

/// By a factor of 1 - 4 * 1 = -3 a step: 3^647 is the first power of 3 beyond the largest double, and
/// x2 begins at -2.
#[test]
fn a_path_beyond_all_numbers_is_a_failed_run() {
    let place = Folder::new();
    let far = |steps| ["trace", "--optimizer", "sgd", "--learning-rate", "1", "--steps", steps];
    place.fail(1, &[&far("3000")[..], &["--plot", "a.svg"]].concat(), &["--learning-rate than 1"]);
    assert!(place.succeed(&far("300")).starts_with("epoch 300, x1: -0.000000, x2: -"));
}
