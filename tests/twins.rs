//! The headers of WGSL files: what they name as their twin or mirror, a function or struct in a Rust file,
//! must be there.
//!
//! A header is the comment at the beginning of a file. In it, each ``Twin: `X` in FILE`` or
//! ``Mirror: `X` in FILE`` names an item, `Type::item` one of a type; FILE is a path from the root.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

/// The names and files that a header refers to.
fn references(text: &str) -> Vec<(String, String)> {
    let comments = text.lines().take_while(|line| line.starts_with("//"));
    let header: Vec<_> = comments.map(|line| line.trim_start_matches('/').trim()).collect();
    let header = header.join(" ");
    let mut found = Vec::new();
    for word in ["Twin: ", "Mirror: "] {
        for reference in header.split(word).skip(1) {
            let (name, rest) = reference
                .strip_prefix('`')
                .and_then(|rest| rest.split_once("` in "))
                .unwrap_or_else(|| panic!("write `X` in FILE behind {word}: {reference}"));
            let file = rest.split([' ', ',', ';']).next().unwrap().trim_end_matches(['.', ':']);
            found.push((name.to_owned(), file.to_owned()));
        }
    }
    found
}

/// Whether Rust text declares the item: a function, a type, a variant; of `A::b`, both.
fn declares(text: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    name.split("::").all(|part| {
        text.lines().map(str::trim_start).filter(|line| !line.starts_with("//")).any(|line| {
            let variant =
                line.strip_prefix(part).is_some_and(|rest| rest.starts_with([',', '(', ' ']));
            let item =
                ["fn ", "struct ", "enum ", "trait ", "const ", "static "].iter().any(|kind| {
                    line.split_once(&format!("{kind}{part}"))
                        .is_some_and(|(_, rest)| !rest.starts_with(is_word))
                });
            variant || item
        })
    })
}

fn wgsl_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            wgsl_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "wgsl") {
            found.push(path);
        }
    }
}

#[test]
fn what_a_header_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    wgsl_files(&root.join("shaders"), &mut files);
    let mut count = 0;
    for wgsl in files {
        let text = fs::read_to_string(&wgsl).unwrap();
        let path = wgsl.strip_prefix(root).unwrap().display().to_string().replace('\\', "/");
        assert!(text.starts_with("// "), "{path} has no header");
        let references = references(&text);
        let is_rule = path.starts_with("shaders/rules/");
        assert!(!is_rule || !references.is_empty(), "{path}: a rule has a twin");
        for (name, file) in references {
            count += 1;
            let rust = fs::read_to_string(root.join(&file));
            let rust = rust.unwrap_or_else(|error| panic!("{path} names {file}: {error}"));
            assert!(declares(&rust, &name), "{path} names `{name}`, which is not in {file}");
        }
    }
    assert!(count >= 30, "only {count} references were found");
}

#[test]
fn a_reference_is_read_across_lines_and_an_item_is_a_whole_word() {
    let text = "// Sums. Twin: `A::add` in\n// src/a.rs. Mirror: `B` in src/b.rs, which\n// is it.\n\nTwin: x";
    let of = |name: &str, file: &str| (name.to_owned(), file.to_owned());
    assert_eq!(references(text), [of("A::add", "src/a.rs"), of("B", "src/b.rs")]);
    let rust = "pub struct A {}\nimpl A {\n    pub(super) fn add(self) {}\n}\n// fn gone()\n";
    assert!(declares(rust, "A::add"));
    assert!(!declares(rust, "A::ad") && !declares(rust, "gone") && !declares(rust, "B::add"));
}
