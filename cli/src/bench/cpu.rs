//! The CPU engine, and a copy with as many threads.

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};
use wgpu_optim::{CpuOptimizer, Rule};

use super::sampling::{self, Bench, Medians};
use super::traffic::copy_len;
use crate::error::Error;

/// Measures steps of `rule` over `len` elements.
pub(super) fn medians<R: Rule>(rule: R, len: usize) -> Result<Medians, Error> {
    let optimizer = CpuOptimizer::new(rule, len)?;
    let copied = copy_len::<R>(len);
    sampling::medians(&mut CpuBench {
        copied_per_thread: copied.div_ceil(optimizer.threads()),
        optimizer,
        params: filled(len, 1.0)?,
        grads: filled(len, 0.5)?,
        source: filled(copied, 1.0)?,
        destination: filled(copied, 0.0)?,
    })
}

struct CpuBench<R: Rule> {
    optimizer: CpuOptimizer<R>,
    params: Vec<f32>,
    grads: Vec<f32>,
    source: Vec<f32>,
    destination: Vec<f32>,
    copied_per_thread: usize,
}

impl<R: Rule> Bench for CpuBench<R> {
    fn steps(&mut self, count: u32) -> Result<(), Error> {
        for _ in 0..count {
            self.optimizer.step(&mut self.params, &self.grads)?;
        }
        Ok(())
    }

    fn copies(&mut self, count: u32) -> Result<(), Error> {
        let part = self.copied_per_thread;
        for _ in 0..count {
            if part == self.source.len() {
                // Like the engine, which uses the calling thread if one is enough.
                self.destination.copy_from_slice(&self.source);
            } else {
                let parts = self.destination.par_chunks_mut(part).zip(self.source.par_chunks(part));
                parts.for_each(|(destination, source)| destination.copy_from_slice(source));
            }
            // Otherwise the compiler may remove a copy that nothing reads.
            std::hint::black_box(&mut self.destination);
        }
        Ok(())
    }

    fn kernels(&mut self, _: u32) -> Result<Option<f64>, Error> {
        Ok(None)
    }
}

/// A vector of `len` times `value`, or an error if there is not enough memory.
fn filled(len: usize, value: f32) -> Result<Vec<f32>, Error> {
    let mut vector = Vec::new();
    vector.try_reserve_exact(len).map_err(|_| {
        Error::Run(format!("not enough memory for {len} elements: give smaller --sizes"))
    })?;
    vector.resize(len, value);
    Ok(vector)
}
