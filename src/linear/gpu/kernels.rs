//! The kernels of linear models: the files that they are made of, and their buffers.

use super::super::errors::{Result, TrainError};
use super::super::loss::Loss;
use crate::gpu::{self, Bound, Element, Formula, Gpu, SquareOf, Text, arithmetic};
use crate::numerics::Precision;

/// `workgroup_size` of `shaders/linear/job.wgsl`.
pub(super) const WORKGROUP_SIZE: u32 = 64;
/// The number of invocations that share a row: `row_width` of the WGSL.
pub(super) const ROW_WIDTH: u64 = 8;

macro_rules! shader {
    ($name:literal) => {
        include_str!(concat!("../../../shaders/linear/", $name, ".wgsl"))
    };
}

/// A kernel, with the loss or the formula that it is compiled for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kernel {
    Residual(Loss),
    ResidualNarrow(Loss),
    Accumulate,
    Finish,
    Sum,
    SparseResidual(Loss),
    Descend(Loss, Formula),
    SparseDescend(Formula),
}

/// A kernel in one precision.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct LinearKernel {
    pub(super) kernel: Kernel,
    pub(super) precision: Precision,
}

impl LinearKernel {
    /// The entry point, and the kernel's files, without those of the job, the arithmetic and the
    /// rule.
    fn files(&self) -> (&'static str, Vec<&'static str>) {
        let (predict, penalty) = (shader!("predict"), shader!("penalty"));
        let kept = shader!("loss/residual");
        match &self.kernel {
            Kernel::Residual(loss) => ("residual", vec![shader!("residual"), kept, loss.shader()]),
            Kernel::ResidualNarrow(loss) => {
                ("residual_narrow", vec![shader!("residual_narrow"), predict, kept, loss.shader()])
            }
            Kernel::Accumulate => ("accumulate", vec![shader!("accumulate")]),
            Kernel::Finish => ("finish", vec![shader!("finish"), penalty]),
            Kernel::Sum => ("sum", vec![shader!("sum")]),
            Kernel::SparseResidual(loss) => {
                ("sparse_residual", vec![shader!("sparse/residual"), kept, loss.shader()])
            }
            Kernel::Descend(loss, _) => {
                ("descend", vec![shader!("descend"), predict, penalty, kept, loss.shader()])
            }
            Kernel::SparseDescend(_) => {
                ("sparse_descend", vec![shader!("sparse/descend"), penalty])
            }
        }
    }

    /// If the kernel steps: the rule's formula, and how the kernel accesses the state.
    fn formula(&self) -> Option<(&Formula, Element)> {
        match &self.kernel {
            Kernel::Descend(_, formula) => Some((formula, Element::Quads)),
            Kernel::SparseDescend(formula) => Some((formula, Element::Scalars)),
            _ => None,
        }
    }
}

impl gpu::Kernel for LinearKernel {
    fn entry(&self) -> &'static str {
        self.files().0
    }

    fn text(&self) -> String {
        let mut text = Text::new(&self.files().1);
        text.file(shader!("job"));
        let Some((formula, element)) = self.formula() else {
            text.file(arithmetic(self.precision));
            return text.finish();
        };
        text.rule(formula, self.precision, SquareOf::Own);
        text.file(element.file());
        if element == Element::Scalars {
            text.vector("parameters", element, true);
        }
        text.state(formula, Bound::All, element);
        text.finish()
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        self.formula().map_or_else(Vec::new, |(formula, _)| formula.constants())
    }
}

/// A kernel with its buffers.
#[derive(Clone, Debug)]
pub(super) struct BoundKernel {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) bind_group: wgpu::BindGroup,
}

impl BoundKernel {
    /// Binds a kernel to these buffers, in the order of its bindings.
    pub(super) fn new<'a>(
        gpu: &Gpu,
        precision: Precision,
        kernel: Kernel,
        buffers: impl IntoIterator<Item = wgpu::BufferBinding<'a>>,
    ) -> Result<Self> {
        let kernel = gpu.kernel(&LinearKernel { kernel, precision })?;
        let bind_group = kernel.bind(gpu, buffers)?;
        Ok(Self { pipeline: kernel.pipeline, bind_group })
    }
}

/// Creates a storage buffer, padded to a multiple of 16 bytes.
pub(super) fn storage(gpu: &Gpu, label: &str, bytes: u64) -> Result<wgpu::Buffer> {
    let usage =
        wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
    Ok(gpu.buffer(label, bytes.next_multiple_of(16), usage)?)
}

/// The device's largest binding, in bytes.
pub(super) fn largest_binding(limits: &wgpu::Limits) -> u64 {
    limits.max_storage_buffer_binding_size.min(limits.max_buffer_size)
}

/// Checks that `needed` bytes fit a binding.
pub(super) fn check_binding(limits: &wgpu::Limits, needed: u64) -> Result<()> {
    check_limit("max_storage_buffer_binding_size", needed, largest_binding(limits))
}

/// Checks that a limit allows what is needed.
pub(super) fn check_limit(limit: &'static str, needed: u64, allowed: u64) -> Result<()> {
    let error = TrainError::Limit { limit, needed, allowed };
    if needed > allowed { Err(error) } else { Ok(()) }
}

#[cfg(test)]
#[path = "kernels_tests.rs"]
mod tests;
