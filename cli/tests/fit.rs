//! Training from the command line: what it prints, writes and reaches.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and a skipped one says so"
)]

mod common;

use std::path::Path;

use common::{Folder, airfoil, json, text};

/// The available engines, as `--device` takes them.
///
/// # Panics
/// Where a driver is missing that `WGPU_OPTIM_REQUIRE_DRIVERS` names.
fn engines() -> Vec<&'static str> {
    let required = std::env::var("WGPU_OPTIM_REQUIRE_DRIVERS").unwrap_or_default();
    let listed = Folder::new().succeed(&["devices"]).to_lowercase();
    let mut engines = vec!["cpu"];
    for (driver, adapter) in [("lavapipe", "llvmpipe"), ("swiftshader", "swiftshader")] {
        if listed.contains(adapter) {
            engines.push(adapter);
        } else if required.split(',').any(|wanted| wanted.trim() == driver) {
            panic!("{driver} is required but not there: {listed}");
        } else {
            eprintln!("SKIPPED on {driver}: the driver is absent");
        }
    }
    engines
}

/// What `fit --json` reports on the textbook's data, on one engine.
fn textbook(data: &Path, engine: &str, seed: u64, extra: &[&str]) -> serde_json::Value {
    let (data, seed) = (data.display().to_string(), seed.to_string());
    let arguments = ["fit", &data, "--rows", "1500", "--device", engine, "--json", "--quiet"];
    let arguments = [&arguments[..], &["--seed", &seed], extra].concat();
    json(&Folder::new().succeed(&arguments))
}

/// The best possible loss to 6 digits, and the bounds for the trained one, are those of
/// shared/data/README.md and of the project's definition of done.
#[test]
fn the_textbooks_experiment_on_every_engine() {
    let Some(data) = airfoil() else { return };
    for seed in 0..10 {
        let mut reference = None;
        for engine in engines() {
            let report = textbook(&data, engine, seed, &[]);
            let loss = report["loss"].as_f64().unwrap();
            assert!((0.241_688..0.2460).contains(&loss), "{engine}, seed {seed}: {loss}");
            let expected: f64 = *reference.get_or_insert(loss);
            let apart = (loss - expected).abs() / expected;
            assert!(apart <= 1e-6, "{engine}, seed {seed}: {loss}, on the CPU {expected}");
            let best = report["least_squares_loss"].as_f64().unwrap();
            assert_eq!(format!("{best:.6}"), "0.241688");
            // 1500 rows in 2 epochs, one sample per 100 examples, and one at the start.
            assert_eq!(report["loss_history"].as_array().unwrap().len(), 31);
        }
    }
}

/// The promise of `--precision exact`. With batches of 64, the last one is short.
#[test]
fn exact_precision_gives_the_same_bits_on_every_engine() {
    let Some(data) = airfoil() else { return };
    for (seed, batch) in [(0, "10"), (1, "64"), (2, "10"), (3, "64")] {
        let mut reference = None;
        for engine in engines() {
            let extra = ["--precision", "exact", "--batch-size", batch];
            let report = textbook(&data, engine, seed, &extra);
            let bits = (report["weights_bits"].clone(), report["bias_bits"].clone());
            let expected = reference.get_or_insert_with(|| bits.clone());
            assert_eq!(bits, *expected, "{engine}, seed {seed}, batches of {batch}");
        }
    }
}

const LINE: &str = "x;label;y\n0;0;1\n1;1;3\n2;0;5\n3;1;7\n4;0;9\n5;1;11\n";

#[test]
fn the_json_contract() {
    let place = Folder::new();
    place.file("data.csv", LINE);
    let output =
        place.run(&["fit", "data.csv", "--device", "cpu", "--json", "--quiet", "--rows", "5"]);
    assert_eq!(text(&output.stderr), "");
    let report = json(&text(&output.stdout));
    let object = report.as_object().unwrap();
    let mut keys: Vec<&str> = object.keys().map(String::as_str).collect();
    keys.sort_unstable();
    let mut expected = vec![
        "device",
        "precision",
        "rows",
        "features",
        "epochs",
        "batch_size",
        "optimizer",
        "learning_rate",
        "epsilon",
        "options",
        "schedule",
        "seed",
        "loss",
        "loss_history",
        "seconds_per_epoch",
        "least_squares_loss",
        "weights",
        "bias",
        "weights_bits",
        "bias_bits",
        "loss_function",
        "l1",
        "l2",
        "classes",
        "epochs_trained",
        "metrics",
        "test",
        "validation",
        "progressive_loss",
    ];
    expected.sort_unstable();
    assert_eq!(keys, expected);
    let device = report["device"].as_object().unwrap();
    assert_eq!(device.keys().collect::<Vec<_>>(), ["backend", "kind", "name"]);
    assert_eq!(device["kind"], "cpu");
    let settings = ["precision", "rows", "features", "epochs", "batch_size", "optimizer", "seed"];
    let settings = settings.map(|key| report[key].to_string());
    assert_eq!(settings, ["\"native\"", "5", "2", "2", "10", "\"adagrad\"", "0"]);
    assert_eq!(report["learning_rate"].to_string().parse::<f32>().unwrap(), 0.1);
    assert_eq!(report["epsilon"].to_string().parse::<f32>().unwrap(), 1e-6);

    let bits = |value: &serde_json::Value| {
        let text = value.as_str().unwrap();
        assert_eq!(text.len(), 8);
        f32::from_bits(u32::from_str_radix(text, 16).unwrap())
    };
    let number = |value: &serde_json::Value| value.as_f64().unwrap() as f32;
    assert_eq!(bits(&report["bias_bits"]), number(&report["bias"]));
    let weights: Vec<f32> = report["weights"].as_array().unwrap().iter().map(number).collect();
    let from_bits: Vec<f32> = report["weights_bits"].as_array().unwrap().iter().map(bits).collect();
    assert_eq!((weights.len(), &weights), (2, &from_bits));

    let history = report["loss_history"].as_array().unwrap();
    let (first, last) = (&history[0], &history[history.len() - 1]);
    assert_eq!((first[0].as_f64(), last[0].as_f64()), (Some(0.0), Some(2.0)));
    assert_eq!(last[1], report["loss"]);
}

/// y = 2 x + 1 whatever the label: enough epochs find it, and predictions are in these units.
#[test]
fn a_saved_model_answers_in_the_files_units() {
    for standardize in ["all", "features", "none"] {
        let place = Folder::new();
        place.file("data.csv", LINE);
        let arguments = [
            "fit",
            "data.csv",
            "--device",
            "cpu",
            "--epochs",
            "3000",
            "--learning-rate",
            "0.5",
            "--standardize",
            standardize,
            "--save",
            "line.safetensors",
            "--quiet",
        ];
        place.succeed(&arguments);
        assert_eq!(place.names(), ["data.csv", "line.safetensors"]);
        // Other order, another column, no target.
        place.file("new.csv", "label,name,x\n1,one,10\n0,two,-3\n");
        // By position, and with the target between.
        place.file("bare.csv", "10 1\n-3 0\n").file("full.csv", "10 1 99\n-3 0 99\n");
        for data in ["new.csv", "bare.csv", "full.csv"] {
            let answers = place.succeed(&["predict", "line.safetensors", data, "--device", "cpu"]);
            let lines: Vec<&str> = answers.lines().collect();
            assert_eq!((lines.len(), lines[0]), (3, "y"), "{answers}");
            for (line, expected) in lines[1..].iter().zip([21.0, -5.0]) {
                let answer: f64 = line.parse().unwrap();
                assert!((answer - expected).abs() < 0.02, "{standardize}, {data}: {answers}");
            }
            place.succeed(&[
                "predict",
                "line.safetensors",
                data,
                "-o",
                "out.csv",
                "--device",
                "cpu",
            ]);
            assert_eq!(text(&place.read("out.csv")), answers);
        }
    }
}

#[test]
fn the_target_may_be_any_column() {
    let place = Folder::new();
    place.file("data.csv", "y,x\n1,0\n3,1\n5,2\n7,3\n").file("bare.csv", "1 0\n3 1\n5 2\n7 3\n");
    let bits = |data, target: &[&str]| {
        let arguments = [&["fit", data, "--device", "cpu", "--json"], target].concat();
        json(&place.succeed(&arguments))["weights_bits"].clone()
    };
    let by_name = bits("data.csv", &["--target", "y"]);
    assert_eq!(bits("data.csv", &["--target", "0"]), by_name);
    assert_eq!(bits("bare.csv", &["--target", "0"]), by_name);
    assert_eq!(bits("bare.csv", &["--target", "x0"]), by_name);
    assert_eq!(bits("data.csv", &[]), bits("data.csv", &["--target", "x"]));
}

#[test]
fn without_data_true_and_learned_weights_are_shown() {
    let place = Folder::new();
    let output = place.succeed(&["fit", "--device", "cpu", "--quiet"]);
    assert!(output.contains("learned") && output.contains("true"), "{output}");
    let mut compared = 0;
    for line in output.lines().filter(|line| line.trim_start().starts_with("x")) {
        let numbers: Vec<f64> =
            line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let [_, learned, truth] = numbers[..] else { panic!("{line}") };
        assert!((learned - truth).abs() < 0.01, "{line}");
        compared += 1;
    }
    assert_eq!(compared, 5);
}

#[test]
fn pictures_are_written_whole() {
    let place = Folder::new();
    place.file("data.csv", LINE);
    place.succeed(&["fit", "data.csv", "--device", "cpu", "--plot", "loss.svg"]);
    place.succeed(&["fit", "data.csv", "--device", "cpu", "--plot", "loss.png"]);
    let picture = text(&place.read("loss.svg"));
    assert!(picture.trim_end().ends_with("</svg>") && picture.contains("epoch"));
    assert!(place.read("loss.png").starts_with(b"\x89PNG"));
    assert_eq!(place.names(), ["data.csv", "loss.png", "loss.svg"]);
}

/// Every rule gets near the least-squares fit from its defaults; settings and schedule are
/// reported.
#[test]
fn every_rule_trains() {
    let place = Folder::new();
    for rule in ["sgd", "adagrad", "rmsprop", "adadelta", "adam", "adamw"] {
        let base = ["fit", "--device", "cpu", "--json", "--quiet", "--optimizer", rule];
        let report = json(&place.succeed(&base));
        let loss = |key: &str| report[key].as_f64().unwrap();
        assert!(loss("loss") < 3.0 * loss("least_squares_loss"), "{rule}: {}", loss("loss"));
        assert_eq!((&report["optimizer"], &report["schedule"]), (&rule.into(), &"constant".into()));
        assert_eq!(report["epsilon"].is_null(), rule == "sgd");
        let report = json(&place.succeed(&[&base[..], &["--schedule", "warmup:9"]].concat()));
        assert_eq!(report["schedule"], "warmup:9:0");
    }
    let options = ["-O", "momentum=0.5", "--option", "nesterov=true", "--learning-rate", "0.01"];
    let base = ["fit", "--device", "cpu", "--optimizer", "sgd", "--json", "--quiet"];
    let report = json(&place.succeed(&[&base[..], &options].concat()));
    assert_eq!(
        (&report["options"]["momentum"], &report["options"]["nesterov"]),
        (&0.5.into(), &true.into())
    );
    assert_eq!(report["learning_rate"], 0.01_f32);
    let table = place.succeed(&[&base[..5], &options].concat());
    assert!(table.contains("sgd at 0.01, momentum=0.5, nesterov=true, batches of 10"), "{table}");
}

/// A hundred rows need more than the default of two epochs; ten thousand do not.
#[test]
fn a_loss_that_still_falls_is_noted() {
    let place = Folder::new();
    let rows: String = (0..100_i32).map(|x| format!("{x},{}\n", 3 * x + x % 7)).collect();
    place.file("small.csv", rows);
    let note = |arguments: &[&str]| {
        let output = place.run(&[&["fit", "--device", "cpu"], arguments].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let message = text(&output.stderr);
        assert_eq!(message.contains("still falling"), message.contains("try more --epochs"));
        message.contains("still falling")
    };
    assert!(note(&["small.csv"]));
    assert!(note(&["small.csv", "--json"]));
    assert!(!note(&["small.csv", "--quiet"]));
    assert!(!note(&["small.csv", "--epochs", "1"]));
    assert!(!note(&["small.csv", "--epochs", "200"]));
    assert!(!note(&[]));
}
