//! The state of one parameter, as Burn's records keep it.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use burn::backend::Wgpu;
use burn::optim::{RecordState, StateSink, StateSource};
use burn::tensor::{DType, Device, Shape, Tensor};
use burn_pack::Scalar;
use wgpu_optim::Rule;

use crate::error::OptimError;

/// The state of a parameter of rank `D` under the rule `R`: its state vectors as tensors of the
/// parameter's shape, and how many steps it has taken.
///
/// In a record, each vector has the name that [`Rule::STATE`] gives it, and the steps are `steps`.
#[derive(Clone, Debug)]
pub struct OptimState<R, const D: usize> {
    /// The vectors that the rule has, in the order of [`Rule::STATE`].
    pub(crate) vectors: Vec<Tensor<D>>,
    /// Steps taken. Each step has a counter of its own, so that a step that fails can decrement it.
    steps: Arc<AtomicU64>,
    /// The rule's names for the vectors.
    names: Vec<&'static str>,
    rule: PhantomData<fn() -> R>,
}

impl<R: Rule, const D: usize> OptimState<R, D> {
    /// The state before the first step of a parameter like `tensor`.
    pub(crate) fn new(rule: &R, tensor: &Tensor<D>) -> Self {
        let initial = rule.initial_state();
        let used = (0..R::STATE.len()).filter(|&index| rule.uses_state(index));
        // Of f32, whatever the device's default is.
        let options = (&tensor.device(), DType::F32);
        let vector = |index: usize| Tensor::full(tensor.shape(), initial.as_ref()[index], options);
        let vectors = used.map(vector).collect();
        Self { vectors, steps: Arc::default(), names: rule.state_names(), rule: PhantomData }
    }

    /// How many steps the parameter has taken.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }

    /// The state vectors, of the parameter's shape, in the order of [`OptimState::names`].
    #[must_use]
    pub fn vectors(&self) -> &[Tensor<D>] {
        &self.vectors
    }

    /// The names of the state vectors, as in [`Rule::STATE`].
    #[must_use]
    pub fn names(&self) -> &[&'static str] {
        &self.names
    }

    /// Checks that these are the vectors of `rule` for a parameter of this shape: a record may come
    /// from another choice of formula or another model.
    pub(crate) fn check(&self, rule: &R, shape: &Shape) -> Result<(), OptimError> {
        let (expected, found) = (rule.state_names(), self.names.clone());
        if found != expected {
            return Err(OptimError::State { expected, found });
        }
        let mut named = self.names.iter().zip(&self.vectors);
        named.try_for_each(|(what, vector)| check_tensor(what, vector, shape))
    }

    /// The same with other vectors and another count of steps.
    pub(crate) fn stepped(self, vectors: Vec<Tensor<D>>, steps: Arc<AtomicU64>) -> Self {
        Self { vectors, steps, ..self }
    }

    /// The same on another device.
    pub(crate) fn on(self, device: &Device) -> Self {
        let move_to = |vector: Tensor<D>| match vector.device() == *device {
            true => vector,
            false => vector.to_device(device),
        };
        Self { vectors: self.vectors.into_iter().map(move_to).collect(), ..self }
    }
}

/// Checks that a tensor of this name has f32 values, the parameter's shape, and a wgpu device.
pub(crate) fn check_tensor<const D: usize>(
    what: &'static str,
    tensor: &Tensor<D>,
    shape: &Shape,
) -> Result<(), OptimError> {
    if tensor.dtype() != DType::F32 {
        return Err(OptimError::Tensor(format!("{what} is of type {}", tensor.dtype().name())));
    }
    if tensor.shape() != *shape {
        let (expected, found) = (shape.to_vec(), tensor.shape().to_vec());
        return Err(OptimError::Shape { what, expected, found });
    }
    let on_wgpu = tensor.clone().try_into_primitive::<Wgpu>();
    on_wgpu.map(drop).map_err(|error| OptimError::Tensor(format!("{what}: {error:?}")))
}

impl<R: Rule, const D: usize> RecordState for OptimState<R, D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        for (name, vector) in self.names.iter().zip(&self.vectors) {
            let data = vector.to_data();
            // Burn reads memory when the data is first looked at, and steps write it in place.
            let _ = data.as_bytes();
            out.push_tensor(prefix, name, data);
        }
        out.push_scalar(prefix, "steps", Scalar::from(self.steps()));
    }

    fn state_unflatten(prefix: &str, source: &mut StateSource, device: &Device) -> Option<Self> {
        let steps = u64::try_from(source.take_scalar(prefix, "steps")?).ok()?;
        let taken =
            R::STATE.iter().filter_map(|&name| Some((name, source.take_tensor(prefix, name)?)));
        let (names, data): (Vec<_>, Vec<_>) = taken.unzip();
        let vector = |data| Tensor::from_data(data, (device, DType::F32));
        let vectors = data.into_iter().map(vector).collect();
        let steps = Arc::new(AtomicU64::new(steps));
        Some(Self { vectors, steps, names, rule: PhantomData })
    }
}
