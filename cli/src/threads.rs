//! The threads that share the work.

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::output;

/// Starts a thread for each core, or as many as `RAYON_NUM_THREADS` says. Where that fails, as when
/// memory or processes are limited, the thread that runs the command does all the work, as long as
/// the pool that this gives lives. The number of threads changes no result.
pub(crate) fn start() -> Option<ThreadPool> {
    let error = ThreadPoolBuilder::new().build_global().err()?;
    output::warning(&format!(
        "no threads could be started ({error}): the run goes on with one; allow more memory \
         (ulimit -v) or processes (ulimit -u) to use all cores"
    ));
    ThreadPoolBuilder::new().num_threads(1).use_current_thread().build().ok()
}
