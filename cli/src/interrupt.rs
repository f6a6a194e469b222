//! Ctrl-C and SIGTERM: a flag that long loops look at, so that a run stops between two steps. What
//! cannot look (a read from a pipe that nobody fills, a large decomposition) is ended from here.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::output::{self, file};

/// How long the loops have to see the flag. Users wait a second for a program to stop.
const GRACE: Duration = Duration::from_millis(700);

/// The user asked the run to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interrupted: no file was written")]
pub(crate) struct Interrupted;

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Catches Ctrl-C from here on, and where there are signals, SIGTERM.
pub(crate) fn install() {
    // Without a handler the program ends at once, which is no reason not to run.
    let _ = ctrlc::set_handler(stop);
    #[cfg(unix)]
    if let Ok(mut signals) = signal_hook::iterator::Signals::new([signal_hook::consts::SIGTERM]) {
        let wait = move || signals.forever().take(1).for_each(|_| stop());
        let _ = std::thread::Builder::new().spawn(wait);
    }
}

/// Asks the run to stop, and ends the program if it does not. Runs on a thread of its own.
fn stop() {
    REQUESTED.store(true, Ordering::Relaxed);
    std::thread::sleep(GRACE);
    file::abandon_files();
    output::error("interrupted");
    std::process::exit(1);
}

/// Whether Ctrl-C was pressed.
pub(crate) fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}

/// Ends a loop with `?` once Ctrl-C was pressed.
///
/// # Errors
/// [`Interrupted`].
pub(crate) fn check() -> Result<(), Interrupted> {
    if requested() { Err(Interrupted) } else { Ok(()) }
}
