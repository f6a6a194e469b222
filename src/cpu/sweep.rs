//! One pass of a rule over slices: threads for long ones, SIMD chosen at run time.

use crate::numerics::canonical;
use crate::numerics::sum::mean_square;
use crate::rules::{MeanSquare, OwnSquare, Rule, RulePass, StateElement};

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

/// Applies `rule` to every element. A treatment has a loop of its own, so that it costs nothing
/// where there is none.
pub(super) fn sweep<R: Rule>(
    rule: &R,
    uniforms: &R::Uniforms,
    slices: Slices<'_>,
    treatment: Treatment,
) {
    let Treatment { scale, only_finite } = treatment;
    let treated = scale.is_some() || only_finite;
    // A factor of 1 changes no number.
    let element = Element { rule: *rule, uniforms: *uniforms, scale: scale.unwrap_or(1.0) };
    match (treated, only_finite) {
        (false, _) => sweep_all::<R, false, false>(element, slices),
        (true, false) => sweep_all::<R, true, false>(element, slices),
        (true, true) => sweep_all::<R, true, true>(element, slices),
    }
}

fn sweep_all<R: Rule, const SCALED: bool, const ONLY_FINITE: bool>(
    element: Element<R>,
    slices: Slices<'_>,
) {
    let threads = threads(slices.params.len());
    sweep_threads::<R, SCALED, ONLY_FINITE>(element, slices, threads);
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
    element: Element<R>,
    slices: Slices<'_>,
    threads: usize,
) {
    if threads <= 1 {
        pulp::Arch::new().dispatch(Pass::<R, SCALED, ONLY_FINITE> { element, slices });
        return;
    }
    let left_threads = threads / 2;
    // Multiples of 16 elements keep both halves on whole cache lines if the whole was.
    let middle = (slices.params.len() / threads * left_threads) & !15;
    let (left, right) = slices.split_at(middle);
    rayon::join(
        || sweep_threads::<R, SCALED, ONLY_FINITE>(element, left, left_threads),
        || sweep_threads::<R, SCALED, ONLY_FINITE>(element, right, threads - left_threads),
    );
}

/// What is the same for every element, and the update of one. A method rather than a closure:
/// only what is always inlined is compiled for the instruction set of the loop around it.
#[derive(Clone, Copy)]
struct Element<R: Rule> {
    rule: R,
    uniforms: R::Uniforms,
    scale: f32,
}

impl<R: Rule> Element<R> {
    /// `used` holds those state vectors that the rule has.
    #[inline(always)]
    fn update<const SCALED: bool, const ONLY_FINITE: bool, const USED: usize>(
        &self,
        x: f32,
        gradient: f32,
        used: &mut [f32; USED],
    ) -> f32 {
        let before = *used;
        let mut state = <R::State<f32> as StateElement<f32>>::from_fn(|_| 0.0);
        let mut next = 0;
        for (k, value) in state.as_mut().iter_mut().enumerate() {
            if next < USED && self.rule.uses_state(k) {
                *value = before[next];
                next += 1;
            }
        }
        let g = if SCALED { gradient * self.scale } else { gradient };
        let updated = canonical(self.rule.update(&self.uniforms, x, g, OwnSquare, &mut state));
        let kept = ONLY_FINITE && !gradient.is_finite();
        let mut next = 0;
        for (k, &value) in state.as_ref().iter().enumerate() {
            if next < USED && self.rule.uses_state(k) {
                used[next] = if kept { before[next] } else { canonical(value) };
                next += 1;
            }
        }
        if kept { x } else { updated }
    }

    /// The loop over all elements, for a rule with `USED` state vectors.
    #[inline(always)]
    fn run<const SCALED: bool, const ONLY_FINITE: bool, const USED: usize>(
        &self,
        params: &mut [f32],
        grads: &[f32],
        state: [&mut [f32]; USED],
    ) {
        let len = params.len();
        let grads = &grads[..len];
        let state = state.map(|vector| &mut vector[..len]);
        for index in 0..len {
            let mut used = std::array::from_fn(|k| state[k][index]);
            params[index] =
                self.update::<SCALED, ONLY_FINITE, USED>(params[index], grads[index], &mut used);
            for k in 0..USED {
                state[k][index] = used[k];
            }
        }
    }
}

impl<R: Rule> Element<R> {
    /// One row, whose shared state is `before`; gives what it becomes. `own` has the other vectors.
    #[inline(always)]
    fn run_row<const OWN: usize>(
        &self,
        before: R::State<f32>,
        params: &mut [f32],
        grads: &[f32],
        own: [&mut [f32]; OWN],
    ) -> R::State<f32> {
        let len = params.len();
        let grads = &grads[..len];
        let own = own.map(|vector| &mut vector[..len]);
        let square = MeanSquare(mean_square(grads));
        let mut after = before;
        for index in 0..len {
            let mut state = before;
            let mut next = 0;
            for (k, value) in state.as_mut().iter_mut().enumerate() {
                if next < OWN && self.rule.uses_state(k) && !self.rule.can_share(k) {
                    *value = own[next][index];
                    next += 1;
                }
            }
            let (x, g) = (params[index], grads[index]);
            params[index] = canonical(self.rule.update(&self.uniforms, x, g, square, &mut state));
            let mut next = 0;
            for (k, &value) in state.as_ref().iter().enumerate() {
                if next < OWN && self.rule.uses_state(k) && !self.rule.can_share(k) {
                    own[next][index] = canonical(value);
                    next += 1;
                }
            }
            after = state;
        }
        after
    }
}

/// The loop that is compiled once for each instruction set.
struct Pass<'a, R: Rule, const SCALED: bool, const ONLY_FINITE: bool> {
    element: Element<R>,
    slices: Slices<'a>,
}

impl<R: Rule, const SCALED: bool, const ONLY_FINITE: bool> pulp::NullaryFnOnce
    for Pass<'_, R, SCALED, ONLY_FINITE>
{
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let rule = self.element.rule;
        rule.specialize(self);
    }
}

/// For a rule whose choices of formula may be literal.
impl<R: Rule, const SCALED: bool, const ONLY_FINITE: bool> RulePass<R>
    for Pass<'_, R, SCALED, ONLY_FINITE>
{
    #[inline(always)]
    fn run(self, rule: R) {
        let Slices { params, grads, mut state } = self.slices;
        let element = Element { rule, ..self.element };
        // No rule has more than `MOST_STATE` state vectors: see `CpuOptimizer::new`.
        match state.as_mut_slice() {
            [] => element.run::<SCALED, ONLY_FINITE, 0>(params, grads, []),
            [a] => element.run::<SCALED, ONLY_FINITE, 1>(params, grads, [a]),
            [a, b] => element.run::<SCALED, ONLY_FINITE, 2>(params, grads, [a, b]),
            [a, b, c, ..] => element.run::<SCALED, ONLY_FINITE, 3>(params, grads, [a, b, c]),
        }
    }
}

/// Slices of whole rows, whose state vectors that can be shared have one value a row.
pub(super) struct RowSlices<'a> {
    pub(super) slices: Slices<'a>,
    /// Elements of a row.
    pub(super) width: usize,
}

/// Applies `rule` to rows, in each with the mean square of its gradients; by this thread.
pub(super) fn sweep_rows<R: Rule>(rule: &R, uniforms: &R::Uniforms, rows: RowSlices<'_>) {
    let element = Element { rule: *rule, uniforms: *uniforms, scale: 1.0 };
    pulp::Arch::new().dispatch(RowPass { element, rows });
}

/// The loop over rows, compiled once for each instruction set.
struct RowPass<'a, R: Rule> {
    element: Element<R>,
    rows: RowSlices<'a>,
}

impl<R: Rule> pulp::NullaryFnOnce for RowPass<'_, R> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let rule = self.element.rule;
        rule.specialize(self);
    }
}

impl<R: Rule> RulePass<R> for RowPass<'_, R> {
    #[inline(always)]
    fn run(self, rule: R) {
        let RowSlices { slices: Slices { params, grads, state }, width } = self.rows;
        let element = Element { rule, ..self.element };
        let used = (0..R::STATE.len()).filter(|&k| rule.uses_state(k));
        let (mut shared, mut own): (Vec<_>, Vec<_>) =
            used.zip(state).partition(|(k, _)| rule.can_share(*k));
        let rows = params.chunks_exact_mut(width).zip(grads.chunks_exact(width));
        for (row, (params, grads)) in rows.enumerate() {
            let mut before = <R::State<f32> as StateElement<f32>>::from_fn(|_| 0.0);
            for (k, values) in &shared {
                before.as_mut()[*k] = values[row];
            }
            let range = row * width..(row + 1) * width;
            let after = match own.as_mut_slice() {
                [] => element.run_row(before, params, grads, []),
                [(_, a)] => element.run_row(before, params, grads, [&mut a[range]]),
                // A rule that shares one of at most three has at most two of its own.
                [(_, a), (_, b), ..] => {
                    element.run_row(before, params, grads, [&mut a[range.clone()], &mut b[range]])
                }
            };
            for (k, values) in &mut shared {
                values[row] = canonical(after.as_ref()[*k]);
            }
        }
    }
}
