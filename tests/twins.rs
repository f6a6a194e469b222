//! References between files: the twins and mirrors that WGSL headers name exist, and the tables of
//! CONTRIBUTING.md name every test file.
//!
//! A header is the comment at the start of a WGSL file. Each ``Twin: `X` in FILE`` or
//! ``Mirror: `X` in FILE`` in it names a Rust item, or `Type::item`; FILE is a path from the root.
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
                .unwrap_or_else(|| panic!("write `X` in FILE after {word}: {reference}"));
            let file = rest.split([' ', ',', ';']).next().unwrap().trim_end_matches(['.', ':']);
            found.push((name.to_owned(), file.to_owned()));
        }
    }
    found
}

/// Whether Rust text declares the item: a function, a type or a variant. For `A::b`, whether it
/// declares both.
fn declares(text: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    name.split("::").all(|part| {
        text.lines().map(str::trim_start).filter(|line| !line.starts_with("//")).any(|line| {
            let variant = part.starts_with(char::is_uppercase)
                && line.strip_prefix(part).is_some_and(|rest| rest.starts_with([',', '(', ' ']));
            let item =
                ["fn ", "struct ", "enum ", "trait ", "const ", "static "].iter().any(|kind| {
                    line.split_once(&format!("{kind}{part}"))
                        .is_some_and(|(_, rest)| !rest.starts_with(is_word))
                });
            variant || item
        })
    })
}

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Adds the files below `folder` that have this extension.
fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
}

/// A path from the root, with `/` on every system.
fn from_root(path: &Path) -> String {
    path.strip_prefix(ROOT).unwrap().display().to_string().replace('\\', "/")
}

/// The files in the tables of CONTRIBUTING.md. A heading that is a folder in backticks starts a
/// list; a row starts with a file in backticks.
fn listed(contributing: &str) -> Vec<String> {
    let mut folder = None;
    let mut found = Vec::new();
    for line in contributing.lines() {
        if line.starts_with('#') {
            folder = line.strip_prefix("### `").and_then(|rest| rest.strip_suffix('`'));
        } else if let (Some(folder), Some(row)) = (folder, line.strip_prefix("| `")) {
            let (file, _) = row.split_once('`').unwrap_or_else(|| panic!("{line}"));
            found.push(format!("{folder}{file}"));
        }
    }
    found
}

#[test]
fn contributing_lists_every_test_file_and_no_other() {
    let root = Path::new(ROOT);
    let mut there = Vec::new();
    for folder in ["tests", "cli/tests", "burn/tests"] {
        files(&root.join(folder), "rs", &mut there);
    }
    let there: Vec<_> = there.iter().map(|path| from_root(path)).collect();
    let listed = listed(&fs::read_to_string(root.join("CONTRIBUTING.md")).unwrap());
    let missing: Vec<_> = there.iter().filter(|file| !listed.contains(file)).collect();
    let gone: Vec<_> = listed.iter().filter(|file| !there.contains(file)).collect();
    assert!(missing.is_empty(), "add to the tables of CONTRIBUTING.md: {missing:?}");
    assert!(gone.is_empty(), "remove from the tables of CONTRIBUTING.md: {gone:?}");
}

#[test]
fn a_table_belongs_to_the_folder_in_the_heading_above_it() {
    let text = "### `a/`\n| file | x |\n|---|---|\n| `b.rs` | y |\n### Other\n| `c.rs` | z |";
    assert_eq!(listed(text), ["a/b.rs"]);
}

#[test]
fn items_that_a_header_names_exist() {
    let root = Path::new(ROOT);
    let mut shaders = Vec::new();
    files(&root.join("shaders"), "wgsl", &mut shaders);
    let mut count = 0;
    for wgsl in shaders {
        let text = fs::read_to_string(&wgsl).unwrap();
        let path = from_root(&wgsl);
        assert!(text.starts_with("// "), "{path} has no header");
        let references = references(&text);
        let is_rule = path.starts_with("shaders/rules/");
        assert!(!is_rule || !references.is_empty(), "{path}: a rule must name its twin");
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
    let text = "// Sums. Twin: `A::add` in\n// src/a.rs. Mirror: `B` in src/b.rs, which\n\
                // is it.\n\nTwin: x";
    let of = |name: &str, file: &str| (name.to_owned(), file.to_owned());
    assert_eq!(references(text), [of("A::add", "src/a.rs"), of("B", "src/b.rs")]);
    let rust = "pub struct A {}\nimpl A {\n    pub(super) fn add(self) {}\n}\n// fn gone()\n";
    assert!(declares(rust, "A::add"));
    assert!(!declares(rust, "A::ad") && !declares(rust, "gone") && !declares(rust, "B::add"));
}
