//! Ctrl-C and the signals that end a program. They set a flag that long loops check, so that a run
//! stops between two steps. What cannot check it (a read from an idle pipe, a large decomposition)
//! is ended from here.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[cfg(unix)]
use signal_hook::consts::SIGHUP;

use crate::output;

/// How long the loops have to check the flag. A program should stop within a second.
const GRACE: Duration = Duration::from_millis(700);

/// The user asked the run to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interrupted: no file was replaced")]
pub(crate) struct Interrupted;

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Catches Ctrl-C from now on. If that fails, Ctrl-C ends the program at once, which is acceptable.
#[cfg(not(unix))]
pub(crate) fn install() {
    let _ = ctrlc::set_handler(stop);
}

/// Catches Ctrl-C and the other signals that ask a program to end, from now on. If that fails, they
/// end the program at once, which is acceptable.
#[cfg(unix)]
pub(crate) fn install() {
    use signal_hook::consts::{SIGABRT, SIGINT, SIGTERM, SIGXCPU, SIGXFSZ};
    use signal_hook::{flag, iterator::Signals};
    use std::sync::Arc;

    // A write beyond `ulimit -f` then fails, and is reported like any other error.
    let _ = flag::register(SIGXFSZ, Arc::default());
    // If an infallible allocation fails, Rust prints a message and aborts. End with status 1 then.
    let _ = flag::register_conditional_shutdown(SIGABRT, 1, Arc::new(AtomicBool::new(true)));

    let (ready, registered) = std::sync::mpsc::channel();
    let wait = move || {
        let signals = [SIGHUP, SIGINT, SIGXCPU, SIGTERM];
        let signals = Signals::new(signals.into_iter().filter(|&signal| !is_ignored(signal)));
        let _ = ready.send(());
        if let Ok(mut signals) = signals {
            signals.forever().take(1).for_each(|_| stop());
        }
    };
    // Signals are caught only if there is a thread to wait for them: else they would be lost.
    if std::thread::Builder::new().spawn(wait).is_ok() {
        let _ = registered.recv();
    }
}

/// Whether a signal is ignored and should stay so, like SIGHUP under `nohup`, or SIGINT in a
/// script's background jobs. If the system does not say, only SIGHUP.
#[cfg(unix)]
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.map_or(signal == SIGHUP, |mask| mask >> (signal - 1) & 1 == 1)
}

/// Asks the run to stop, and ends the program if it does not. Runs on a thread of its own.
fn stop() {
    REQUESTED.store(true, Ordering::Relaxed);
    std::thread::sleep(GRACE);
    output::abandon_files();
    output::error("interrupted");
    std::process::exit(1);
}

/// Whether the run should stop.
pub(crate) fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}

/// Ends a loop with `?` once the run should stop.
///
/// # Errors
/// [`Interrupted`].
pub(crate) fn check() -> Result<(), Interrupted> {
    if requested() { Err(Interrupted) } else { Ok(()) }
}
