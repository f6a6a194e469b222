//! The device memory of steps over rows of a tensor, kept from step to step.

use super::super::context::Gpu;
use super::super::errors::StepError;
use super::super::vector::GpuVec;
use crate::step::NamedRows;

/// What an optimizer keeps for its steps over rows; nothing before the first.
#[derive(Debug, Default)]
pub(in crate::gpu) struct RowsMemory {
    pub(super) named: NamedRows,
    pub(super) scratch: RowsScratch,
}

/// Device memory of a step over rows.
#[derive(Debug, Default)]
pub(super) struct RowsScratch {
    /// Sums of row gradients, for each run that needs them.
    sums: Vec<Scratch>,
    /// What the parameters of each row share.
    pub(super) shared: Scratch,
}

impl RowsScratch {
    /// Room for the sums of run number `run`.
    pub(super) fn sums(&mut self, gpu: &Gpu, run: usize, len: usize) -> Result<GpuVec, StepError> {
        self.sums.resize_with(self.sums.len().max(run + 1), Scratch::default);
        self.sums[run].room(gpu, len)
    }
}

/// Device memory of an optimizer's own, made when it is first needed.
#[derive(Debug, Default)]
pub(super) struct Scratch(Option<GpuVec>);

impl Scratch {
    /// Room for `len` elements.
    pub(super) fn room(&mut self, gpu: &Gpu, len: usize) -> Result<GpuVec, StepError> {
        let known = self.0.take().filter(|vector| vector.len() >= len);
        let vector = match known {
            Some(vector) => vector,
            None => gpu.zeros(len).map_err(StepError::State)?,
        };
        let part = vector.padded_slice(0, len).map_err(StepError::State)?;
        self.0 = Some(vector);
        Ok(part)
    }
}
