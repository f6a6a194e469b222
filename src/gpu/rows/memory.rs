//! The memory of steps over rows of a tensor, kept from step to step.

use super::super::context::Gpu;
use super::super::errors::StepError;
use super::super::vector::GpuVec;
use crate::step::NamedRows;

/// What an optimizer keeps for its steps over rows; empty before the first one.
#[derive(Debug, Default)]
pub(in crate::gpu) struct RowsMemory {
    pub(super) named: NamedRows,
    pub(super) scratch: Scratch,
}

/// Numbered vectors in device memory: number 0 for the values that the parameters of each row
/// share, and the others for the sums of each run that needs them.
#[derive(Debug, Default)]
pub(super) struct Scratch(Vec<Option<GpuVec>>);

impl Scratch {
    /// Vector number `number` with `len` elements. It is allocated again if it was shorter.
    pub(super) fn room(
        &mut self,
        gpu: &Gpu,
        number: usize,
        len: usize,
    ) -> Result<GpuVec, StepError> {
        self.0.resize(self.0.len().max(number + 1), None);
        let known = self.0[number].take().filter(|vector| vector.len() >= len);
        let vector = known.map_or_else(|| gpu.zeros(len), Ok).map_err(StepError::State)?;
        let part = vector.padded_slice(0, len).map_err(StepError::State)?;
        self.0[number] = Some(vector);
        Ok(part)
    }
}
