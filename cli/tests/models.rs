//! Model files that no training wrote: an error with status 2, whatever is wrong with them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::Folder;

/// Replaces a part of the JSON in a model file by another of the same length.
fn damage(place: &Folder, from: &str, to: &str) {
    let mut bytes = place.read("m.safetensors");
    assert_eq!(from.len(), to.len());
    let at = bytes.windows(from.len()).position(|part| part == from.as_bytes());
    let at = at.unwrap_or_else(|| panic!("{from} is not in the model"));
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    place.file("damaged.safetensors", bytes);
}

#[test]
fn contradictions_are_damage() {
    let place = Folder::new();
    place.file("data.csv", "a,b,y\n1,2,10\n2,1,20\n3,5,10\n4,3,20\n").file("new.csv", "1,2,3\n");
    let fit = ["fit", "data.csv", "--device", "cpu", "--save", "m.safetensors"];
    let predict = ["predict", "damaged.safetensors", "new.csv", "--device", "cpu"];
    for (loss, from, to) in [
        ("squared", r#"target_index\":2"#, r#"target_index\":9"#),
        ("squared", r#"[\"a\",\"b\"]"#, r#"[\"a\",\"a\"]"#),
        ("logistic", "[10.0,20.0]", "[10.0,10.0]"),
        ("logistic", "[10.0,20.0]", "[20.0,10.0]"),
        ("logistic", "[10.0,20.0]", "[10.0,9e99]"),
        ("logistic", r#"format\":2"#, r#"format\":1"#),
    ] {
        place.succeed(&[&fit[..], &["--loss", loss]].concat());
        damage(&place, from, to);
        place.fail(2, &predict, &["damaged.safetensors", "the model is damaged"]);
        damage(&place, from, from);
        place.succeed(&predict);
    }
}

#[cfg(unix)]
#[test]
fn a_file_without_end_is_no_model() {
    let place = Folder::new();
    place.file("data.csv", "a,y\n1,2\n2,4\n3,7\n");
    for device in ["/dev/zero", "/dev/urandom"] {
        let begun = std::time::Instant::now();
        place.fail(2, &["predict", device, "data.csv"], &[device, "not a safetensors file"]);
        assert!(begun.elapsed() < std::time::Duration::from_secs(2), "{:?}", begun.elapsed());
    }
    // A model, followed by bytes without end.
    place.succeed(&["fit", "data.csv", "--device", "cpu", "--save", "m.safetensors"]);
    let script = "cat m.safetensors /dev/zero | \"$0\" predict /dev/stdin data.csv";
    let mut shell = std::process::Command::new("sh");
    shell.current_dir(place.directory.path()).args(["-c", script]);
    let output = shell.arg(env!("CARGO_BIN_EXE_wgpu-optim")).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let message = common::text(&output.stderr);
    assert!(message.contains("the model is damaged: it continues after byte"), "{message}");
}
