//! `compare`: the same problem by several rules.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and a skipped one says so"
)]

mod common;

use common::{Folder, airfoil, json, text};
use serde_json::Value;

fn result<'a>(report: &'a Value, optimizer: &str) -> &'a Value {
    let results = report["results"].as_array().unwrap();
    results.iter().find(|result| result["optimizer"] == optimizer).expect("a result of this rule")
}

/// With rare features, Adagrad reaches a lower training loss and a higher test accuracy than plain
/// SGD, each at its best rate, for every seed.
#[test]
fn adagrad_leads_plain_descent_on_rare_features() {
    let place = Folder::new();
    for seed in ["0", "1", "2"] {
        let arguments = ["compare", "--device", "cpu", "--json", "--seed", seed];
        let report = json(&place.succeed(&arguments));
        let (adagrad, sgd) = (result(&report, "adagrad"), result(&report, "sgd"));
        let number =
            |result: &Value, pointer: &str| result.pointer(pointer).unwrap().as_f64().unwrap();
        assert!(number(adagrad, "/loss") < number(sgd, "/loss"), "seed {seed}");
        let accuracy = |result| number(result, "/test/accuracy");
        assert!(accuracy(adagrad) > accuracy(sgd), "seed {seed}");
        let rows = ["training_rows", "validation_rows", "test_rows", "features"];
        assert_eq!(rows.map(|rows| report[rows].as_u64().unwrap()), [800, 200, 10_000, 100]);
    }
}

/// The reported rate is the one with the lowest validation loss, whatever the test scores are, and
/// results are sorted by that loss.
#[test]
fn learning_rates_are_chosen_by_validation() {
    let place = Folder::new();
    let report = json(&place.succeed(&["compare", "--device", "cpu", "--json"]));
    let mut last = 0.0;
    for result in report["results"].as_array().unwrap() {
        let trials = result["trials"].as_array().unwrap();
        assert!(trials.len() >= 5, "{trials:?}");
        let loss = |trial: &Value| trial["validation_loss"].as_f64().unwrap_or(f64::INFINITY);
        let best = trials.iter().min_by(|a, b| loss(a).total_cmp(&loss(b))).unwrap();
        assert_eq!(best["learning_rate"], result["learning_rate"]);
        assert_eq!(best["validation_loss"], result["validation_loss"]);
        assert!(loss(best) >= last);
        last = loss(best);
        // Within the grid, so that it limits no rule.
        assert_eq!(result["at_edge"], Value::Bool(false));
    }
}

/// All rules start from the same loss, and a run gives the same result alone and among others.
#[test]
fn runs_share_start_and_batches() {
    let place = Folder::new();
    let arguments = ["compare", "--device", "cpu", "--json", "--learning-rates", "0.1,0.5"];
    let report = json(&place.succeed(&arguments));
    let results = report["results"].as_array().unwrap();
    let first = &results[0]["loss_history"][0];
    assert!(results.iter().all(|result| &result["loss_history"][0] == first));
    let alone = [&arguments[..], &["--optimizers", "adam"]].concat();
    let alone = json(&place.succeed(&alone));
    let (alone, among) = (result(&alone, "adam"), result(&report, "adam"));
    assert_eq!(alone["weights_bits"], among["weights_bits"]);
    let given: Vec<_> = among["trials"].as_array().unwrap().iter().collect();
    assert_eq!(given.len(), 2);
}

/// In exact precision every device gives the same numbers.
#[test]
fn exact_precision_is_the_same_everywhere() {
    let place = Folder::new();
    let devices = json(&place.succeed(&["devices", "--json"]));
    let arguments = |device| {
        let arguments = ["compare", "--json", "--precision", "exact", "--epochs", "1"];
        let rules = ["--optimizers", "adagrad,sgd:momentum=0.5,adam", "--learning-rates", "0.3"];
        [&arguments[..], &rules, &["--device", device]].concat()
    };
    let expected = json(&place.succeed(&arguments("cpu")));
    let mut adapters = 0;
    for device in devices["devices"].as_array().unwrap() {
        if device["kind"] == "cpu" {
            continue;
        }
        adapters += 1;
        let report = json(&place.succeed(&arguments(device["name"].as_str().unwrap())));
        for rule in ["adagrad", "sgd:momentum=0.5", "adam"] {
            let (found, expected) = (result(&report, rule), result(&expected, rule));
            for part in ["weights_bits", "bias_bits", "loss_history", "validation_loss", "test"] {
                assert_eq!(found[part], expected[part], "{rule} on {}: {part}", device["name"]);
            }
        }
    }
    if adapters == 0 {
        eprintln!("SKIPPED: there is no adapter");
    }
}

#[test]
fn the_table_and_both_pictures() {
    let place = Folder::new();
    let pictures = ["--plot", "loss.svg", "--features-by-rarity", "rarity.svg"];
    let rules = ["--learning-rates", "0.2", "--optimizers"];
    let rules =
        [&rules[..], &["adagrad,sgd:momentum=0.9,adagrad:learning_rate_decay=0.1"]].concat();
    let table = place.succeed(&[&["compare", "--device", "cpu"][..], &pictures, &rules].concat());
    for part in [
        "test accuracy",
        "sgd:momentum=0.9",
        "learning_rate_decay=0.1",
        "rows 800 to train",
        "CPU engine",
    ] {
        assert!(table.contains(part), "{part:?} is not in: {table}");
    }
    for (name, title) in [("loss.svg", "Training loss"), ("rarity.svg", "Error of the weights")] {
        let picture = text(&place.read(name));
        for part in [title, "adagrad at 0.2", "</svg>"] {
            assert!(picture.contains(part), "{part:?} is not in {name}");
        }
    }
}

/// The loss is half the mean squared error of a standardized target. Over the same rows, R^2 would
/// be 1 minus twice the loss.
#[test]
fn a_table_of_numbers() {
    let Some(path) = airfoil() else { return };
    let place = Folder::new();
    let arguments = ["compare", path.to_str().unwrap(), "--device", "cpu", "--json"];
    let report = json(&place.succeed(&arguments));
    assert_eq!(report["objective"], "squared");
    let rows = ["training_rows", "validation_rows", "test_rows"];
    assert_eq!(rows.map(|rows| report[rows].as_u64().unwrap()), [962, 241, 300]);
    for result in report["results"].as_array().unwrap() {
        // The best linear model leaves 0.2417 over all rows.
        let loss = result["loss"].as_f64().unwrap();
        assert!(loss > 0.22 && loss < 0.27, "{result}");
        let r2 = result["test"]["r2"].as_f64().unwrap();
        assert!((r2 - (1.0 - 2.0 * 0.2417)).abs() < 0.15, "{r2}");
        assert!(result["features_by_rarity"].is_null());
    }
}

/// Errors are in the file's units: a target that is 1024 times as large has 1024 times the error
/// and the same R^2. The factor is a power of two, so that scaled targets have the same bits.
#[test]
fn errors_are_in_the_files_units() {
    let place = Folder::new();
    let test = |unit: usize| {
        let rows = (0..60_usize).map(|row| format!("{},{}\n", row % 17, unit * (row % 5 + row)));
        place.file("data.csv", rows.collect::<String>());
        let rule = ["--optimizers", "adagrad", "--learning-rates", "0.3"];
        let arguments = [&["compare", "data.csv", "--device", "cpu", "--json"][..], &rule].concat();
        let number = |name: &str| {
            let report = json(&place.succeed(&arguments));
            report["results"][0]["test"][name].as_f64().unwrap()
        };
        (number("rmse"), number("r2"))
    };
    let ((rmse, r2), (large, same)) = (test(1), test(1024));
    assert_eq!((large, same), (1024.0 * rmse, r2));
    assert!(rmse > 1.0, "{rmse}");
}

/// A classifier has the same scores as in `fit`.
#[test]
fn classes_have_all_their_scores() {
    let place = Folder::new();
    let report = json(&place.succeed(&["compare", "--device", "cpu", "--json", "--epochs", "1"]));
    let test = &result(&report, "adagrad")["test"];
    for name in ["accuracy", "log_loss", "auc"] {
        let score = test[name].as_f64().unwrap();
        assert!(score > 0.0 && score < 1.0, "{name}: {score}");
    }
}

/// A rate at which a run diverges is reported and left out. If there is no other rate, that is an
/// error.
#[test]
fn diverging_rates_are_reported() {
    let place = Folder::new();
    let rows: String = (0..50).map(|row| format!("{row},{}\n", 3 * row)).collect();
    place.file("line.csv", rows);
    let rule = ["compare", "line.csv", "--device", "cpu", "--optimizers", "sgd"];
    let rates = |rates| [&rule[..], &["--learning-rates", rates]].concat();
    let output = place.run(&rates("0.1,1e9"));
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stderr).contains("sgd diverged at 1000000000"), "{output:?}");
    assert!(text(&output.stdout).contains("0.1"), "{output:?}");
    place.fail(1, &rates("1e9"), &["every optimizer diverged", "--learning-rates"]);
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let place = Folder::new();
    place.file("data.csv", "1,2\n3,4\n5,6\n7,9\n8,9\n");
    place.file("short.csv", "1,2\n3,4\n");
    let fail = |arguments: &[&str], parts: &[&str]| {
        place.fail(2, &[&["compare"], arguments].concat(), parts);
    };
    fail(&["--optimizers", "adagrid"], &["--optimizers adagrid", "adagrad"]);
    fail(&["--optimizers", "sgd,sgd"], &["sgd is listed twice"]);
    fail(&["--optimizers", "sgd:momentum"], &["sgd:momentum", "NAME=VALUE"]);
    fail(&["--optimizers", "sgd:learning-rate=1"], &["their own option"]);
    fail(&["--optimizers", "adam:beta1=2"], &["beta1"]);
    fail(&["--learning-rates", "0.1,-1"], &["\"-1\"", "above 0"]);
    fail(&["short.csv", "--device", "cpu"], &["short.csv", "at least 5"]);
    fail(
        &["data.csv", "--loss", "logistic", "--device", "cpu"],
        &["line 3, column 2", "6 is a third class", "takes two"],
    );
    place.file("data.svm", "1 1:2\n-1 2:1\n1 1:1\n-1 2:2\n1 1:3\n");
    fail(&["data.svm", "--target", "0", "--device", "cpu"], &["--target 0", "LIBSVM"]);
    fail(&["data.svm", "--standardize", "all", "--device", "cpu"], &["--standardize", "LIBSVM"]);
    fail(&["--standardize", "none"], &["DATA"]);
    fail(&["data.csv", "--features-by-rarity", "a.svg"], &["--features-by-rarity"]);
    fail(&["--plot", "a.svg", "--features-by-rarity", "a.svg"], &["same file"]);
    fail(&["--features-by-rarity", "a.bmp"], &["--features-by-rarity a.bmp", ".svg or .png"]);
}
