//! Whether a benchmark measures, or only runs as a test.

/// True under `cargo bench`. False under `cargo bench -- --test` and `cargo test --benches`, which
/// only check that it runs.
pub(crate) fn measuring() -> bool {
    let has = |wanted: &str| std::env::args().any(|argument| argument == wanted);
    has("--bench") && !has("--test")
}
