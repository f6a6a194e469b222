//! Updates tensors in place, in order with Burn's own operations: with fusion as an operation of
//! its stream, without it by a direct call.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use burn::backend::Wgpu;
use burn::backend::wgpu::{CubeBackend, CubeTensor};
use burn::tensor::{Device, Tensor};
use cubecl::server::ServerError;
use wgpu_optim::Rule;

use crate::error::OptimError;
use crate::state::{OptimState, check_tensor};

/// Work on the tensors of one parameter, done once all earlier operations have been queued.
pub(crate) trait Task: Send + Sync + 'static {
    /// Does the work on the parameter, its gradient and the state vectors, which are contiguous and
    /// of equal length. Nothing else uses the memory of any but the gradient.
    fn run(&self, tensors: Vec<CubeTensor>) -> Result<(), OptimError>;

    /// Called when a tensor had to be copied.
    fn copied(&self);

    /// Called with the queue of the task and its device.
    fn queued(&self, _queue: &Queue, _device: &Device) {}
}

/// The number of the gradient among the tensors of an update; it is only read.
const GRADIENT: usize = 1;

/// Queues a task over a parameter, its gradient and its state, and returns the parameter and the
/// state after it. `task` creates the task from the step's number, which is the state's counter
/// too.
///
/// # Panics
/// If the tensors are not on a wgpu device, or [`check`] finds an error: Burn's trait has no way to
/// return one. With fusion, later errors are reported where the tensors are read.
pub(crate) fn update<R: Rule, T: Task, const D: usize>(
    rule: &R,
    tensor: Tensor<D>,
    gradient: Tensor<D>,
    state: Option<OptimState<R, D>>,
    task: impl FnOnce(Arc<AtomicU64>) -> T,
) -> (Tensor<D>, OptimState<R, D>) {
    let device = tensor.device();
    let primitives = check(rule, &tensor, &gradient, state.as_ref()).and_then(|()| {
        let mut state = state.unwrap_or_else(|| OptimState::new(rule, &tensor));
        let vectors = std::mem::take(&mut state.vectors);
        let tensors = [tensor, gradient].into_iter().chain(vectors);
        let primitive = |tensor: Tensor<D>| {
            let mismatch = |error| OptimError::Tensor(format!("{error:?}"));
            tensor.try_into_primitive::<Wgpu>().map_err(mismatch)
        };
        Ok((state, tensors.map(primitive).collect::<Result<Vec<_>, _>>()?))
    });
    let (state, primitives) = match primitives {
        Ok(primitives) => primitives,
        Err(error) => panic!("{error}"),
    };
    let steps = Arc::new(AtomicU64::new(state.steps() + 1));
    let updated = match queue(primitives, task(Arc::clone(&steps)), &device) {
        Ok(updated) => updated,
        Err(error) => panic!("{error}"),
    };
    let mut updated = updated.into_iter().map(Tensor::from_primitive::<Wgpu>);
    let Some(tensor) = updated.next() else { unreachable!("a parameter goes in and comes out") };
    (tensor, state.stepped(updated.collect(), steps))
}

/// Checks that a parameter can be stepped: all tensors are f32 on a wgpu device and have the same
/// shape, and the state is this rule's. The kernels rely on it: Burn's runtime compiles WGSL
/// without bounds checks.
pub(crate) fn check<R: Rule, const D: usize>(
    rule: &R,
    tensor: &Tensor<D>,
    gradient: &Tensor<D>,
    state: Option<&OptimState<R, D>>,
) -> Result<(), OptimError> {
    let shape = tensor.shape();
    check_tensor("the parameter", tensor, &shape)?;
    check_tensor("the gradient", gradient, &shape)?;
    state.map_or(Ok(()), |state| state.check(rule, &shape))
}

/// Checks the learning rate of a step. One that f32 holds only as a subnormal counts as 0, since
/// schedules decay that far and devices differ there.
pub(crate) fn checked_rate<R: Rule>(rule: &R, learning_rate: f64) -> Result<f64, OptimError> {
    let learning_rate = if (learning_rate as f32).is_subnormal() { 0.0 } else { learning_rate };
    let mut rule = *rule;
    rule.set_learning_rate(learning_rate as f32);
    rule.validate()?;
    Ok(learning_rate)
}

/// A tensor as the update needs it: contiguous and, if it is written, the only owner of its memory.
fn own(tensor: CubeTensor, written: bool, task: &impl Task) -> CubeTensor {
    let contiguous = tensor.is_contiguous() && !tensor.meta.tiling.is_tiled();
    let tensor = if contiguous {
        tensor
    } else {
        task.copied();
        burn_cubecl::kernel::into_contiguous(tensor)
    };
    if written && !is_ours(&tensor) {
        task.copied();
        return tensor.copy();
    }
    tensor
}

/// Whether nothing else will read the memory of a tensor. Burn's records read lazily and until then
/// hold only a binding, not a tensor. Kernels that have not been submitted hold bindings too. If a
/// binding remains after these are submitted, it belongs to a record.
fn is_ours(tensor: &CubeTensor) -> bool {
    let is_bound = || tensor.handle.memory.is_bound();
    tensor.can_mut() && (!is_bound() || (flush(tensor).is_ok() && !is_bound()))
}

/// Submits all work that has been queued in a tensor's stream.
pub(crate) fn flush(tensor: &CubeTensor) -> Result<(), ServerError> {
    let mut client = tensor.client.clone();
    // SAFETY: the stream is that of a live handle, and is only flushed.
    #[allow(unsafe_code, reason = "cubecl offers no other way to flush a stream")]
    unsafe {
        client.set_stream(tensor.handle.stream);
    }
    client.flush()
}

/// Runs the task; returns all tensors but the gradient.
fn run(tensors: Vec<CubeTensor>, task: &impl Task) -> Result<Vec<CubeTensor>, OptimError> {
    let own = |(index, tensor)| own(tensor, index != GRADIENT, task);
    let tensors: Vec<_> = tensors.into_iter().enumerate().map(own).collect();
    let mut updated = tensors.clone();
    updated.remove(GRADIENT);
    task.run(tensors)?;
    Ok(updated)
}

#[cfg(not(feature = "fusion"))]
mod direct {
    use super::{CubeTensor, Device, OptimError, Task, run};

    /// Without fusion, nothing is queued.
    #[derive(Clone)]
    pub(crate) struct Queue;

    impl Queue {
        pub(crate) fn drain(self) -> Result<(), OptimError> {
            Ok(())
        }
    }

    pub(super) fn queue(
        tensors: Vec<CubeTensor>,
        task: impl Task,
        device: &Device,
    ) -> Result<Vec<CubeTensor>, OptimError> {
        task.queued(&Queue, device);
        run(tensors, &task)
    }
}

#[cfg(not(feature = "fusion"))]
pub(crate) use direct::Queue;
#[cfg(not(feature = "fusion"))]
use direct::queue;

#[cfg(feature = "fusion")]
mod fused {
    use super::{CubeBackend, CubeTensor, Device, GRADIENT, OptimError, Task, run};
    use burn::backend::ExecutionError;
    use burn::backend::fusion::custom::{
        CustomOpIr, HandleContainer, Operation, OperationIr, StreamId, TensorId, TensorIr,
    };
    use burn::backend::fusion::{Client, FusionBackend, FusionRuntime, FusionTensor};

    type Runtime = <CubeBackend as FusionBackend>::FusionRuntime;
    type Handle = <Runtime as FusionRuntime>::FusionHandle;

    /// Where operations wait until they are run.
    #[derive(Clone)]
    pub(crate) struct Queue(Client<Runtime>);

    impl Queue {
        /// Runs what this thread has queued.
        pub(crate) fn drain(self) -> Result<(), OptimError> {
            self.0.try_sync(|| ()).map_err(|error| OptimError::Runtime(format!("{error:?}")))
        }
    }

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
            let updated = run(tensors, &self.task)
                .map_err(|error| ExecutionError::generic(error.to_string()))?;
            for (id, tensor) in self.outputs.iter().zip(updated) {
                handles.register_float_tensor::<CubeBackend>(id, tensor);
            }
            Ok(())
        }
    }

    pub(super) fn queue<T: Task>(
        tensors: Vec<FusionTensor<Runtime>>,
        task: T,
        device: &Device,
    ) -> Result<Vec<FusionTensor<Runtime>>, OptimError> {
        let client = tensors[0].client.clone();
        task.queued(&Queue(client.clone()), device);
        let output = |(index, tensor): (usize, &FusionTensor<Runtime>)| {
            let id = client.create_empty_handle();
            (index != GRADIENT).then(|| TensorIr::uninit(id, tensor.shape.clone(), tensor.dtype))
        };
        let outputs: Vec<_> = tensors.iter().enumerate().filter_map(output).collect();
        let inputs: Vec<_> = tensors.into_iter().map(FusionTensor::into_ir).collect();
        let operation = OperationIr::Custom(CustomOpIr::new("wgpu-optim", &inputs, &outputs));
        let outputs = outputs.iter().map(|ir| ir.id).collect();
        Ok(client.register(StreamId::current(), operation, Update { inputs, outputs, task }))
    }
}

#[cfg(feature = "fusion")]
pub(crate) use fused::Queue;
#[cfg(feature = "fusion")]
use fused::queue;
