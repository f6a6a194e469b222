//! The linear kernels, compiled for one device and precision.

use super::super::errors::TrainError;
use super::super::loss::Loss;
use super::super::order::RUNS;
use crate::gpu::{
    self, Compiled, DispatchLimits, Gpu, LimitError, Needs, StepError, Text, arithmetic, whole,
};
use crate::numerics::Precision;

/// `workgroup_size` of `shaders/linear/job.wgsl`.
pub(super) const WORKGROUP_SIZE: u32 = 64;
/// Invocations that share a row: `row_width` of the WGSL.
pub(super) const ROW_WIDTH: u64 = 8;

/// What a dispatch works on.
pub(super) const JOB: &str = include_str!("../../../shaders/linear/job.wgsl");
/// The prediction for a row by one invocation.
pub(super) const PREDICT: &str = include_str!("../../../shaders/linear/predict.wgsl");

/// What is kept of a prediction.
pub(super) const RESIDUAL: &str = include_str!("../../../shaders/linear/loss/residual.wgsl");
/// The penalty's share of a gradient.
pub(super) const PENALTY: &str = include_str!("../../../shaders/linear/penalty.wgsl");

/// One of the kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kernel {
    Residual,
    ResidualNarrow,
    Accumulate,
    Finish,
    Sum,
    SparseResidual,
}

impl Kernel {
    /// Those of dense rows, in the order of their numbers.
    const DENSE: [Self; 4] = [Self::Residual, Self::ResidualNarrow, Self::Accumulate, Self::Finish];

    /// The kernel for residuals of rows of `column_groups` groups of columns, and its invocations
    /// a row.
    pub(super) fn residual(column_groups: u32) -> (Self, u64) {
        if u64::from(column_groups) <= ROW_WIDTH {
            (Self::ResidualNarrow, 1)
        } else {
            (Self::Residual, ROW_WIDTH)
        }
    }

    /// The entry point.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Residual => "residual",
            Self::ResidualNarrow => "residual_narrow",
            Self::Accumulate => "accumulate",
            Self::Finish => "finish",
            Self::Sum => "sum",
            Self::SparseResidual => "sparse_residual",
        }
    }

    fn shader(self) -> &'static str {
        match self {
            Self::Residual => include_str!("../../../shaders/linear/residual.wgsl"),
            Self::ResidualNarrow => include_str!("../../../shaders/linear/residual_narrow.wgsl"),
            Self::Accumulate => include_str!("../../../shaders/linear/accumulate.wgsl"),
            Self::Finish => include_str!("../../../shaders/linear/finish.wgsl"),
            Self::Sum => include_str!("../../../shaders/linear/sum.wgsl"),
            Self::SparseResidual => include_str!("../../../shaders/linear/sparse/residual.wgsl"),
        }
    }
}

/// One of the kernels, in an arithmetic and for a loss.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct LinearKernel {
    pub(super) kernel: Kernel,
    pub(super) precision: Precision,
    pub(super) loss: Loss,
}

impl gpu::Kernel for LinearKernel {
    fn entry(&self) -> &'static str {
        self.kernel.name()
    }

    fn text(&self) -> String {
        let Self { kernel, precision, loss } = self;
        let mut text = Text::new(&[arithmetic(*precision), JOB, kernel.shader()]);
        match kernel {
            Kernel::Residual | Kernel::SparseResidual => text.files(&[loss.shader(), RESIDUAL]),
            Kernel::ResidualNarrow => text.files(&[loss.shader(), RESIDUAL, PREDICT]),
            Kernel::Finish => text.file(PENALTY),
            Kernel::Accumulate | Kernel::Sum => {}
        }
        text.finish()
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }
}

/// All kernels of dense rows.
#[derive(Debug)]
pub(super) struct Kernels {
    pub(super) limits: DispatchLimits,
    compiled: Vec<Compiled>,
}

impl Kernels {
    pub(super) fn new(gpu: &Gpu, precision: Precision, loss: Loss) -> Result<Self, TrainError> {
        let limits = gpu.device().limits();
        check(&limits)?;
        let compiled = Kernel::DENSE.map(|kernel| compiled(gpu, kernel, precision, loss));
        let compiled = compiled.into_iter().collect::<Result<_, _>>()?;
        Ok(Self { limits: DispatchLimits::of(&limits, WORKGROUP_SIZE), compiled })
    }

    pub(super) fn get(&self, kernel: Kernel) -> &Compiled {
        &self.compiled[kernel as usize]
    }
}

/// One kernel on a device.
pub(super) fn compiled(
    gpu: &Gpu,
    kernel: Kernel,
    precision: Precision,
    loss: Loss,
) -> Result<Compiled, TrainError> {
    Ok(gpu.kernel(&LinearKernel { kernel, precision, loss }).map_err(StepError::from)?)
}

/// A bind group of whole buffers, in the order of the kernel's bindings.
pub(super) fn bind(
    gpu: &Gpu,
    kernel: &Compiled,
    buffers: &[&wgpu::Buffer],
) -> Result<wgpu::BindGroup, TrainError> {
    bind_parts(gpu, kernel, buffers.iter().map(|buffer| whole(buffer)))
}

/// The same of parts of buffers.
pub(super) fn bind_parts<'a>(
    gpu: &Gpu,
    kernel: &Compiled,
    buffers: impl IntoIterator<Item = wgpu::BufferBinding<'a>>,
) -> Result<wgpu::BindGroup, TrainError> {
    Ok(kernel.bind(gpu, buffers).map_err(StepError::from)?)
}

/// Whether the device can run the kernels at all.
fn check(limits: &wgpu::Limits) -> Result<(), LimitError> {
    Needs::of(limits)
        .workgroup(WORKGROUP_SIZE, 16 * u64::from(WORKGROUP_SIZE))
        .buffers(6, 1)
        // The partial sums of one group of columns.
        .binding(16 * RUNS as u64)
        .check()
}

#[cfg(test)]
#[path = "kernels_tests.rs"]
mod tests;
