//! The lists of tensors that a step is given: whether they will do, and where they lie.

use std::collections::HashMap;

use super::context::Gpu;
use super::group_error::GroupError;
use super::state::StateMemory;
use super::table::Place;
use super::vector::GpuVec;
use crate::rules::Rule;
use crate::step::{TensorGradient, TensorName, Tensors};

/// The gradients of a list of tensors.
#[derive(Clone, Copy, Debug)]
pub(super) enum Grads<'a> {
    /// Of every parameter.
    Dense(&'a [GpuVec]),
    /// For each tensor as it has them.
    Mixed(&'a [TensorGradient<'a, GpuVec>]),
}

impl<'a> Grads<'a> {
    pub(super) fn len(self) -> usize {
        match self {
            Self::Dense(list) => list.len(),
            Self::Mixed(list) => list.len(),
        }
    }

    pub(super) fn get(self, tensor: usize) -> TensorGradient<'a, GpuVec> {
        match self {
            Self::Dense(list) => TensorGradient::Dense(&list[tensor]),
            Self::Mixed(list) => list[tensor],
        }
    }

    /// All vectors of gradients, of rows too.
    pub(super) fn vectors(self) -> impl Iterator<Item = &'a GpuVec> {
        (0..self.len()).filter_map(move |tensor| match self.get(tensor) {
            TensorGradient::Dense(vector) | TensorGradient::Rows { gradients: vector, .. } => {
                Some(vector)
            }
            TensorGradient::Missing => None,
        })
    }

    /// Whether any tensor has gradients of rows.
    pub(super) fn has_rows(self) -> bool {
        match self {
            Self::Dense(_) => false,
            Self::Mixed(list) => list.iter().any(|g| matches!(g, TensorGradient::Rows { .. })),
        }
    }

    /// The gradients that a tensor has for every parameter.
    pub(super) fn dense(self, tensor: usize) -> Option<&'a GpuVec> {
        match self {
            Self::Dense(list) => Some(&list[tensor]),
            Self::Mixed(list) => dense(&list[tensor]),
        }
    }
}

/// The gradients for every parameter, if that is what they are.
pub(super) fn dense<'a>(gradient: &TensorGradient<'a, GpuVec>) -> Option<&'a GpuVec> {
    match gradient {
        TensorGradient::Dense(vector) => Some(vector),
        _ => None,
    }
}

/// The buffers of the caller's that a step touches.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    pub(super) list: Vec<wgpu::Buffer>,
    /// Whether parameters or state lie in a buffer, so that it is bound for writing.
    pub(super) written: Vec<bool>,
    numbers: HashMap<wgpu::Buffer, usize>,
}

impl Buffers {
    fn number(&mut self, buffer: &wgpu::Buffer) -> usize {
        if let Some(&number) = self.numbers.get(buffer) {
            return number;
        }
        let number = self.list.len();
        self.numbers.insert(buffer.clone(), number);
        self.list.push(buffer.clone());
        self.written.push(false);
        number
    }

    /// Says that something in a buffer is written, if it is one of these: another optimizer's state may
    /// share it with ours.
    pub(super) fn mark_written(&mut self, buffer: &wgpu::Buffer) {
        if let Some(&number) = self.numbers.get(buffer) {
            self.written[number] = true;
        }
    }

    /// Where a vector lies.
    pub(super) fn places(&mut self, vector: &GpuVec, written: bool) -> Vec<Place> {
        let place = |segment: &super::vector::Segment| {
            let buffer = self.number(&segment.buffer);
            self.written[buffer] |= written;
            Place { buffer, span: segment.span }
        };
        vector.segments().iter().map(place).collect()
    }
}

/// Checks the lists against the lengths and the state of an optimizer, as wgpu would later with less to
/// say. Whether row gradients fit their tables is for the rows themselves.
pub(super) fn check<R: Rule>(
    gpu: &Gpu,
    tensors: &Tensors<R>,
    state: &StateMemory,
    params: &[GpuVec],
    grads: Grads<'_>,
) -> Result<(), GroupError> {
    tensors.check_count("params", params.len())?;
    tensors.check_count("grads", grads.len())?;
    let mut claims = Claims::default();
    for (index, vector) in params.iter().enumerate() {
        tensors.check_length("params", index, vector.len())?;
        claims.add(gpu, TensorName { list: "params", index }, vector)?;
    }
    for index in 0..grads.len() {
        let (list, vector) = match grads.get(index) {
            TensorGradient::Dense(vector) => {
                tensors.check_length("grads", index, vector.len())?;
                ("grads", vector)
            }
            TensorGradient::Rows { gradients, .. } => ("row_gradients", gradients),
            TensorGradient::Missing => continue,
        };
        claims.add(gpu, TensorName { list, index }, vector)?;
    }
    for vector in &state.vectors {
        for (index, own) in vector.tensors.iter().enumerate() {
            claims.claim(TensorName { list: vector.name, index }, own, 16);
        }
    }
    claims.check_overlap()
}

/// A range of bytes and whose it is.
struct Claim {
    buffer: usize,
    start: u64,
    end: u64,
    /// Its place among all.
    order: usize,
    tensor: TensorName,
}

#[derive(Default)]
struct Claims {
    numbers: HashMap<wgpu::Buffer, usize>,
    list: Vec<Claim>,
}

impl Claims {
    /// Claims the bytes of a vector of the caller's.
    fn add(&mut self, gpu: &Gpu, tensor: TensorName, vector: &GpuVec) -> Result<(), GroupError> {
        if vector.is_foreign(gpu) {
            return Err(GroupError::ForeignDevice { tensor });
        }
        self.claim(tensor, vector, 4);
        Ok(())
    }

    /// Claims the bytes of a vector, each run up to a multiple of `unit`: padding of our own is not free
    /// either.
    fn claim(&mut self, tensor: TensorName, vector: &GpuVec, unit: u64) {
        for segment in vector.segments() {
            let next = self.numbers.len();
            let buffer = *self.numbers.entry(segment.buffer.clone()).or_insert(next);
            let bytes = segment.bytes();
            let end = bytes.end.next_multiple_of(unit);
            let order = self.list.len();
            self.list.push(Claim { buffer, start: bytes.start, end, order, tensor });
        }
    }

    /// Of ranges sorted by where they start, the first that overlaps an earlier one overlaps its
    /// neighbour: those before it end in order.
    fn check_overlap(&mut self) -> Result<(), GroupError> {
        self.list.sort_by_key(|claim| (claim.buffer, claim.start));
        let mut pairs = self.list.windows(2);
        match pairs.find(|pair| pair[0].buffer == pair[1].buffer && pair[1].start < pair[0].end) {
            Some([a, b, ..]) => {
                let (first, second) = if a.order < b.order { (a, b) } else { (b, a) };
                let (first, second) = (first.tensor, second.tensor);
                Err(GroupError::Overlap { first, second, byte: b.start })
            }
            _ => Ok(()),
        }
    }
}
