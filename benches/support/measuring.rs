//! Whether a benchmark is to measure, or only to run.

/// Whether figures are asked for, by `cargo bench`; `cargo bench -- --test` and `cargo test --benches` only
/// want to see it run.
pub(crate) fn measuring() -> bool {
    let has = |wanted: &str| std::env::args().any(|argument| argument == wanted);
    has("--bench") && !has("--test")
}
