//! The linear kernels: which there are, the files that they are made of, and their buffers.

use super::super::errors::TrainError;
use super::super::loss::Loss;
use crate::gpu::{
    self, Bound, Element, Formula, Gpu, LimitError, SquareOf, Text, arithmetic, whole,
};
use crate::numerics::Precision;

/// `workgroup_size` of `shaders/linear/job.wgsl`.
pub(super) const WORKGROUP_SIZE: u32 = 64;
/// Invocations that share a row: `row_width` of the WGSL.
pub(super) const ROW_WIDTH: u64 = 8;

macro_rules! shader {
    ($name:literal) => {
        include_str!(concat!("../../../shaders/linear/", $name, ".wgsl"))
    };
}

/// One of the kernels, with the loss or the rule that it is made for.
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

/// One of the kernels in an arithmetic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct LinearKernel {
    pub(super) kernel: Kernel,
    pub(super) precision: Precision,
}

impl gpu::Kernel for LinearKernel {
    fn entry(&self) -> &'static str {
        match self.kernel {
            Kernel::Residual(_) => "residual",
            Kernel::ResidualNarrow(_) => "residual_narrow",
            Kernel::Accumulate => "accumulate",
            Kernel::Finish => "finish",
            Kernel::Sum => "sum",
            Kernel::SparseResidual(_) => "sparse_residual",
            Kernel::Descend(..) => "descend",
            Kernel::SparseDescend(_) => "sparse_descend",
        }
    }

    fn text(&self) -> String {
        let predict = shader!("predict");
        let residual = |loss: &Loss| [shader!("loss/residual"), loss.shader()];
        let mut text = Text::new(&[shader!("job")]);
        match &self.kernel {
            Kernel::Residual(loss) => {
                text.file(shader!("residual"));
                text.files(&residual(loss));
            }
            Kernel::ResidualNarrow(loss) => {
                text.files(&[shader!("residual_narrow"), predict]);
                text.files(&residual(loss));
            }
            Kernel::Accumulate => text.file(shader!("accumulate")),
            Kernel::Finish => text.files(&[shader!("finish"), shader!("penalty")]),
            Kernel::Sum => text.file(shader!("sum")),
            Kernel::SparseResidual(loss) => {
                text.file(shader!("sparse/residual"));
                text.files(&residual(loss));
            }
            Kernel::Descend(loss, formula) => {
                text.files(&[shader!("descend"), predict, shader!("penalty")]);
                text.files(&residual(loss));
                text.file(Element::Quads.file());
                text.state(formula, Bound::All, Element::Quads);
            }
            Kernel::SparseDescend(formula) => {
                text.files(&[shader!("sparse/descend"), shader!("penalty")]);
                text.file(Element::Scalars.file());
                text.vector("parameters", Element::Scalars, true);
                text.state(formula, Bound::All, Element::Scalars);
            }
        }
        match self.formula() {
            Some(formula) => text.rule(formula, self.precision, SquareOf::Own),
            None => text.file(arithmetic(self.precision)),
        }
        text.finish()
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        self.formula().map_or_else(Vec::new, Formula::constants)
    }
}

impl LinearKernel {
    /// Of the rule, if the kernel steps.
    fn formula(&self) -> Option<&Formula> {
        match &self.kernel {
            Kernel::Descend(_, formula) | Kernel::SparseDescend(formula) => Some(formula),
            _ => None,
        }
    }
}

/// A kernel with its buffers.
#[derive(Clone, Debug)]
pub(super) struct BoundKernel {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) bind_group: wgpu::BindGroup,
}

impl BoundKernel {
    /// With these buffers, in the order of the kernel's bindings.
    pub(super) fn new(
        gpu: &Gpu,
        precision: Precision,
        kernel: Kernel,
        buffers: &[&wgpu::Buffer],
    ) -> Result<Self, TrainError> {
        Self::of_parts(gpu, precision, kernel, buffers.iter().map(|buffer| whole(buffer)))
    }

    /// With these parts of buffers.
    pub(super) fn of_parts<'a>(
        gpu: &Gpu,
        precision: Precision,
        kernel: Kernel,
        parts: impl IntoIterator<Item = wgpu::BufferBinding<'a>>,
    ) -> Result<Self, TrainError> {
        let kernel = gpu.kernel(&LinearKernel { kernel, precision })?;
        let bind_group = kernel.bind(gpu, parts)?;
        Ok(Self { pipeline: kernel.pipeline, bind_group })
    }
}

/// A storage buffer, padded to whole groups of four.
pub(super) fn storage(gpu: &Gpu, label: &str, bytes: u64) -> Result<wgpu::Buffer, TrainError> {
    let usage =
        wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC;
    Ok(gpu.buffer(label, bytes.next_multiple_of(16), usage)?)
}

/// The device's largest binding, in bytes.
pub(super) fn largest_binding(limits: &wgpu::Limits) -> u64 {
    limits.max_storage_buffer_binding_size.min(limits.max_buffer_size)
}

/// Whether so many bytes fit a binding.
pub(super) fn check_binding(limits: &wgpu::Limits, needed: u64) -> Result<(), LimitError> {
    let allowed = largest_binding(limits);
    let error = LimitError { limit: "max_storage_buffer_binding_size", needed, allowed };
    if needed > allowed { Err(error) } else { Ok(()) }
}

#[cfg(test)]
#[path = "kernels_tests.rs"]
mod tests;
