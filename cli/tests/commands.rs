//! The other subcommands, and how the program behaves among other programs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and a skipped one says so"
)]

mod common;

use common::{Folder, json, text};

/// The lines that Dive into Deep Learning prints.
#[test]
fn the_textbooks_traces() {
    let place = Folder::new();
    assert_eq!(place.succeed(&["trace"]), "epoch 20, x1: -2.382563, x2: -0.158591\n");
    assert_eq!(
        place.succeed(&["trace", "--learning-rate", "2"]),
        "epoch 20, x1: -0.002295, x2: -0.000000\n"
    );
}

/// The first step of Adagrad is the learning rate times the gradient's sign, apart from epsilon: at
/// 45 degrees the gradient in (-5, -2) is (-6.7, 5.3), so x1 grows and x2 falls by 0.4.
#[test]
fn a_rotated_trace() {
    let place = Folder::new();
    let one = place.succeed(&["trace", "--rotate", "45", "--steps", "1"]);
    assert_eq!(one, "epoch 1, x1: -4.600000, x2: -2.400000\n");
    let none = place.succeed(&["trace", "--rotate", "45", "--steps", "0"]);
    assert_eq!(none, "epoch 0, x1: -5.000000, x2: -2.000000\n");
}

#[test]
fn a_trace_as_json_and_as_a_picture() {
    let place = Folder::new();
    let report = json(&place.succeed(&["trace", "--json", "--plot", "path.svg"]));
    let path = report["path"].as_array().unwrap();
    assert_eq!(path.len(), 21);
    assert_eq!(path[0], serde_json::json!([-5.0, -2.0]));
    assert_eq!(path[20], serde_json::json!([report["x1"], report["x2"]]));
    assert!(text(&place.read("path.svg")).trim_end().ends_with("</svg>"));
}

#[test]
fn the_cpu_engine_is_always_listed() {
    let place = Folder::new();
    let report = json(&place.succeed(&["devices", "--json"]));
    let devices = report["devices"].as_array().unwrap();
    assert!(devices.iter().any(|device| device["kind"] == "cpu"), "{report}");
    assert!(place.succeed(&["devices"]).contains("CPU engine"));
}

#[test]
fn bench_measures_each_size() {
    let place = Folder::new();
    let arguments = ["bench", "--device", "cpu", "--sizes", "1,4096", "--json"];
    let report = json(&place.succeed(&arguments));
    let results = report["results"].as_array().unwrap();
    let sizes: Vec<_> = results.iter().map(|result| result["size"].as_u64().unwrap()).collect();
    assert_eq!(sizes, [1, 4096]);
    for result in results {
        let seconds = result["seconds_per_step"].as_f64().unwrap();
        let rate = result["gigabytes_per_second"].as_f64().unwrap();
        let bytes = 20.0 * result["size"].as_f64().unwrap();
        assert!((rate * seconds * 1e9 / bytes - 1.0).abs() < 1e-9, "{result}");
        let copy = result["copy_gigabytes_per_second"].as_f64().unwrap();
        let share = result["share_of_copy"].as_f64().unwrap();
        assert!(copy > 0.0 && (share * copy / rate - 1.0).abs() < 1e-9, "{result}");
        // The CPU engine has no clock of its own.
        assert!(result["kernel_seconds_per_step"].is_null(), "{result}");
        assert_eq!(result["device"]["kind"], "cpu");
    }
    assert_eq!(report["bytes_per_element"].as_f64(), Some(20.0));
    assert_eq!((&report["optimizer"], &report["precision"]), (&"adagrad".into(), &"native".into()));
    place.fail(2, &["bench", "--sizes", "0"], &["--sizes"]);
    place.fail(2, &["bench", "--sizes", "4096,many"], &["many"]);
}

#[test]
fn bench_measures_a_device_beside_the_cpu_engine() {
    let place = Folder::new();
    let devices = json(&place.succeed(&["devices", "--json"]));
    if devices["devices"].as_array().unwrap().iter().all(|device| device["kind"] == "cpu") {
        eprintln!("SKIPPED: there is no adapter");
        return;
    }
    let arguments = ["bench", "--device", "gpu", "--sizes", "4099", "--precision", "exact"];
    let report = json(&place.succeed(&[&arguments[..], &["--json"]].concat()));
    let results = report["results"].as_array().unwrap();
    let kinds: Vec<_> = results.iter().map(|result| result["device"]["kind"].as_str()).collect();
    assert_eq!(kinds[0], Some("cpu"));
    assert_eq!((kinds.len(), report["precision"].as_str()), (2, Some("exact")));
    assert!(results[1]["copy_gigabytes_per_second"].as_f64().unwrap() > 0.0);
    // Null without a clock on the device; else a time.
    let kernel = &results[1]["kernel_seconds_per_step"];
    assert!(kernel.is_null() || kernel.as_f64().unwrap() > 0.0, "{report}");
}

#[test]
fn bench_draws_a_roofline() {
    let place = Folder::new();
    let arguments = ["bench", "--device", "cpu", "--sizes", "16,4096,256", "--plot", "roof.svg"];
    let table = place.succeed(&arguments);
    assert!(table.contains("copy GB/s") && table.contains('%'), "{table}");
    let picture = text(&place.read("roof.svg"));
    for part in ["elements", "GB/s", "CPU engine", "4Ki", "</svg>"] {
        assert!(picture.contains(part), "{part} is not in the picture");
    }
    // Before anything is measured.
    let extension = ["bench", "--plot", "roof.bmp"];
    place.fail(2, &extension, &["--plot roof.bmp", ".svg or .png"]);
    place.fail(2, &["bench", "--plot", "no/such.svg"], &["no/such.svg", "does not exist"]);
    place.fail(2, &["bench", "--precision", "half"], &["half", "exact"]);
}

#[test]
fn help_shows_an_example_for_each_subcommand() {
    let place = Folder::new();
    for subcommand in
        ["fit", "predict", "compare", "trace", "devices", "bench", "completions", "man"]
    {
        let help = place.succeed(&[subcommand, "-h"]);
        // Not the usage line: the example, which comes last.
        let (_, example) = help.split_once("Example").unwrap();
        assert!(
            example.contains(&format!("  wgpu-optim {subcommand}"))
                || example.contains(&format!("$ wgpu-optim {subcommand}")),
            "{help}"
        );
    }
    place.fail(2, &[], &["Usage"]);
    place.fail(2, &["fly"], &["fly"]);
}

/// Mesa's device selection asks for a compositor, and libwayland complains about a missing
/// directory.
#[test]
fn drivers_do_not_complain_of_a_missing_directory() {
    let place = Folder::new();
    for (name, value) in [("XDG_RUNTIME_DIR", None), ("XDG_RUNTIME_DIR", Some("relative"))] {
        let mut command = place.command(&["devices"]);
        for variable in ["XDG_RUNTIME_DIR", "WAYLAND_DISPLAY", "WAYLAND_SOCKET"] {
            command.env_remove(variable);
        }
        value.map(|value| command.env(name, value));
        let output = command.output().unwrap();
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{message}");
        assert!(!message.contains("XDG_RUNTIME_DIR"), "{message}");
    }
}

/// A loader that finds no driver stands for a machine without any.
#[test]
fn without_any_driver_auto_uses_the_cpu_engine_and_says_so() {
    let place = Folder::new();
    let without = |arguments: &[&str]| {
        let mut command = place.command(arguments);
        for variable in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"] {
            command.env(variable, "/nonexistent/driver.json");
        }
        command.output().unwrap()
    };
    // Elsewhere there are drivers that do not come through a Vulkan loader.
    if cfg!(target_os = "linux") {
        let output = without(&["fit"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains("using the CPU engine"));
        let output = without(&["fit", "--device", "gpu"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("--device cpu"), "{}", text(&output.stderr));
    }
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    /// Starts the program. Signals that these tests inherit as ignored, as in a script's background
    /// jobs, are reset to their defaults.
    fn start(place: &Folder, arguments: &[&str]) -> Child {
        let program = assert_cmd::cargo::cargo_bin("wgpu-optim");
        let mut command =
            Command::new(if cfg!(target_os = "linux") { "env".into() } else { program.clone() });
        if cfg!(target_os = "linux") {
            command.arg("--default-signal").arg(program);
        }
        command
            .current_dir(place.directory.path())
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    #[test]
    fn a_closed_pipe_is_no_failure() {
        let place = Folder::new();
        place.file("data.csv", "a,y\n1,2\n2,4\n3,7\n");
        place.succeed(&["fit", "data.csv", "--device", "cpu", "--save", "m.safetensors"]);
        let rows: String = (0..200_000).map(|row| format!("{row}\n")).collect();
        place.file("rows.csv", format!("a\n{rows}"));
        let runs: [&[&str]; 3] = [
            &["predict", "m.safetensors", "rows.csv", "--device", "cpu"],
            &["fit", "data.csv", "--device", "cpu"],
            &["trace", "--json", "--steps", "100000"],
        ];
        for arguments in runs {
            let mut child = start(&place, arguments);
            drop(child.stdout.take()); // the reader goes away before anything is written
            let output = child.wait_with_output().unwrap();
            assert_eq!(text(&output.stderr), "", "{arguments:?}");
            assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        }
    }

    #[test]
    fn a_full_disk_is_a_failure() {
        if !std::path::Path::new("/dev/full").exists() {
            eprintln!("SKIPPED: this system has no /dev/full");
            return;
        }
        let place = Folder::new();
        for arguments in [&["trace"][..], &["fit", "-h"], &["--version"]] {
            full_disk(&place, arguments);
        }
    }

    fn full_disk(place: &Folder, arguments: &[&str]) {
        let full = std::fs::File::create("/dev/full").unwrap();
        let output = Command::new(assert_cmd::cargo::cargo_bin("wgpu-optim"))
            .current_dir(place.directory.path())
            .args(arguments)
            .stdout(full)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("standard output"), "{}", text(&output.stderr));
    }

    /// A pipe is written to, and not replaced by a file.
    #[test]
    fn pipes_are_written_to() {
        let place = Folder::new();
        place.file("data.csv", "a,y\n1,2\n2,4\n3,7\n");
        let pipe = place.directory.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let reader = Command::new("cat").arg(&pipe).stdout(Stdio::piped()).spawn().unwrap();
        place.succeed(&["fit", "data.csv", "--device", "cpu", "--save", "pipe"]);
        let model = reader.wait_with_output().unwrap().stdout;
        place.succeed(&["fit", "data.csv", "--device", "cpu", "--save", "file"]);
        assert_eq!(model, place.read("file"));
        assert_eq!(place.names(), ["data.csv", "file", "pipe"]);
    }

    #[test]
    fn an_interrupt_stops_a_run_within_a_second_and_writes_nothing() {
        let place = Folder::new();
        let arguments = [
            "fit",
            "--device",
            "cpu",
            "--epochs",
            "1000000",
            "--plot",
            "loss.svg",
            "--save",
            "model.safetensors",
            "--json",
        ];
        let output = stopped(start(&place, &arguments), "-INT");
        assert_eq!(text(&output.stdout), "");
        assert!(place.names().is_empty(), "{:?}", place.names());
    }

    /// Sends the signal to a running child, and expects it to end within a second and to say why.
    fn stopped(mut child: Child, signal: &str) -> std::process::Output {
        std::thread::sleep(Duration::from_millis(700));
        assert!(child.try_wait().unwrap().is_none(), "the run is too short to be interrupted");
        let sent = Instant::now();
        let id = child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
        while child.try_wait().unwrap().is_none() && sent.elapsed() < Duration::from_secs(10) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let taken = sent.elapsed();
        let _ = child.kill(); // one that ignores the signal would block the tests
        let output = child.wait_with_output().unwrap();
        assert!(taken < Duration::from_secs(1), "{taken:?}");
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("interrupted"), "{}", text(&output.stderr));
        output
    }

    /// A pipe that nobody fills, and one that nobody empties: no loop can check a flag there.
    #[test]
    fn an_interrupt_stops_what_waits_for_others() {
        let place = Folder::new();
        place.file("data.csv", "a,y\n1,2\n2,4\n3,7\n");
        place.succeed(&["fit", "data.csv", "--device", "cpu", "--save", "m.safetensors"]);
        let pipe = place.directory.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let names = place.names();
        for signal in ["-INT", "-TERM"] {
            stopped(start(&place, &["fit", "pipe", "--save", "new.safetensors"]), signal);
            let trace = ["trace", "--steps", "1000000", "--json"];
            stopped(start(&place, &trace), signal);
            let predict = ["predict", "m.safetensors", "pipe", "-o", "out.csv", "--device", "cpu"];
            stopped(start(&place, &predict), signal);
        }
        assert_eq!(place.names(), names);
    }

    /// Whether a temporary file has begun to grow; the one that only tests the path never does.
    fn is_writing(place: &Folder) -> bool {
        std::fs::read_dir(place.directory.path()).unwrap().flatten().any(|entry| {
            let temporary = entry.file_name().to_string_lossy().starts_with(".wgpu-optim-");
            temporary && entry.metadata().is_ok_and(|found| found.len() > 0)
        })
    }

    /// Stopped in the middle of writing, by either signal, it leaves no temporary file.
    #[test]
    fn an_interrupt_while_answers_are_written_leaves_nothing() {
        let place = Folder::new();
        place.file("data.csv", "a,y\n1,2\n2,4\n3,7\n");
        place.succeed(&["fit", "data.csv", "--device", "cpu", "--save", "m.safetensors"]);
        let rows: String = (0..6_000_000).map(|row| format!("{}\n", row % 1000)).collect();
        place.file("rows.csv", format!("a\n{rows}"));
        let names = place.names();
        let predict = ["predict", "m.safetensors", "rows.csv", "-o", "out.csv", "--device", "cpu"];
        for signal in ["-INT", "-TERM"] {
            let child = start(&place, &predict);
            let begun = Instant::now();
            while !is_writing(&place) && begun.elapsed() < Duration::from_secs(20) {
                std::thread::sleep(Duration::from_millis(1));
            }
            let id = child.id().to_string();
            assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
            let output = child.wait_with_output().unwrap();
            assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
            assert_eq!(place.names(), names);
        }
    }
}
