//! Signals, and what remains of a run that one of them ended.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::{Folder, text};

const PREDICT: &str = "predict m.safetensors rows.csv -o out.csv --device cpu";

/// A folder with a model and the rows to apply it to.
fn folder(rows: usize) -> Folder {
    let place = Folder::new();
    place.file("data.csv", "a,y\n1,2\n2,4\n3,7\n");
    place.succeed(&["fit", "data.csv", "--device", "cpu", "--save", "m.safetensors"]);
    let rows: String = (0..rows).map(|row| format!("{}\n", row % 1000)).collect();
    place.file("rows.csv", format!("a\n{rows}"));
    place
}

/// Starts a shell that runs `before`, for example to set a limit, and then becomes the program.
/// Signals that these tests inherit as ignored, as under `nohup`, are reset to their defaults.
fn start(place: &Folder, before: &str, arguments: &str) -> Child {
    Command::new("env")
        .current_dir(place.directory.path())
        .args([
            "--default-signal",
            "bash",
            "-c",
            &format!("{before}; exec \"$0\" {arguments}"),
            env!("CARGO_BIN_EXE_wgpu-optim"),
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn run(place: &Folder, before: &str, arguments: &str) -> Output {
    start(place, before, arguments).wait_with_output().unwrap()
}

fn send(child: &Child, signal: &str) {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(sent.success(), "{signal}");
}

fn temporary(place: &Folder) -> Vec<String> {
    place.names().into_iter().filter(|name| name.starts_with(".wgpu-optim-")).collect()
}

/// Waits until answers are being written; the file that only tests the path stays empty.
#[track_caller]
fn wait_for_writing(place: &Folder) {
    let begun = Instant::now();
    let grown = |name: &String| {
        std::fs::metadata(place.directory.path().join(name)).is_ok_and(|found| found.len() > 0)
    };
    while !temporary(place).iter().any(grown) {
        assert!(begun.elapsed() < Duration::from_secs(20), "nothing is written");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until the program has installed its handlers. Before that, a signal would kill it.
#[track_caller]
fn wait_for_handlers(child: &Child) {
    let begun = Instant::now();
    let status = format!("/proc/{}/status", child.id());
    let catches = || {
        let status = std::fs::read_to_string(&status).unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or("0");
        u64::from_str_radix(mask.trim(), 16).unwrap() & (1 << 14) != 0 // SIGTERM
    };
    while !catches() && begun.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// At 20 moments from the start to the end of a run.
#[test]
fn a_hangup_leaves_no_temporary_file() {
    let place = folder(300_000);
    let begun = Instant::now();
    assert_eq!(run(&place, "true", PREDICT).status.code(), Some(0));
    let whole = begun.elapsed();
    std::fs::remove_file(place.directory.path().join("out.csv")).unwrap();
    let mut ended = 0;
    for moment in 0..20 {
        let child = start(&place, "true", PREDICT);
        wait_for_handlers(&child);
        std::thread::sleep(whole * moment / 20);
        send(&child, "-HUP");
        let output = child.wait_with_output().unwrap();
        let message = text(&output.stderr);
        match output.status.code() {
            Some(1) => assert!(message.contains("interrupted"), "{message}"),
            status => assert_eq!(status, Some(0), "moment {moment}: {message}"),
        }
        ended += output.status.code().unwrap();
        assert_eq!(temporary(&place), [""; 0], "moment {moment}");
    }
    assert!(ended > 0, "no run was interrupted");
}

#[test]
fn signals_that_end_a_program_leave_no_temporary_file() {
    let place = folder(2_000_000);
    for signal in ["-HUP", "-XCPU"] {
        let child = start(&place, "true", PREDICT);
        wait_for_writing(&place);
        send(&child, signal);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{signal}: {}", text(&output.stderr));
        assert_eq!(temporary(&place), [""; 0], "{signal}");
    }
}

/// As under `nohup`.
#[test]
fn a_hangup_that_is_ignored_stays_ignored() {
    let place = folder(300_000);
    let child = start(&place, "trap '' HUP", PREDICT);
    wait_for_handlers(&child);
    send(&child, "-HUP");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

/// A file that grows beyond `ulimit -f` raises a signal, which by default ends the program.
#[test]
fn a_file_beyond_the_limit_is_an_error() {
    let place = folder(10_000);
    let output = run(&place, "ulimit -f 8", PREDICT);
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(
        message.contains("out.csv: the file is larger than is allowed (ulimit -f)"),
        "{message}"
    );
    assert_eq!(place.names(), ["data.csv", "m.safetensors", "rows.csv"]);
}

/// SIGKILL cannot be caught; the next run that writes the same file cleans up.
#[test]
fn what_a_killed_run_leaves_is_deleted_by_the_next() {
    let place = folder(2_000_000);
    let mut child = start(&place, "true", PREDICT);
    wait_for_writing(&place);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(temporary(&place).len(), 1);
    let other = PREDICT.replace("out.csv", "other.csv");
    assert_eq!(run(&place, "true", &other).status.code(), Some(0));
    assert_eq!(temporary(&place).len(), 1, "it may be of a run that writes out.csv");
    assert_eq!(run(&place, "true", PREDICT).status.code(), Some(0));
    assert_eq!(temporary(&place), [""; 0]);
    assert_eq!(place.read("out.csv"), place.read("other.csv"));
}

#[test]
fn a_run_under_way_keeps_its_temporary_file() {
    let place = folder(2_000_000);
    let child = start(&place, "true", PREDICT);
    wait_for_writing(&place);
    let data = PREDICT.replace("rows.csv", "data.csv");
    assert_eq!(run(&place, "true", &data).status.code(), Some(0));
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&place.read("out.csv")).lines().count(), 2_000_001);
    assert_eq!(temporary(&place), [""; 0]);
}
