//! Too little memory and too few threads: an error that says how much is needed, and never an abort.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::process::{Command, Output};

use common::{Folder, text};

/// Runs the program with `kibibytes` KiB of address space; `input` is a command whose output it
/// reads.
fn limited(place: &Folder, kibibytes: u32, arguments: &str, input: &str) -> Output {
    let script = format!(
        "{input} 2>/dev/null | (ulimit -v {kibibytes}; exec \"$0\" {arguments} --device cpu --quiet)"
    );
    let mut shell = Command::new("bash");
    shell.current_dir(place.directory.path()).env("RAYON_NUM_THREADS", "2");
    shell.args(["-c", &script, env!("CARGO_BIN_EXE_wgpu-optim")]).output().unwrap()
}

/// Expects status 1 and a message of one line that says how much was needed.
#[track_caller]
fn assert_too_little(output: &Output, run: &str) {
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{run}: {message}");
    assert!(message.starts_with("error: ") && message.lines().count() == 1, "{run}: {message}");
    let amount = message.contains(|character: char| character.is_ascii_digit());
    assert!(message.contains("memory") && amount, "{run}: {message}");
    assert_eq!(text(&output.stdout), "", "{run}");
}

#[test]
fn an_index_near_the_largest() {
    let place = Folder::new();
    place.file("rows.svm", "1 1:1 268435450:2\n0 2:1\n");
    for kibibytes in [500_000, 1_000_000, 2_000_000] {
        let output = limited(&place, kibibytes, "fit rows.svm", "true");
        assert_too_little(&output, &format!("{kibibytes} KiB"));
    }
}

/// Wherever memory runs out: while reading, splitting, scoring or reporting.
#[test]
fn a_table_and_its_held_out_rows() {
    let place = Folder::new();
    let rows: String = (0..1_000_000).map(|i| format!("{},{},{}\n", i % 7, i % 5, i % 3)).collect();
    place.file("rows.csv", rows);
    let rows: String = (0..1_000_000).map(|i| format!("{},{}\n", i % 7, i % 2)).collect();
    place.file("classes.csv", rows);
    let mut done = 0;
    for arguments in [
        "fit rows.csv",
        "fit rows.csv --test 0.3",
        "fit rows.csv --test 0.3 --validation 0.2",
        "fit classes.csv --loss logistic --test 0.9",
        "compare rows.csv --epochs 1 --optimizers adagrad --learning-rates 0.1",
    ] {
        for kibibytes in (28_000..68_000).step_by(4_000) {
            let output = limited(&place, kibibytes, arguments, "true");
            match output.status.code() {
                Some(0) => done += 1,
                _ => assert_too_little(&output, &format!("{arguments} in {kibibytes} KiB")),
            }
        }
    }
    assert!((1..50).contains(&done), "{done} of 50 runs had enough memory");
}

#[test]
fn a_model_and_its_answers() {
    let place = Folder::new();
    place.file("rows.svm", "1 1:1 2000000:2\n0 2:1\n");
    place.succeed(&["fit", "rows.svm", "--device", "cpu", "--save", "m.safetensors"]);
    let mut done = 0;
    for kibibytes in (28_000..68_000).step_by(4_000) {
        let output = limited(&place, kibibytes, "predict m.safetensors rows.svm", "true");
        match output.status.code() {
            Some(0) => done += 1,
            _ => assert_too_little(&output, &format!("{kibibytes} KiB")),
        }
    }
    assert!((1..10).contains(&done), "{done} of 10 runs had enough memory");
}

/// Every weight of every rule, as text.
#[test]
fn the_weights_of_a_comparison() {
    let place = Folder::new();
    let row = |i: u32| format!("{} {}:1 2000000:2\n", i % 2, 1 + i % 9);
    place.file("rows.svm", (0..40).map(row).collect::<String>());
    let rules = "adagrad,sgd,rmsprop:smoothing=0.9,adam";
    let arguments =
        format!("compare rows.svm --json --epochs 1 --optimizers {rules} --learning-rates 0.1,0.2");
    let mut done = 0;
    for kibibytes in [100_000, 200_000, 300_000, 400_000, 600_000, 900_000, 1_500_000] {
        let output = limited(&place, kibibytes, &arguments, "true");
        match output.status.code() {
            Some(0) => done += 1,
            _ => assert_too_little(&output, &format!("{kibibytes} KiB")),
        }
    }
    assert!((1..7).contains(&done), "{done} of 7 runs had enough memory");
}

#[test]
fn pipes_without_end() {
    let place = Folder::new();
    for (input, format) in [
        ("yes 1,2", "delimited"),
        ("yes 1 1:2 3:4", "libsvm"),
        ("yes 1, | tr -d '\\n'", "delimited"),
        ("(printf '1,2\\n3,\"'; yes 4)", "delimited"),
        ("(echo 1 1:2; yes 1:2 | tr '\\n' ' ')", "libsvm"),
    ] {
        let arguments = format!("fit /dev/stdin --format {format}");
        assert_too_little(&limited(&place, 200_000, &arguments, input), input);
    }
}

/// The stacks of all threads do not fit. One thread computes the same result.
#[test]
fn without_threads_one_does_the_work() {
    let place = Folder::new();
    place.file("rows.csv", (0..5000).map(|i| format!("{i},{}\n", i * i % 17)).collect::<String>());
    let run = |limit: &str| {
        let script = format!("{limit}; exec \"$0\" fit rows.csv --device cpu --json");
        let mut shell = Command::new("bash");
        shell.current_dir(place.directory.path()).env("RAYON_NUM_THREADS", "4000");
        let output =
            shell.args(["-c", &script, env!("CARGO_BIN_EXE_wgpu-optim")]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let report = common::json(&text(&output.stdout));
        (report["weights_bits"].clone(), text(&output.stderr))
    };
    let (bits, message) = run("ulimit -v 500000");
    assert!(message.contains("no threads could be started"), "{message}");
    assert_eq!(run("export RAYON_NUM_THREADS=2"), (bits, String::new()));
}
