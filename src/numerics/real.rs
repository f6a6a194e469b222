//! The scalar that a rule's update is written against.

/// f32 for the CPU engine, f64 for references and for tracing a textbook example by hand.
pub trait Real:
    num_traits::Float + From<f32> + Into<f64> + Default + Send + Sync + 'static
{
    /// The hyper-parameter `value` in this type; exact, since every `Real` holds all of f32.
    #[inline(always)]
    fn of(value: f32) -> Self {
        <Self as From<f32>>::from(value)
    }
}

impl Real for f32 {}
impl Real for f64 {}
