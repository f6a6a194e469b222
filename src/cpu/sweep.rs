//! One pass of a rule over slices: threads for long ones, SIMD chosen at run time.

use crate::numerics::canonical;
use crate::rules::{Rule, RulePass, StateElement};

/// Elements that one thread must have before waking another pays: 64 Ki elements are 1.25 MiB
/// of traffic, some tens of microseconds, against a few for the wake-up.
const ELEMENTS_PER_THREAD: usize = 1 << 16;

/// The slices of one pass; all of the same length.
pub(super) struct Slices<'a> {
    pub(super) params: &'a mut [f32],
    pub(super) grads: &'a [f32],
    pub(super) state: Vec<&'a mut [f32]>,
}

impl<'a> Slices<'a> {
    fn split_at(self, middle: usize) -> (Self, Self) {
        let (params, params_rest) = self.params.split_at_mut(middle);
        let (grads, grads_rest) = self.grads.split_at(middle);
        let (state, state_rest) = self.state.into_iter().map(|s| s.split_at_mut(middle)).unzip();
        (
            Self { params, grads, state },
            Self { params: params_rest, grads: grads_rest, state: state_rest },
        )
    }
}

/// What becomes of a gradient before the rule sees it. By default nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Treatment {
    /// What it is multiplied by.
    pub(super) scale: Option<f32>,
    /// Whether an element keeps parameter and state if it is not finite.
    pub(super) only_finite: bool,
}

/// Applies `rule` to every element. Each treatment is a loop of its own, so that it costs the
/// others nothing.
pub(super) fn sweep<R: Rule>(
    rule: &R,
    uniforms: &R::Uniforms,
    slices: Slices<'_>,
    treatment: Treatment,
) {
    let Treatment { scale, only_finite } = treatment;
    match (scale, only_finite) {
        (None, false) => {
            sweep_all(&Sweep::<R, false, false> { rule, uniforms, scale: 1.0 }, slices);
        }
        (None, true) => sweep_all(&Sweep::<R, false, true> { rule, uniforms, scale: 1.0 }, slices),
        (Some(scale), false) => {
            sweep_all(&Sweep::<R, true, false> { rule, uniforms, scale }, slices);
        }
        (Some(scale), true) => {
            sweep_all(&Sweep::<R, true, true> { rule, uniforms, scale }, slices);
        }
    }
}

/// What is the same for every element.
#[derive(Debug)]
struct Sweep<'a, R: Rule, const SCALED: bool, const ONLY_FINITE: bool> {
    rule: &'a R,
    uniforms: &'a R::Uniforms,
    /// Unused unless `SCALED`.
    scale: f32,
}

fn sweep_all<R: Rule, const SCALED: bool, const ONLY_FINITE: bool>(
    sweep: &Sweep<'_, R, SCALED, ONLY_FINITE>,
    slices: Slices<'_>,
) {
    let threads = threads(slices.params.len());
    sweep_threads(sweep, slices, threads);
}

/// How many threads a pass over `len` elements has.
pub(super) fn threads(len: usize) -> usize {
    let tasks = len / ELEMENTS_PER_THREAD;
    // The number of threads is asked for only when there is work for more than one: asking
    // starts the pool.
    if tasks > 1 { tasks.min(rayon::current_num_threads()) } else { 1 }
}

/// Splits the work into `threads` runs of nearly equal length.
fn sweep_threads<R: Rule, const SCALED: bool, const ONLY_FINITE: bool>(
    sweep: &Sweep<'_, R, SCALED, ONLY_FINITE>,
    slices: Slices<'_>,
    threads: usize,
) {
    if threads <= 1 {
        pulp::Arch::new().dispatch(Pass { sweep, slices });
        return;
    }
    let left_threads = threads / 2;
    // Multiples of 16 elements keep both halves on whole cache lines if the whole was.
    let middle = (slices.params.len() / threads * left_threads) & !15;
    let (left, right) = slices.split_at(middle);
    rayon::join(
        || sweep_threads(sweep, left, left_threads),
        || sweep_threads(sweep, right, threads - left_threads),
    );
}

/// The update of one element. A method rather than a closure: only what is always inlined is
/// compiled for the instruction set of the loop around it.
struct Element<R: Rule, const SCALED: bool, const ONLY_FINITE: bool> {
    rule: R,
    uniforms: R::Uniforms,
    scale: f32,
}

impl<R: Rule, const SCALED: bool, const ONLY_FINITE: bool> Element<R, SCALED, ONLY_FINITE> {
    #[inline(always)]
    fn update(&self, x: f32, gradient: f32, state: &mut R::State<f32>) -> f32 {
        let before = *state;
        let g = if SCALED { gradient * self.scale } else { gradient };
        let updated = canonical(self.rule.update(&self.uniforms, x, g, state));
        let kept = ONLY_FINITE && !gradient.is_finite();
        for (value, &before) in state.as_mut().iter_mut().zip(before.as_ref()) {
            *value = if kept { before } else { canonical(*value) };
        }
        if kept { x } else { updated }
    }
}

/// The loop that is compiled once for each instruction set.
struct Pass<'a, R: Rule, const SCALED: bool, const ONLY_FINITE: bool> {
    sweep: &'a Sweep<'a, R, SCALED, ONLY_FINITE>,
    slices: Slices<'a>,
}

impl<R: Rule, const SCALED: bool, const ONLY_FINITE: bool> pulp::NullaryFnOnce
    for Pass<'_, R, SCALED, ONLY_FINITE>
{
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { sweep, slices } = self;
        let (uniforms, scale) = (*sweep.uniforms, sweep.scale);
        sweep.rule.specialize(Loop::<R, SCALED, ONLY_FINITE> { uniforms, scale, slices });
    }
}

/// The loop, for a rule whose choices of formula may be literal.
struct Loop<'a, R: Rule, const SCALED: bool, const ONLY_FINITE: bool> {
    uniforms: R::Uniforms,
    scale: f32,
    slices: Slices<'a>,
}

impl<R: Rule, const SCALED: bool, const ONLY_FINITE: bool> RulePass<R>
    for Loop<'_, R, SCALED, ONLY_FINITE>
{
    #[inline(always)]
    fn run(self, rule: R) {
        let Self { uniforms, scale, slices } = self;
        let element = Element::<R, SCALED, ONLY_FINITE> { rule, uniforms, scale };
        let len = slices.params.len();
        let (params, grads) = (slices.params, &slices.grads[..len]);
        match <[_; 1]>::try_from(slices.state) {
            Ok([state]) => {
                let state = &mut state[..len];
                for ((x, &g), s) in params.iter_mut().zip(grads).zip(state) {
                    let mut values = <R::State<f32> as StateElement<f32>>::from_fn(|_| *s);
                    *x = element.update(*x, g, &mut values);
                    *s = values.as_ref()[0];
                }
            }
            Err(mut state) => {
                for index in 0..len {
                    let mut values =
                        <R::State<f32> as StateElement<f32>>::from_fn(|k| state[k][index]);
                    params[index] = element.update(params[index], grads[index], &mut values);
                    for (vector, &value) in state.iter_mut().zip(values.as_ref()) {
                        vector[index] = value;
                    }
                }
            }
        }
    }
}
