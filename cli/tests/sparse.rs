//! LIBSVM text, logistic loss, held-out rows and scores, from the command line.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

mod common;

use common::{Folder, json, text};

/// Rows of two classes that feature 1 separates; feature 9 is noise.
fn two_classes(rows: usize) -> String {
    let line = |row: usize| match row % 4 {
        0 => "+1 1:2 9:1\n",
        1 => "-1 1:-2 9:1\n",
        2 => "+1 1:1 # a comment\n",
        _ => "-1 1:-1 9:-1\n",
    };
    (0..rows).map(line).collect()
}

fn near(value: &serde_json::Value, expected: f64) {
    let value = value.as_f64().unwrap();
    assert!((value - expected).abs() < 1e-4 * expected.abs().max(1.0), "{value}, not {expected}");
}

/// One row, one epoch, plain SGD at rate 1: the weight w of x = 2 starts near 0 and the bias at 0, so
/// the gradient is (2 w - y) x. With y = 3 the bias becomes 3 - 2 w and the weight 6 - 3 w.
#[test]
fn one_step_by_hand() {
    let place = Folder::new();
    place.file("row.svm", "3 2:2\n");
    let run = |rate: &str| {
        let fixed = ["fit", "row.svm", "--device", "cpu", "--epochs", "1", "--json"];
        let rule = ["--optimizer", "sgd", "--learning-rate", rate];
        json(&place.succeed(&[&fixed[..], &rule].concat()))
    };
    let weight =
        |report: &serde_json::Value, index: usize| report["weights"][index].as_f64().unwrap();
    let start = weight(&run("1e-30"), 1);
    assert!(start != 0.0 && start.abs() < 0.1, "{start}");
    let report = run("1");
    near(&report["bias"], 3.0 - 2.0 * start);
    near(&report["weights"][1], start + 2.0 * (3.0 - 2.0 * start));
    // Feature 1 does not occur.
    assert_eq!(weight(&report, 0), weight(&run("1e-30"), 0));
    assert_eq!(
        (report["features"].as_u64(), report["least_squares_loss"].is_null()),
        (Some(2), true)
    );
}

/// Without a feature that separates the classes, and with 3 of 4 rows of class 2, the best bias is
/// ln 3 and the loss is that of odds 3:1.
#[test]
fn the_best_log_loss_is_found() {
    let place = Folder::new();
    place.file("rows.svm", "1 1:0\n2 1:0\n2 1:0\n2\n");
    let report = json(&place.succeed(&[
        "fit", "rows.svm", "--loss", "logistic", "--device", "cpu", "--epochs", "400", "--json",
    ]));
    let loss = 0.25 * 4.0_f64.ln() + 0.75 * (4.0_f64 / 3.0).ln();
    near(&report["loss"], loss);
    near(&report["metrics"]["log_loss"], loss);
    near(&report["metrics"]["accuracy"], 0.75);
    assert!((report["bias"].as_f64().unwrap() - 3.0_f64.ln()).abs() < 0.01);
    assert_eq!(report["classes"], serde_json::json!([1.0, 2.0]));
    assert_eq!(report["loss_function"], "logistic");
}

#[test]
fn a_classifier_is_saved_and_answers() {
    let place = Folder::new();
    place.file("rows.svm", two_classes(40));
    place.succeed(&[
        "fit",
        "rows.svm",
        "--loss",
        "logistic",
        "--device",
        "cpu",
        "--epochs",
        "50",
        "--save",
        "model.safetensors",
    ]);
    place.file("new.svm", "0 1:2\n0 1:-2\n0\n0 1:3 4000:7\n");
    let predict = ["predict", "model.safetensors", "new.svm", "--device", "cpu"];
    let output = place.run(&predict);
    assert!(text(&output.stderr).contains("1 value of features beyond the model's 9"));
    let answers = text(&output.stdout);
    let lines: Vec<Vec<&str>> = answers.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(lines[0], ["probability", "class"]);
    let probability = |row: usize| lines[row][0].parse::<f64>().unwrap();
    let classes: Vec<&str> = lines[1..].iter().map(|line| line[1]).collect();
    assert_eq!((classes[0], classes[1], classes[3]), ("1", "-1", "1"));
    assert!(probability(1) > 0.8 && probability(2) < 0.2 && probability(4) > probability(1));
    assert!((probability(3) - 0.5).abs() < 0.2);
    // The other way round.
    place.file("table.csv", "1,2\n");
    place.fail(2, &["predict", "model.safetensors", "table.csv"], &["table.csv", "LIBSVM"]);
}

/// Names of classes, in a table; the probability is that of the second name.
#[test]
fn classes_of_a_table_may_have_names() {
    let place = Folder::new();
    let rows = "x,kind\n1,\"yes, sir\"\n2,\"yes, sir\"\n-1,no\n-2,no\n3,\"yes, sir\"\n-3,no\n";
    place.file("data.csv", rows);
    let fit = ["fit", "data.csv", "--loss", "logistic", "--device", "cpu", "--epochs", "100"];
    let report = json(&place.succeed(&[&fit[..], &["--json", "--save", "m.safetensors"]].concat()));
    assert_eq!(report["classes"], serde_json::json!(["no", "yes, sir"]));
    assert_eq!(report["metrics"]["accuracy"], 1.0);
    assert_eq!(report["metrics"]["auc"], 1.0);
    let answers = place.succeed(&["predict", "m.safetensors", "data.csv", "--device", "cpu"]);
    let first = answers.lines().nth(1).unwrap();
    assert!(first.ends_with(",\"yes, sir\"") && first.parse::<f64>().is_err(), "{answers}");
}

/// Weights overflow at the second row: from the fourth on the mean is not a number. Each mean is
/// still reported once, until the loss at the end is found to have diverged.
#[test]
fn means_that_are_no_numbers_are_told_once() {
    let place = Folder::new();
    place.file("far.svm", "1 1:1e18\n".repeat(64));
    let fit = ["fit", "far.svm", "--device", "cpu", "--optimizer", "sgd", "--learning-rate", "1"];
    let once = ["--batch-size", "1", "--epochs", "1", "--validation", "progressive"];
    let printed = text(&place.run(&[&fit[..], &once].concat()).stderr);
    let rows =
        printed.lines().filter_map(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    assert_eq!(rows.collect::<Vec<_>>(), [1, 2, 4, 8, 16, 32], "{printed}");
}

#[test]
fn held_out_rows_are_scored_and_not_learned_from() {
    let place = Folder::new();
    place.file("rows.svm", two_classes(100));
    let fixed = ["fit", "rows.svm", "--loss", "logistic", "--device", "cpu", "--json"];
    let fit = |extra: &[&str]| json(&place.succeed(&[&fixed[..], extra].concat()));
    let report = fit(&["--test", "0.2", "--validation", "progressive,0.1", "--epochs", "3"]);
    assert_eq!((report["rows"].as_u64(), report["test"]["rows"].as_u64()), (Some(70), Some(20)));
    assert_eq!(report["validation"]["rows"], 10);
    assert_eq!(report["validation"]["loss_history"].as_array().unwrap().len(), 3);
    assert_eq!(report["test"]["accuracy"], 1.0);
    assert!(report["test"]["loss"].as_f64().unwrap() < 0.6);
    assert_eq!(report["test"]["loss"], report["test"]["log_loss"]);
    let progressive = report["progressive_loss"].as_array().unwrap();
    let rows: Vec<u64> = progressive.iter().map(|pair| pair[0].as_u64().unwrap()).collect();
    assert_eq!(rows, [1, 2, 4, 8, 16, 32, 64, 128, 210]);
    // The first row is judged by weights near 0, and a bias of 0.
    let first = progressive[0][1].as_f64().unwrap();
    assert!((first - 2.0_f64.ln()).abs() < 0.1, "{first}");
    // Also reported during the run, unless `--quiet` is given.
    let live = [&fixed[..], &["--validation", "progressive"]].concat();
    let printed = text(&place.run(&live).stderr);
    let rows =
        printed.lines().filter_map(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    assert_eq!(rows.collect::<Vec<_>>(), [1, 2, 4, 8, 16, 32, 64, 128, 200], "{printed}");
    let quiet = text(&place.run(&[&live[..], &["--quiet"]].concat()).stderr);
    assert!(!quiet.contains("mean loss before"), "{quiet}");
    let plain = fit(&["--epochs", "3"]);
    assert!(plain["test"].is_null() && plain["validation"].is_null());
    assert!(plain["progressive_loss"].is_null() && plain["weights"] != report["weights"]);
}

/// Patience is counted from the best epoch; a tenth of the rows is held out by default.
#[test]
fn early_stopping_ends_the_run() {
    let place = Folder::new();
    place.file("rows.svm", two_classes(60));
    let report = json(&place.succeed(&[
        "fit",
        "rows.svm",
        "--loss",
        "logistic",
        "--device",
        "cpu",
        "--epochs",
        "500",
        "--optimizer",
        "sgd",
        "--learning-rate",
        "1e-30",
        "--early-stop=2",
        "--json",
    ]));
    // Nothing is learned at such a rate: the first epoch is the best, and two more pass.
    assert_eq!(
        (report["epochs"].as_u64(), report["epochs_trained"].as_u64()),
        (Some(500), Some(3))
    );
    assert_eq!(report["validation"]["rows"], 6);
}

/// Numbers: a fifth of 2 x + 1 is held out, and scored in the file's units.
#[test]
fn a_regression_is_scored_in_the_files_units() {
    let place = Folder::new();
    let rows: String = (0..50).map(|x| format!("{x},{}\n", 2 * x + 1)).collect();
    place.file("data.csv", rows);
    let fixed = ["fit", "data.csv", "--device", "cpu", "--test", "0.2", "--json"];
    let report = json(&place.succeed(&[&fixed[..], &["--epochs", "300"]].concat()));
    assert_eq!((report["rows"].as_u64(), report["test"]["rows"].as_u64()), (Some(40), Some(10)));
    assert!(report["test"]["r2"].as_f64().unwrap() > 0.9999, "{}", report["test"]);
    assert!(report["test"]["rmse"].as_f64().unwrap() < 0.1, "{}", report["test"]);
    // After so little training, the error is about the deviation of the target, 29.
    let rate = ["--epochs", "1", "--learning-rate", "1e-6"];
    let report = json(&place.succeed(&[&fixed[..], &rate].concat()));
    let rmse = report["test"]["rmse"].as_f64().unwrap();
    assert!((15.0..45.0).contains(&rmse), "{rmse}");
}

#[test]
fn penalties_shrink_the_weights() {
    let place = Folder::new();
    place.file("rows.svm", two_classes(40));
    let weight = |extra: &[&str]| {
        let fixed = ["fit", "rows.svm", "--loss", "logistic", "--device", "cpu", "--json"];
        let report = json(&place.succeed(&[&fixed[..], &["--epochs", "30"], extra].concat()));
        report["weights"][0].as_f64().unwrap()
    };
    let free = weight(&[]);
    assert!(weight(&["--l2", "0.5"]) < 0.8 * free && weight(&["--l1", "0.5"]) < 0.8 * free);
}

/// All that the command refuses, with the place and what to do.
#[test]
fn bad_input() {
    let fails = |content: &str, extra: &[&str], parts: &[&str]| {
        let place = Folder::new();
        place.file("rows.svm", content);
        let arguments = ["fit", "rows.svm", "--device", "cpu", "--save", "model.safetensors"];
        place.fail(2, &[&arguments[..], extra].concat(), parts);
    };
    let logistic = ["--loss", "logistic"];
    for (line, problem) in [
        ("1 a:2", "not a number"),
        ("1 2:1 1:1", "sort"),
        ("1 2:1 2:1", "repeats"),
        ("1 0:1", "start at 1"),
        ("1 -1:1", "negative"),
        ("1 4000000000:1", "above the maximum"),
        ("1 1:x", "not a number"),
        ("1 1:inf", "not finite"),
    ] {
        let content = format!("1 1:1\n{line}\n");
        fails(&content, &[], &["rows.svm, line 2, byte", problem]);
    }
    fails("1 1:1\n2 1:1\n3 1:1\n", &logistic, &["rows.svm, line 3", "third class"]);
    fails("1 1:1\n1 1:1\n", &logistic, &["only class 1"]);
    fails("a,b\n1,0\n2,1\n3,2\n", &logistic, &["rows.svm, line 4, column 2", "third class"]);
    fails("a,b\n1,0\n2,\n", &logistic, &["rows.svm, line 3, column 2", "not a number"]);
    fails("1 1:1\n", &["--standardize", "all"], &["--standardize", "LIBSVM"]);
    fails("1 1:1\n", &["--target", "0"], &["--target 0", "label"]);
    fails("a,b\n1,0\n2,1\n", &[&logistic[..], &["--standardize", "all"]].concat(), &["class"]);
    fails("1 1:1\n", &["--l1=-1"], &["--l1 -1"]);
    fails("1 1:1\n2 1:1\n", &["--test", "0.9"], &["hold out", "leave at least one"]);
    for share in ["0", "1", "x", "-0.5"] {
        fails("1 1:1\n", &["--test", share], &["--test", "between 0 and 1"]);
    }
    fails("1 1:1\n", &["--validation", "all"], &["--validation", "progressive"]);
    Folder::new().fail(2, &["fit", "--loss", "logistic"], &["--loss logistic", "DATA"]);
}

/// The prediction for an empty row is the bias. `--format` overrides the detected format.
#[test]
fn empty_rows_and_forced_formats() {
    let place = Folder::new();
    place.file("rows.svm", "5\n5\n5\n").file("one.svm", "1\n2 1:1\n");
    let fit = ["fit", "one.svm", "--device", "cpu", "--json"];
    assert_eq!(json(&place.succeed(&fit))["features"], 1);
    place.fail(2, &["fit", "rows.svm"], &["only one column"]);
    place.fail(2, &["fit", "rows.svm", "--format", "libsvm"], &["no row has a feature"]);
    place.fail(2, &[&fit[..], &["--format", "delimited"]].concat(), &["one.svm"]);
}
