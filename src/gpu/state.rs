//! The state of an optimizer's tensors: one arena for each state vector, in which every tensor
//! starts at a multiple of 16 bytes, or vectors that the caller holds.

use super::arena::{starts, views};
use super::context::Gpu;
use super::errors::VectorError;
use super::group_error::GroupError;
use super::vector::GpuVec;
use crate::rules::Rule;
use crate::step::{Tensors, TensorsError};

/// One state vector of all tensors.
#[derive(Debug, PartialEq)]
pub(super) struct StateVectors {
    pub(super) name: &'static str,
    /// Whether the parameters of a row share it: one value per row.
    pub(super) shared: bool,
    /// The part of each tensor.
    pub(super) tensors: Vec<GpuVec>,
}

/// All state vectors that the rule of some group has.
#[derive(Debug, PartialEq)]
pub(super) struct StateMemory {
    pub(super) vectors: Vec<StateVectors>,
    /// Whether the caller holds the state. Row kernels assume that all state vectors of a tensor
    /// have the same offset within an aligned binding, which only our own state guarantees.
    pub(super) held: bool,
}

impl StateMemory {
    /// Allocates state at the rules' initial values. `row_width` is the length of a row, if the
    /// parameters of a row share state.
    pub(super) fn new<R: Rule>(
        gpu: &Gpu,
        tensors: &Tensors<R>,
        row_width: Option<usize>,
    ) -> Result<Self, VectorError> {
        let vector = |index: usize| {
            let shared =
                row_width.is_some() && tensors.rules.iter().all(|rule| rule.can_share(index));
            let width = row_width.filter(|_| shared).unwrap_or(1);
            let lens: Vec<_> = tensors.lens.iter().map(|len| len / width).collect();
            let (starts, total) = starts(&lens)?;
            let arena = gpu.zeroed_state(total)?;
            let own = views(&arena, &starts, &lens)?;
            for (view, &group) in own.iter().zip(&tensors.group_of) {
                let value = tensors.rules[group as usize].initial_state().as_ref()[index];
                // New memory is zero.
                if value.to_bits() != 0 {
                    gpu.fill(view, value)?;
                }
            }
            Ok(StateVectors { name: R::STATE[index], shared, tensors: own })
        };
        let vectors = tensors.used_state().into_iter().map(vector);
        Ok(Self { vectors: vectors.collect::<Result<_, VectorError>>()?, held: false })
    }

    /// State that the caller holds: for each tensor, the vectors that the rule of some group has,
    /// in order.
    pub(super) fn held<R: Rule>(
        tensors: &Tensors<R>,
        held: &[&[GpuVec]],
    ) -> Result<Self, GroupError> {
        let used = tensors.used_state();
        tensors.check_count("state", held.len())?;
        for (tensor, vectors) in held.iter().enumerate() {
            let (found, expected) = (vectors.len(), used.len());
            if found != expected {
                return Err(TensorsError::State { tensor, found, expected }.into());
            }
            for (vector, &index) in vectors.iter().zip(&used) {
                tensors.check_length(R::STATE[index], tensor, vector.len())?;
            }
        }
        let vector = |(number, &index): (usize, &usize)| StateVectors {
            name: R::STATE[index],
            shared: false,
            tensors: held.iter().map(|vectors| vectors[number].clone()).collect(),
        };
        Ok(Self { vectors: used.iter().enumerate().map(vector).collect(), held: true })
    }

    /// All vectors of all tensors.
    pub(super) fn all(&self) -> impl Iterator<Item = &GpuVec> {
        self.vectors.iter().flat_map(|vector| &vector.tensors)
    }

    /// The shared state vectors of a tensor, or the others.
    pub(super) fn of_tensor(&self, tensor: usize, shared: bool) -> impl Iterator<Item = &GpuVec> {
        let own = self.vectors.iter().filter(move |vector| vector.shared == shared);
        own.map(move |vector| &vector.tensors[tensor])
    }
}
