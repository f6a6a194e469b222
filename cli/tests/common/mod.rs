//! What the tests of the command share: the program, a directory of its own for each test, and
//! files in it.
#![allow(dead_code, reason = "every test file uses a part of it")]
#![allow(clippy::print_stderr, reason = "a skipped test says so")]

use std::path::PathBuf;
use std::process::Output;

use assert_cmd::Command;

/// A fresh directory, and the program run inside it.
pub(crate) struct Folder {
    pub(crate) directory: tempfile::TempDir,
}

impl Folder {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a temporary directory") }
    }

    /// Writes a file.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        std::fs::write(self.directory.path().join(name), content).expect("a writable directory");
        self
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.directory.path().join(name)).expect("the file is there")
    }

    /// The names of all files, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.directory.path()).expect("a readable directory");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::cargo_bin("wgpu-optim").expect("the program is built");
        command.current_dir(self.directory.path()).args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program starts")
    }

    /// Runs and expects a result on standard output.
    #[track_caller]
    pub(crate) fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Runs and expects an error with `status` whose message has all `parts`; nothing on standard
    /// output, no panic, and no file that was not there before.
    #[track_caller]
    pub(crate) fn fail(&self, status: i32, arguments: &[&str], parts: &[&str]) {
        let before = self.names();
        let output = self.run(arguments);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {message}");
        for part in parts {
            assert!(message.contains(part), "{arguments:?}: {part:?} is not in: {message}");
        }
        // What the program prints after a panic.
        assert!(!message.contains("internal fault"), "{message}");
        assert_eq!(text(&output.stdout), "", "{arguments:?}");
        assert_eq!(self.names(), before, "{arguments:?}");
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(crate) fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("one JSON object")
}

/// The measurements that the textbook trains on, if they are beside the checkout. Where drivers
/// are required, which is in continuous integration, so are these.
pub(crate) fn airfoil() -> Option<PathBuf> {
    let path = PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../shared/data/airfoil_self_noise.dat"
    ));
    if path.exists() {
        return Some(path);
    }
    let required = std::env::var_os("WGPU_OPTIM_REQUIRE_DRIVERS").is_some_and(|it| !it.is_empty());
    assert!(!required, "{} is not there", path.display());
    eprintln!("SKIPPED: {} is not there", path.display());
    None
}
