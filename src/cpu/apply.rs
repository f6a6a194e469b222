//! The loop of a rule over slices: over elements, or over rows with shared state. The instruction
//! set is chosen at run time.

use super::columns::{Column, Columns};
use crate::numerics::canonical;
use crate::numerics::sum::mean_square;
use crate::rules::{MAX_STATE, MeanSquare, OwnSquare, Rule, RulePass, Square, StateElement};

/// Updates look for NaN once in so many elements, which costs less than to make each NaN canonical
/// where it arises.
const NAN_BLOCK: usize = 256;

/// What a guard does to a gradient before the rule sees it. By default nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Treatment {
    /// The factor of every gradient, if any.
    pub(super) scale: Option<f32>,
    /// Whether an element keeps its parameter and state if its gradient is not finite.
    pub(super) only_finite: bool,
}

/// What all elements of a step have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Update<R: Rule> {
    pub(super) rule: R,
    pub(super) uniforms: R::Uniforms,
    pub(super) treatment: Treatment,
    /// Whether a row shares the state vectors that it can share.
    pub(super) row_wise: bool,
}

/// Applies the rule to every element of `columns`, on this thread. The gradients are contiguous.
pub(super) fn apply_rule<R: Rule>(update: &Update<R>, columns: &mut Columns<'_>, grads: &[f32]) {
    let Treatment { scale, only_finite } = update.treatment;
    // Loops with and without a treatment are compiled separately: without one, it costs nothing.
    let arch = arch();
    match (scale.is_some() || only_finite, update.row_wise) {
        (false, false) => arch.dispatch(SliceLoop::<R, false, false> { update, columns, grads }),
        (true, false) => arch.dispatch(SliceLoop::<R, true, false> { update, columns, grads }),
        (false, true) => arch.dispatch(SliceLoop::<R, false, true> { update, columns, grads }),
        (true, true) => arch.dispatch(SliceLoop::<R, true, true> { update, columns, grads }),
    }
}

/// The instructions to use: the machine's widest, or with `--cfg wgpu_optim_avx2` those of AVX2, to
/// measure them on a machine that has more.
fn arch() -> pulp::Arch {
    #[cfg(all(wgpu_optim_avx2, target_arch = "x86_64"))]
    if let Some(avx2) = pulp::x86::V3::try_new() {
        return pulp::Arch::V3(avx2);
    }
    pulp::Arch::new()
}

/// A loop that is compiled once for each instruction set.
struct SliceLoop<'a, 'c, R: Rule, const TREATED: bool, const ROW_WISE: bool> {
    update: &'a Update<R>,
    columns: &'a mut Columns<'c>,
    grads: &'a [f32],
}

impl<R: Rule, const TREATED: bool, const ROW_WISE: bool> pulp::NullaryFnOnce
    for SliceLoop<'_, '_, R, TREATED, ROW_WISE>
{
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.update.rule.specialize(self);
    }
}

/// Runs the loop with a rule whose choices of formula may be literals.
impl<R: Rule, const TREATED: bool, const ROW_WISE: bool> RulePass<R>
    for SliceLoop<'_, '_, R, TREATED, ROW_WISE>
{
    #[inline(always)]
    fn run(self, rule: R) {
        let element = Element::<R, TREATED, ROW_WISE>(Update { rule, ..*self.update });
        match ROW_WISE {
            true => element.run_rows(self.columns, self.grads),
            false => element.run_all(self.columns, self.grads),
        }
    }
}

/// The update of one element, and loops over elements. These are methods, not closures, because
/// only functions that are always inlined are compiled for the instruction set of the loop around
/// them.
#[derive(Clone, Copy)]
struct Element<R: Rule, const TREATED: bool, const ROW_WISE: bool>(Update<R>);

impl<R: Rule, const TREATED: bool, const ROW_WISE: bool> Element<R, TREATED, ROW_WISE> {
    /// Whether each element has its own value in state vector `k`.
    #[inline(always)]
    fn owns(&self, k: usize) -> bool {
        self.0.rule.uses_state(k) && !self.shares(k)
    }

    /// Whether a row has one value in state vector `k`.
    #[inline(always)]
    fn shares(&self, k: usize) -> bool {
        ROW_WISE && self.0.rule.uses_state(k) && self.0.rule.can_share(k)
    }

    /// The number of state vectors with a value for each element.
    #[inline(always)]
    fn own_vectors(&self) -> usize {
        (0..R::STATE.len()).filter(|&k| self.owns(k)).count()
    }

    /// Whether an element keeps its parameter and its own state.
    #[inline(always)]
    fn skips(&self, gradient: f32) -> bool {
        TREATED && self.0.treatment.only_finite & !gradient.is_finite()
    }

    /// The gradient that the rule sees.
    #[inline(always)]
    fn treated(&self, gradient: f32) -> f32 {
        // A factor of 1 changes no number.
        if TREATED { gradient * self.0.treatment.scale.unwrap_or(1.0) } else { gradient }
    }

    /// The new parameter. `own` is the state that the element does not share; `state` has the
    /// shared values. Any NaN is as the processor made it.
    #[inline(always)]
    fn update<const OWN: usize>(
        &self,
        x: f32,
        gradient: f32,
        square: impl Square<f32>,
        state: &mut R::State<f32>,
        own: &mut [f32; OWN],
    ) -> f32 {
        let before = *own;
        let mut next = 0;
        for (k, value) in state.as_mut().iter_mut().enumerate() {
            if next < OWN && self.owns(k) {
                *value = before[next];
                next += 1;
            }
        }
        let treated = self.treated(gradient);
        let updated = self.0.rule.update(&self.0.uniforms, x, treated, square, state);
        let skipped = self.skips(gradient);
        let mut next = 0;
        for (k, &value) in state.as_ref().iter().enumerate() {
            if next < OWN && self.owns(k) {
                own[next] = if skipped { before[next] } else { value };
                next += 1;
            }
        }
        if skipped { x } else { updated }
    }

    /// Updates elements in order, and returns the new shared state.
    #[inline(always)]
    fn run<const OWN: usize>(
        &self,
        params: &mut [f32],
        grads: &[f32],
        square: impl Square<f32>,
        shared: R::State<f32>,
        mut own: [&mut [f32]; OWN],
    ) -> R::State<f32> {
        let len = params.len();
        let grads = &grads[..len];
        for vector in &mut own {
            *vector = &mut std::mem::take(vector)[..len];
        }
        let mut after = shared;
        let mut start = 0;
        while start < len {
            let block = start..len.min(start + NAN_BLOCK);
            let mut has_nan = false;
            for index in block.clone() {
                let mut state = shared;
                let mut values = std::array::from_fn(|k| own[k][index]);
                let (x, gradient) = (params[index], grads[index]);
                let x = self.update::<OWN>(x, gradient, square, &mut state, &mut values);
                params[index] = x;
                has_nan |= x.is_nan();
                for k in 0..OWN {
                    own[k][index] = values[k];
                    has_nan |= values[k].is_nan();
                }
                after = state;
            }
            if has_nan {
                self.mend(&mut params[block.clone()], &grads[block.clone()]);
                for vector in &mut own {
                    self.mend(&mut vector[block.clone()], &grads[block.clone()]);
                }
            }
            start = block.end;
        }
        after
    }

    /// Makes every NaN in updated elements canonical.
    #[cold]
    fn mend(&self, values: &mut [f32], grads: &[f32]) {
        for (value, &gradient) in values.iter_mut().zip(grads) {
            if !self.skips(gradient) {
                *value = canonical(*value);
            }
        }
    }

    /// Updates all elements, each with its own state.
    #[inline(always)]
    fn run_all(self, columns: &mut Columns<'_>, grads: &[f32]) {
        let ([a, b, c], _) = self.sorted(&mut columns.state);
        let params = &mut *columns.params.values;
        let none = R::State::from_fn(|_| 0.0);
        // For a specialized rule, the number is a compile-time constant.
        match self.own_vectors() {
            0 => self.run(params, grads, OwnSquare, none, []),
            1 => self.run(params, grads, OwnSquare, none, [a]),
            2 => self.run(params, grads, OwnSquare, none, [a, b]),
            _ => self.run(params, grads, OwnSquare, none, [a, b, c]),
        };
    }

    /// The state vectors of single elements, in order and without gaps, and those that rows share,
    /// by their index.
    #[inline(always)]
    fn sorted<'a>(
        &self,
        state: &'a mut [Column<'_>; MAX_STATE],
    ) -> ([&'a mut [f32]; MAX_STATE], [&'a mut [f32]; MAX_STATE]) {
        let (mut own, mut shared): ([&mut [f32]; _], [&mut [f32]; _]) = Default::default();
        let mut next = 0;
        for (k, column) in state.iter_mut().enumerate().take(R::STATE.len()) {
            if self.shares(k) {
                shared[k] = &mut *column.values;
            } else if self.owns(k) {
                own[next] = &mut *column.values;
                next += 1;
            }
        }
        (own, shared)
    }

    /// Updates each row with its mean square.
    #[inline(always)]
    fn run_rows(self, columns: &mut Columns<'_>, grads: &[f32]) {
        let (mut own, shared) = self.sorted(&mut columns.state);
        let width = columns.params.width;
        let rows = columns.params.values.chunks_exact_mut(width).zip(grads.chunks_exact(width));
        for (row, (params, grads)) in rows.enumerate() {
            let before = R::State::from_fn(|k| if self.shares(k) { shared[k][row] } else { 0.0 });
            let square = MeanSquare(mean_square(grads, |gradient| match self.skips(gradient) {
                true => 0.0,
                false => self.treated(gradient) * self.treated(gradient),
            }));
            let range = row * width..(row + 1) * width;
            let [a, b, _] = &mut own;
            let after = match self.own_vectors() {
                0 => self.run(params, grads, square, before, []),
                1 => self.run(params, grads, square, before, [&mut a[range]]),
                // A rule that shares at least one of at most three vectors has at most two others.
                _ => {
                    let own = [&mut a[range.clone()], &mut b[range]];
                    self.run(params, grads, square, before, own)
                }
            };
            for (k, &value) in after.as_ref().iter().enumerate() {
                if self.shares(k) {
                    shared[k][row] = canonical(value);
                }
            }
        }
    }
}
