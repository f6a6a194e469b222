//! Ctrl-C: a flag that long loops look at, so that a run stops between two steps and never in
//! the middle of writing a file.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::Error;

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Catches Ctrl-C from here on. The second one ends the program where it stands.
pub(crate) fn install() {
    let handler = || {
        if REQUESTED.swap(true, Ordering::Relaxed) {
            std::process::exit(1);
        }
    };
    // Without a handler Ctrl-C ends the program at once, which is no reason not to run.
    let _ = ctrlc::set_handler(handler);
}

/// Whether Ctrl-C was pressed.
pub(crate) fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}

/// Ends a loop with `?` once Ctrl-C was pressed.
///
/// # Errors
/// [`Error::Interrupted`].
pub(crate) fn check() -> Result<(), Error> {
    if requested() { Err(Error::Interrupted) } else { Ok(()) }
}
