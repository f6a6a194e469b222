//! An update of tensors in place, in the order of Burn's own operations: with fusion an operation of its
//! stream, without it a call.

use burn::backend::Wgpu;
use burn::backend::wgpu::{CubeBackend, CubeTensor};
use burn::tensor::Tensor;

/// What is done to the tensors of one parameter, once all operations before have been queued: the
/// parameter, its gradient, and the state vectors, contiguous and of one length. All but the gradient
/// are ours alone to write.
pub(crate) trait Task: Send + Sync + 'static {
    fn run(&self, tensors: Vec<CubeTensor>);
    /// A tensor had to be copied.
    fn copied(&self);
}

/// The number of the gradient among the tensors of an update; it is only read.
const GRADIENT: usize = 1;

/// Queues `task` over the tensors, and gives all but the gradient back as they are behind it.
pub(crate) fn update<const D: usize>(
    tensors: Vec<Tensor<D>>,
    task: impl Task,
) -> Result<Vec<Tensor<D>>, burn::tensor::PrimitiveConversionError> {
    let primitives: Vec<_> = tensors
        .into_iter()
        .map(|tensor| tensor.try_into_primitive::<Wgpu>())
        .collect::<Result<_, _>>()?;
    let updated = queue(primitives, task);
    Ok(updated.into_iter().map(|tensor| Tensor::from_primitive::<Wgpu>(tensor)).collect())
}

/// A tensor as the update needs it: contiguous, and if it is written, with no other owner of its memory.
fn own(tensor: CubeTensor, written: bool, task: &impl Task) -> CubeTensor {
    let contiguous = tensor.is_contiguous() && tensor.meta.tiling.is_untiled();
    let tensor = if contiguous {
        tensor
    } else {
        task.copied();
        burn_cubecl::kernel::into_contiguous(tensor)
    };
    if written && !tensor.can_mut() {
        task.copied();
        return tensor.copy();
    }
    tensor
}

/// Runs the task; returns all tensors but the gradient.
fn run(tensors: Vec<CubeTensor>, task: &impl Task) -> Vec<CubeTensor> {
    let own = |(index, tensor)| own(tensor, index != GRADIENT, task);
    let tensors: Vec<_> = tensors.into_iter().enumerate().map(own).collect();
    let mut updated = tensors.clone();
    updated.remove(GRADIENT);
    task.run(tensors);
    updated
}

#[cfg(not(feature = "fusion"))]
fn queue(tensors: Vec<CubeTensor>, task: impl Task) -> Vec<CubeTensor> {
    run(tensors, &task)
}

#[cfg(feature = "fusion")]
mod fused {
    use super::{CubeBackend, CubeTensor, GRADIENT, Task, run};
    use burn::backend::fusion::FusionTensor;
    use burn::backend::fusion::custom::{
        CustomOpIr, HandleContainer, Operation, OperationIr, StreamId, TensorId, TensorIr,
    };
    use burn::backend::ExecutionError;

    type Runtime = <CubeBackend as burn::backend::fusion::FusionBackend>::FusionRuntime;
    type Handle = <Runtime as burn::backend::fusion::FusionRuntime>::FusionHandle;

    /// The update as an operation of a stream.
    struct Update<T> {
        inputs: Vec<TensorIr>,
        outputs: Vec<TensorId>,
        task: T,
    }

    impl<T> std::fmt::Debug for Update<T> {
        fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.debug_struct("Update").field("inputs", &self.inputs).finish_non_exhaustive()
        }
    }

    impl<T: Task> Operation<Runtime> for Update<T> {
        fn execute(&self, handles: &mut HandleContainer<Handle>) -> Result<(), ExecutionError> {
            let input = |ir| handles.get_float_tensor::<CubeBackend>(ir);
            let tensors: Vec<CubeTensor> = self.inputs.iter().map(input).collect();
            for (id, tensor) in self.outputs.iter().zip(run(tensors, &self.task)) {
                handles.register_float_tensor::<CubeBackend>(id, tensor);
            }
            Ok(())
        }
    }

    pub(super) fn queue<T: Task>(
        tensors: Vec<FusionTensor<Runtime>>,
        task: T,
    ) -> Vec<FusionTensor<Runtime>> {
        let client = tensors[0].client.clone();
        let output = |(index, tensor): (usize, &FusionTensor<Runtime>)| {
            let id = client.create_empty_handle();
            (index != GRADIENT).then(|| TensorIr::uninit(id, tensor.shape.clone(), tensor.dtype))
        };
        let outputs: Vec<_> = tensors.iter().enumerate().filter_map(output).collect();
        let inputs: Vec<_> = tensors.into_iter().map(FusionTensor::into_ir).collect();
        let operation = OperationIr::Custom(CustomOpIr::new("wgpu-optim", &inputs, &outputs));
        let outputs = outputs.iter().map(|ir| ir.id).collect();
        client.register(StreamId::current(), operation, Update { inputs, outputs, task })
    }
}

#[cfg(feature = "fusion")]
use fused::queue;
