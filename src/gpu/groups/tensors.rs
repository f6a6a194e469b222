//! The lists of tensors that a step is given: whether they will do, and where they lie.

use std::collections::HashMap;

use super::super::context::Gpu;
use super::super::vector::GpuVec;
use super::error::{GroupError, TensorName};
use super::table::Place;

/// The buffers of the caller's that a step touches.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    pub(super) list: Vec<wgpu::Buffer>,
    /// Whether parameters lie in a buffer, so that it is written.
    pub(super) written: Vec<bool>,
}

/// Where each tensor of a list lies.
type Places = Vec<Vec<Place>>;

/// Checks the two lists against the lengths and the state of an optimizer, as wgpu would later with
/// less to say, and finds where their tensors lie.
pub(super) fn place(
    gpu: &Gpu,
    lens: &[usize],
    state: &[GpuVec],
    params: &[GpuVec],
    grads: &[GpuVec],
) -> Result<(Buffers, [Places; 2]), GroupError> {
    let lists = [("params", params), ("grads", grads)];
    for (list, vectors) in lists {
        if vectors.len() != lens.len() {
            let (found, expected) = (vectors.len(), lens.len());
            return Err(GroupError::Count { list, found, expected });
        }
        for (index, (vector, &expected)) in vectors.iter().zip(lens).enumerate() {
            let tensor = TensorName { list, index };
            let found = vector.len();
            if found != expected {
                return Err(GroupError::Length { tensor, found, expected });
            }
            if vector.is_foreign(gpu) {
                return Err(GroupError::ForeignDevice { tensor });
            }
        }
    }
    let mut numbered = Numbered::default();
    let [params, grads] = lists.map(|(list, vectors)| numbered.places(list, vectors));
    numbered.check_state(state)?;
    numbered.check_overlap()?;
    Ok((numbered.buffers, [params, grads]))
}

/// A range of bytes and whose it is.
struct Claim {
    buffer: usize,
    start: u64,
    end: u64,
    tensor: TensorName,
}

#[derive(Default)]
struct Numbered {
    buffers: Buffers,
    numbers: HashMap<wgpu::Buffer, usize>,
    claims: Vec<Claim>,
}

impl Numbered {
    fn places(&mut self, list: &'static str, vectors: &[GpuVec]) -> Places {
        let mut places = Vec::with_capacity(vectors.len());
        for (index, vector) in vectors.iter().enumerate() {
            let mut of_vector = Vec::with_capacity(vector.segments().len());
            for segment in vector.segments() {
                let buffer = self.number(&segment.buffer);
                self.buffers.written[buffer] |= list == "params";
                let bytes = segment.bytes();
                let tensor = TensorName { list, index };
                self.claims.push(Claim { buffer, start: bytes.start, end: bytes.end, tensor });
                of_vector.push(Place { buffer, span: segment.span });
            }
            places.push(of_vector);
        }
        places
    }

    fn number(&mut self, buffer: &wgpu::Buffer) -> usize {
        if let Some(&number) = self.numbers.get(buffer) {
            return number;
        }
        let number = self.buffers.list.len();
        self.numbers.insert(buffer.clone(), number);
        self.buffers.list.push(buffer.clone());
        self.buffers.written.push(false);
        number
    }

    /// Nothing in an arena of the state is free, not even its padding.
    fn check_state(&self, state: &[GpuVec]) -> Result<(), GroupError> {
        let buffers = state.iter().flat_map(|arena| arena.buffers());
        let known = buffers.filter_map(|(buffer, _)| self.numbers.get(buffer)).next();
        let claim = known.and_then(|&buffer| self.claims.iter().find(|c| c.buffer == buffer));
        claim.map_or(Ok(()), |claim| Err(GroupError::State { tensor: claim.tensor }))
    }

    /// Of ranges sorted by where they start, the first that overlaps an earlier one overlaps its
    /// neighbour: those before it end in order.
    fn check_overlap(&mut self) -> Result<(), GroupError> {
        self.claims.sort_by_key(|claim| (claim.buffer, claim.start));
        let mut pairs = self.claims.windows(2);
        match pairs.find(|pair| pair[0].buffer == pair[1].buffer && pair[1].start < pair[0].end) {
            Some([first, second, ..]) => {
                let byte = second.start;
                let (first, second) = (first.tensor, second.tensor);
                Err(GroupError::Overlap { first, second, byte })
            }
            _ => Ok(()),
        }
    }
}
