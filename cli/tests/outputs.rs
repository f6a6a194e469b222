//! Where predictions go: an open stream is written at its position, and a closed one is an error.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::process::{Command, Output};

use common::{Folder, text};

const DATA: &str = "a,y\n1,2\n2,3\n3,5\n";

/// A folder with data and a model of it.
fn folder() -> Folder {
    let place = Folder::new();
    place.file("data.csv", DATA);
    place.succeed(&["fit", "data.csv", "--device", "cpu", "--save", "m.safetensors"]);
    place
}

/// Runs a script in which `predict` stands for that subcommand with model and data.
fn script(place: &Folder, script: &str) -> Output {
    let program = env!("CARGO_BIN_EXE_wgpu-optim");
    let predict = format!("{program} predict m.safetensors data.csv --device cpu --quiet");
    let script =
        script.replace("predict", &predict).replace("wgpu-optim fit", &format!("{program} fit"));
    let mut shell = Command::new("bash");
    shell.current_dir(place.directory.path()).args(["-c", &script]).output().unwrap()
}

/// What `predict` prints.
fn answers(place: &Folder) -> String {
    let answers = place.succeed(&["predict", "m.safetensors", "data.csv", "--device", "cpu"]);
    assert_eq!(answers.lines().count(), 4, "{answers}");
    answers
}

/// If the file of a stream were replaced, the lines around the predictions would be lost.
#[test]
fn lines_before_and_after_the_answers_stay() {
    let place = folder();
    let answers = answers(&place);
    std::os::unix::fs::symlink("/dev/stdout", place.directory.path().join("link")).unwrap();
    for (name, stream) in [
        ("/dev/stdout", 1),
        ("/dev/fd/1", 1),
        ("/proc/self/fd/1", 1),
        ("link", 1),
        ("./out.csv", 1),
        ("/dev/stderr", 2),
        ("out.csv", 2),
        ("/dev/fd/3", 3),
        ("/proc/self/fd/9", 9),
    ] {
        let scripts = [
            format!(
                "{{ echo HEAD >&{stream}; predict -o {name}; echo TAIL >&{stream}; }} {stream}> out.csv"
            ),
            format!(
                "echo HEAD > out.csv; predict -o {name} {stream}>> out.csv; echo TAIL >> out.csv"
            ),
        ];
        for line in scripts {
            let output = script(&place, &line);
            assert_eq!(output.status.code(), Some(0), "{line}: {}", text(&output.stderr));
            let found = text(&place.read("out.csv"));
            assert_eq!(found, format!("HEAD\n{answers}TAIL\n"), "{line}");
        }
    }
    assert!(std::fs::symlink_metadata(place.directory.path().join("link")).unwrap().is_symlink());
    assert_eq!(place.names(), ["data.csv", "link", "m.safetensors", "out.csv"]);
}

#[test]
fn pipes_are_written_to() {
    let place = folder();
    let answers = answers(&place);
    for line in [
        "mkfifo pipe; cat pipe > out.csv & predict -o pipe; wait; test -p pipe",
        "predict -o /dev/stdout | cat > out.csv",
        "predict -o /dev/fd/3 3> >(cat > out.csv; touch done); until test -e done; do sleep 0.01; done",
    ] {
        let output = script(&place, line);
        assert_eq!(output.status.code(), Some(0), "{line}: {}", text(&output.stderr));
        assert_eq!(text(&place.read("out.csv")), answers, "{line}");
    }
}

/// Rust opens /dev/null for a closed stream, so predictions would be lost with status 0.
#[test]
fn a_closed_standard_output_is_an_error() {
    let place = folder();
    let names = place.names();
    for line in [
        "predict >&-",
        "predict 1< /dev/null",
        "predict -o /dev/stdout >&-",
        "wgpu-optim fit data.csv --device cpu --save new.safetensors >&-",
        "wgpu-optim fit --help >&-",
    ] {
        let output = script(&place, line);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{line}: {message}");
        assert!(message.contains("standard output is closed"), "{line}: {message}");
        assert_eq!(place.names(), names, "{line}");
    }
    // Here the output is discarded on purpose; some programs open /dev/null like the second line.
    for line in ["predict > /dev/null", "predict 1<> /dev/null", "predict -o out.csv >&-"] {
        let output = script(&place, line);
        assert_eq!(output.status.code(), Some(0), "{line}: {}", text(&output.stderr));
    }
    assert_eq!(script(&place, "predict -o /dev/stderr 2>&-").status.code(), Some(1));
}

#[test]
fn what_is_not_open_for_writing_is_refused() {
    let place = folder();
    for (line, part) in [
        ("predict -o /dev/fd/7", "file descriptor 7 cannot be written"),
        ("predict -o /dev/fd/7 7< data.csv", "file descriptor 7 is open for reading only"),
        // The predictions would be appended to the rows.
        ("predict -o /dev/stdout >> data.csv", "is the input"),
        // The model and the table of results would be one file.
        ("wgpu-optim fit data.csv --save /dev/stdout > out", "the result is printed"),
        ("wgpu-optim fit data.csv --save out > out", "the result is printed"),
    ] {
        let output = script(&place, line);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line}: {message}");
        assert!(message.contains(part), "{line}: {message}");
        assert_eq!(text(&place.read("data.csv")), DATA);
    }
}
