//! Burn's tensors as vectors of this library, in place.

use std::any::Any;
use std::collections::HashSet;

use burn::backend::wgpu::{AutoCompiler, CubeTensor, WgpuResource};
use cubecl::server::ServerError;
use cubecl::wgpu::WgpuServer;
use wgpu_optim::GpuVec;

use crate::error::OptimError;
use crate::update::flush;

/// A tensor's memory. Burn's runtime does not move it while this value exists.
pub(crate) struct Lent {
    pub(crate) vector: GpuVec,
    _pin: Box<dyn Any + Send>,
}

impl Lent {
    /// Borrows the memory of tensors. All work on them that has been queued is submitted first.
    pub(crate) fn all(tensors: &[&CubeTensor]) -> Result<Vec<Self>, OptimError> {
        let mut seen = HashSet::new();
        for tensor in tensors {
            if seen.insert(tensor.handle.stream) {
                flush(tensor)?;
            }
        }
        let Some(client) = tensors.first().map(|tensor| tensor.client.clone()) else {
            return Ok(Vec::new());
        };
        // All in one call to the runtime's thread, since a call costs as much as a small step.
        client.exclusive(|| tensors.iter().map(|tensor| Self::one(tensor)).collect())?
    }

    fn one(tensor: &CubeTensor) -> Result<Self, OptimError> {
        let handle = tensor.handle.clone();
        // The unused end of the allocation. No other tensor can see it, since only this one uses
        // the memory that we write.
        let (bytes, spare) = (handle.size_in_used(), handle.offset_end.unwrap_or(0));
        let has_padding = bytes.next_multiple_of(16) - bytes <= spare;
        let pin = tensor.client.get_resource::<WgpuServer<AutoCompiler>>(handle)?;
        let WgpuResource { buffer, offset, .. } = pin.resource();
        let len = tensor.meta.shape().num_elements();
        let padded = GpuVec::from_padded_buffer(buffer, *offset, len).ok().filter(|_| has_padding);
        let vector = match padded {
            Some(vector) => vector,
            None => GpuVec::from_buffer(buffer, *offset, len)?,
        };
        Ok(Self { vector, _pin: Box::new(pin) })
    }
}

impl From<ServerError> for OptimError {
    fn from(error: ServerError) -> Self {
        Self::Runtime(error.to_string())
    }
}
