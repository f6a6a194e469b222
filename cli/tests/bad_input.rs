//! Bad input: a clear message, the right exit status, and nothing lost or half-written.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and a skipped one says so"
)]

mod common;

use common::{Folder, text};

/// `fit` on a file of this content, asking for every output, on the CPU engine.
#[track_caller]
fn fit_fails(content: &[u8], extra: &[&str], parts: &[&str]) {
    let place = Folder::new();
    place.file("data.csv", content);
    let mut arguments = vec!["fit", "data.csv", "--device", "cpu"];
    arguments.extend(["--plot", "loss.svg", "--save", "model.safetensors"]);
    arguments.extend(extra);
    place.fail(2, &arguments, parts);
}

const GOOD: &[u8] = b"a,b,y\n1,2,3\n2,1,4\n3,5,5\n4,3,6\n";

#[test]
fn missing_file() {
    Folder::new().fail(2, &["fit", "no.csv"], &["no.csv", "no such file"]);
    Folder::new().fail(2, &["fit", "."], &["is a directory"]);
}

#[test]
fn empty_file() {
    fit_fails(b"", &[], &["data.csv", "empty"]);
    fit_fails(b"\n \r\n", &[], &["data.csv", "empty"]);
}

#[test]
fn header_only() {
    fit_fails(b"a,b,y\n", &[], &["data.csv", "header", "no row"]);
}

#[test]
fn ragged_row() {
    fit_fails(b"a,b,y\n1,2,3\n\n4,5\n", &[], &["data.csv, line 4", "2 columns", "has 3"]);
}

#[test]
fn wrong_numbers() {
    let place = ["data.csv, line 3", "column 2 (b)"];
    for (wrong, problem) in [
        ("oops", "not a number"),
        ("NaN", "missing value"),
        ("inf", "infinite"),
        ("", "not a number"),
    ] {
        let content = format!("a,b,y\n1,2,3\n4,{wrong},6\n");
        let quoted = format!("{wrong:?}");
        fit_fails(content.as_bytes(), &[], &[place[0], place[1], &quoted, problem]);
    }
}

/// This was once read as the number 23.
#[test]
fn text_behind_a_closing_quotation_mark() {
    let place = ["data.csv, line 3, column 2", r#""\"2\"3""#, "quotation mark"];
    fit_fails(b"a,b,y\n1,2,3\n4,\"2\"3,6\n", &[], &place);
    fit_fails(b"a b y\n1 2 3\n4 \"2\"3 6\n", &[], &place);
    fit_fails(b"\"a\"b,c\n1,2\n", &[], &["data.csv, line 1, column 1", "quotation mark"]);
    // A line with an error of its own comes first.
    fit_fails(b"a,b\n1,x\n\"2\"3,6\n", &[], &["data.csv, line 2, column 2"]);
    let well = Folder::new();
    well.file("data.csv", "\"a\",b\n\"1\" ,2\n2,\"3\"\r\n\"4\",\"5\"\n");
    well.succeed(&["fit", "data.csv", "--device", "cpu"]);
}

#[test]
fn one_column() {
    fit_fails(b"y\n1\n2\n", &[], &["only one column", "\"y\""]);
}

#[test]
fn unknown_target() {
    fit_fails(GOOD, &["--target", "z"], &["--target z", "a, b, y", "0 to 2"]);
    fit_fails(GOOD, &["--target", "3"], &["--target 3", "a, b, y"]);
    Folder::new().fail(2, &["fit", "--target", "y"], &["DATA"]);
    Folder::new().fail(2, &["fit", "--format", "libsvm"], &["DATA"]);
    Folder::new().fail(2, &["compare", "--format", "libsvm"], &["DATA"]);
}

#[test]
fn rows_out_of_range() {
    fit_fails(GOOD, &["--rows", "0"], &["--rows 0", "from 1 to 4"]);
    fit_fails(GOOD, &["--rows", "5"], &["--rows 5", "only 4 rows"]);
}

#[test]
fn settings_of_zero() {
    fit_fails(GOOD, &["--batch-size", "0"], &["--batch-size", "at least 1"]);
    fit_fails(GOOD, &["--epochs", "0"], &["--epochs", "0"]);
}

#[test]
fn hyper_parameters() {
    for wrong in ["nan", "inf", "-inf", "-0.1"] {
        fit_fails(GOOD, &["--learning-rate", wrong], &["--learning-rate is", "finite"]);
        fit_fails(GOOD, &["--epsilon", wrong], &["--epsilon is", "finite"]);
        Folder::new().fail(2, &["trace", "--learning-rate", wrong], &["--learning-rate is"]);
    }
    fit_fails(GOOD, &["--learning-rate", "1e39"], &["1e39", "3.4e38"]);
    for small in ["1e-50", "1e-400"] {
        fit_fails(GOOD, &["--learning-rate", small], &[small, "1.4e-45"]);
    }
    fit_fails(GOOD, &["--learning-rate", "fast"], &["--learning-rate", "fast"]);
}

#[test]
fn rules_options_and_schedules() {
    let sgd = |rest: &[&'static str], expected: &[&str]| {
        fit_fails(GOOD, &[&["--optimizer", "sgd"], rest].concat(), expected);
    };
    fit_fails(GOOD, &["--optimizer", "adagard"], &["adagard", "adagrad", "adamw"]);
    sgd(&["--epsilon", "1e-3"], &["--epsilon", "sgd has no epsilon"]);
    sgd(&["-O", "momentun=1"], &["no option momentun", "momentum, dampening"]);
    sgd(&["-O", "momentum"], &["NAME=VALUE"]);
    sgd(&["-O", "momentum=much"], &["--option momentum=much", "give a number"]);
    sgd(&["-O", "momentum=-1"], &["--option momentum is -1", "at least 0"]);
    sgd(&["--learning-rate", "1", "-O", "learning_rate=2"], &["--learning-rate sets this too"]);
    fit_fails(GOOD, &["--epsilon", "1", "-O", "epsilon=2"], &["--epsilon sets this too"]);
    sgd(&["-O", "nesterov=true"], &["nesterov needs a momentum above 0"]);
    fit_fails(GOOD, &["--optimizer", "adam", "-O", "beta2=1"], &["beta2 is 1", "below 1"]);
    fit_fails(GOOD, &["--schedule", "cosinus:3"], &["cosinus:3", "cosine:STEPS"]);
    fit_fails(GOOD, &["--schedule", "cosine:0"], &["cosine", "steps 0"]);
}

/// A value with a minus sign is a wrong value, not another option.
#[test]
fn negative_numbers() {
    let settings = ["--rows", "--batch-size", "--seed", "--epochs"];
    for setting in settings {
        fit_fails(GOOD, &[setting, "-3"], &[setting, "-3"]);
    }
    fit_fails(GOOD, &["--target", "-1"], &["--target -1", "a, b, y"]);
    Folder::new().fail(2, &["trace", "--steps", "-3"], &["--steps", "'-3'"]);
}

#[test]
fn a_device_without_a_name() {
    for name in ["", " "] {
        Folder::new().fail(2, &["fit", "--device", name], &["--device", "auto, cpu, gpu"]);
    }
}

#[test]
fn unknown_device() {
    let place = Folder::new();
    place.file("data.csv", GOOD);
    let arguments = ["fit", "data.csv", "--device", "no such adapter"];
    place.fail(2, &arguments, &["no such adapter", "auto, cpu, gpu"]);
}

#[test]
fn other_picture_formats() {
    let place = Folder::new();
    for plot in ["loss.jpg", "loss", "svg"] {
        place.fail(2, &["fit", "--plot", plot], &[plot, ".svg or .png"]);
        place.fail(2, &["trace", "--plot", plot], &[plot, ".svg or .png"]);
    }
}

/// The data has an error too: the path is checked first, before any work.
#[test]
fn outputs_that_cannot_be_written_are_found_before_training() {
    let place = Folder::new();
    place.file("data.csv", "a,b\n1,oops\n");
    for option in ["--plot", "--save"] {
        let arguments = ["fit", "data.csv", option, "no/such/directory.svg"];
        place.fail(2, &arguments, &["no/such/directory.svg", "does not exist"]);
        let arguments = ["fit", "data.csv", option, "data.csv/loss.svg"];
        place.fail(2, &arguments, &["data.csv/loss.svg"]);
    }
    place.fail(2, &["fit", "data.csv", "--save", "."], &["directory"]);
    place.fail(2, &["fit", "data.csv", "--plot", "a.svg", "--save", "a.svg"], &["same file"]);
    place.fail(2, &["predict", "m", "data.csv", "-o", "no/a.csv"], &["no/a.csv"]);
}

#[test]
fn names_that_no_file_can_have_are_found_before_training() {
    let place = Folder::new();
    place.file("data.csv", "a,b\n1,oops\n");
    let long = format!("{}.svg", "x".repeat(300));
    for option in ["--plot", "--save"] {
        place.fail(2, &["fit", "data.csv", option, "loss.svg/"], &["loss.svg/", "directory"]);
        place.fail(2, &["fit", "data.csv", option, &long], &["length"]);
    }
}

/// Otherwise the picture would replace the model.
#[test]
fn two_names_of_one_file_are_found() {
    let place = Folder::new();
    place.file("data.csv", GOOD);
    let fails = |plot: &str, model: &str| {
        let arguments = ["fit", "data.csv", "--device", "cpu", "--plot", plot, "--save", model];
        place.fail(2, &arguments, &["same file"]);
    };
    fails("x.svg", "./x.svg");
    place.file("there.svg", "");
    fails("there.svg", "./there.svg");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("x.svg", place.directory.path().join("link.svg")).unwrap();
        fails("x.svg", "link.svg");
        fails("link.svg", "x.svg");
    }
}

/// Training has finished: its result is printed, and the other file is written.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_does_not_cost_the_result() {
    let place = Folder::new();
    place.file("data.csv", GOOD);
    std::os::unix::fs::symlink("/dev/full", place.directory.path().join("full.png")).unwrap();
    for (full, other) in [
        (["--save", "/dev/full"], ["--plot", "a.svg"]),
        (["--plot", "full.png"], ["--save", "m.safetensors"]),
    ] {
        let fit = ["fit", "data.csv", "--device", "cpu", "--json", "--quiet"];
        let output = place.run(&[&fit[..], &full, &other].concat());
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains(&format!("{}: no space left", full[1])), "{message}");
        assert!(message.contains(&format!("{} was written", other[1])), "{message}");
        assert!(common::json(&text(&output.stdout))["loss"].is_f64());
        assert!(!place.read(other[1]).is_empty());
    }
}

/// 3e38 divided by a deviation of 0.5 overflows f32.
#[test]
fn answers_that_are_no_numbers() {
    let place = Folder::new();
    place.file("data.csv", "a,y\n0,1\n1,2\n").file("new.csv", "a\n1\n3e38\n");
    place.succeed(&["fit", "data.csv", "--device", "cpu", "--save", "m.safetensors"]);
    let arguments = ["predict", "m.safetensors", "new.csv", "--device", "cpu", "-o", "out.csv"];
    place.fail(2, &arguments, &["new.csv: row 2", "m.safetensors"]);
}

/// Columns that the model does not use may have any names.
#[test]
fn same_names_matter_where_they_are_used() {
    let place = Folder::new();
    place.file("data.csv", GOOD).file("twice.csv", "a,z,b,z\n1,2,3,4\n");
    place.file("ambiguous.csv", "a,b,b\n1,2,3\n");
    place.succeed(&["fit", "data.csv", "--device", "cpu", "--save", "m.safetensors"]);
    place.succeed(&["predict", "m.safetensors", "twice.csv", "--device", "cpu"]);
    let arguments = ["predict", "m.safetensors", "ambiguous.csv", "--device", "cpu"];
    place.fail(2, &arguments, &["columns 2 and 3", "\"b\""]);
    place.fail(2, &["fit", "twice.csv", "--device", "cpu"], &["columns 2 and 4", "\"z\""]);
}

/// Comparing each name with all others would take seconds. All columns share one warning.
#[test]
fn wide_tables_are_looked_through_at_once() {
    let place = Folder::new();
    let header = (0..60_000).map(|index| format!("c{index}")).collect::<Vec<_>>().join(",");
    let row = vec!["1"; 60_000].join(",");
    place.file("wide.csv", format!("{header}\n{row}\n{row}\n"));
    let start = std::time::Instant::now();
    let output = place.run(&["fit", "wide.csv", "--device", "cpu", "--json"]);
    assert!(start.elapsed() < std::time::Duration::from_secs(5), "{:?}", start.elapsed());
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{message}");
    assert!(message.contains("59999 columns are constant") && message.lines().count() < 5);
}

#[test]
fn names_do_not_steer_the_terminal() {
    let place = Folder::new();
    place.file("data.csv", "\x1b[31ma,y\n1,2\n2,3\n");
    let output = place.succeed(&["fit", "data.csv", "--device", "cpu"]);
    assert!(!output.contains('\x1b') && output.contains("u{1b}"), "{output}");
}

#[test]
fn the_input_is_never_overwritten() {
    let place = Folder::new();
    place.file("data.csv", GOOD);
    place.fail(2, &["fit", "data.csv", "--save", "./data.csv"], &["is the input"]);
    assert_eq!(place.read("data.csv"), GOOD);
}

/// Without standardization, the first step at this rate moves the weight to about 1e30 and the
/// predictions to 1e36, whose squares overflow f32.
#[test]
fn a_diverging_run() {
    let place = Folder::new();
    // 200 rows: the first epoch has a sample of the loss in its middle.
    place.file("data.csv", format!("a,y\n{}", "1e6,1\n-1e6,2\n2e6,1\n-2e6,2\n".repeat(50)));
    let arguments = [
        "fit",
        "data.csv",
        "--device",
        "cpu",
        "--standardize",
        "none",
        "--learning-rate",
        "1e30",
        "--plot",
        "loss.svg",
        "--save",
        "model.safetensors",
        "--json",
    ];
    place.fail(1, &arguments, &["diverged", "epoch 1", "learning rate may be too high"]);
}

#[test]
fn a_constant_column_is_a_warning() {
    let place = Folder::new();
    place.file("data.csv", "a,b,y\n1,7,3\n2,7,4\n3,7,6\n");
    let output = place.run(&["fit", "data.csv", "--device", "cpu", "--json"]);
    assert_eq!(output.status.code(), Some(0));
    let message = text(&output.stderr);
    assert!(message.contains("warning") && message.contains("\"b\" is constant"), "{message}");
    let report = common::json(&text(&output.stdout));
    assert!(report["least_squares_loss"].is_f64());
}

/// Not an error: a batch larger than the data is all of the data.
#[test]
fn a_batch_larger_than_the_data() {
    let place = Folder::new();
    place.file("data.csv", GOOD);
    let fit = |batch| {
        let arguments = ["fit", "data.csv", "--device", "cpu", "--json", "--batch-size", batch];
        common::json(&place.succeed(&arguments))["weights_bits"].clone()
    };
    assert_eq!(fit("1000000"), fit("4"));
    assert_ne!(fit("1"), fit("4"));
}

#[test]
fn unusable_models() {
    let place = Folder::new();
    place.file("data.csv", GOOD).file("not.safetensors", GOOD).file("empty.safetensors", "");
    place.succeed(&["fit", "data.csv", "--device", "cpu", "--save", "m.safetensors"]);
    let model = place.read("m.safetensors");
    place.file("cut.safetensors", &model[..model.len() - 1]);
    place.file("short.safetensors", &model[..40]);
    place.file("other.csv", "a,c\n1,2\n").file("three.csv", "1,2,3,4\n").file("one.csv", "1\n2\n");
    let predict = |model, data, parts: &[&str]| {
        place.fail(2, &["predict", model, data, "-o", "out.csv", "--device", "cpu"], parts);
    };
    predict("no.safetensors", "data.csv", &["no.safetensors", "no such file"]);
    predict("not.safetensors", "data.csv", &["not.safetensors", "not a safetensors file"]);
    predict("empty.safetensors", "data.csv", &["empty.safetensors", "is empty"]);
    predict("cut.safetensors", "data.csv", &["cut.safetensors", "truncated"]);
    predict("short.safetensors", "data.csv", &["short.safetensors", "truncated"]);
    predict("m.safetensors", "other.csv", &["other.csv", "missing here: b", "there are: a, c"]);
    predict("m.safetensors", "three.csv", &["three.csv", "needs 2 columns", "not 4", "a, b"]);
    predict("m.safetensors", "one.csv", &["one.csv", "needs 2 columns", "not 1"]);
}
