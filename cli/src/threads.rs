//! The threads that share the work.

use std::thread;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::output;

/// Starts a thread for each core, or as many as `RAYON_NUM_THREADS` says. If that fails, as when memory
/// or processes are limited, the thread that runs the command does all the work, for as long as the
/// returned pool lives. The number of threads changes no result.
pub(crate) fn start() -> Option<ThreadPool> {
    let mut started = Vec::new();
    let spawn = |worker: rayon::ThreadBuilder| {
        started.push(thread::Builder::new().spawn(|| worker.run())?);
        Ok(())
    };
    let error = ThreadPoolBuilder::new().spawn_handler(spawn).build_global().err()?;
    // End the threads that did start: their memory is needed.
    started.into_iter().for_each(|thread| drop(thread.join()));
    output::warning(&format!(
        "no threads could be started ({error}): the run continues with one; allow more memory \
         (ulimit -v) or processes (ulimit -u) to use all cores"
    ));
    ThreadPoolBuilder::new().num_threads(1).use_current_thread().build().ok()
}
