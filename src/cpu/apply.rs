//! The loop of a rule over slices, with the instruction set chosen at run time: over elements, or
//! over rows that share a state.

use super::columns::{Column, Columns};
use crate::numerics::canonical;
use crate::numerics::sum::mean_square;
use crate::rules::{MAX_STATE, MeanSquare, OwnSquare, Rule, RulePass, Square, StateElement};

/// What becomes of a gradient before the rule sees it. By default nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Treatment {
    /// What it is multiplied by.
    pub(super) scale: Option<f32>,
    /// Whether an element keeps parameter and state if it is not finite.
    pub(super) only_finite: bool,
}

/// What is the same for every element of a step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Update<R: Rule> {
    pub(super) rule: R,
    pub(super) uniforms: R::Uniforms,
    pub(super) treatment: Treatment,
    /// Whether a row shares what it can of the state.
    pub(super) row_wise: bool,
}

/// Applies the rule to every element of `columns`, whose gradients lie side by side, on this thread.
pub(super) fn apply_rule<R: Rule>(update: &Update<R>, columns: &mut Columns<'_>, grads: &[f32]) {
    let Treatment { scale, only_finite } = update.treatment;
    // A treatment has a loop of its own, so that it costs nothing where there is none.
    let arch = pulp::Arch::new();
    match (scale.is_some() || only_finite, update.row_wise) {
        (false, false) => arch.dispatch(SliceLoop::<R, false, false> { update, columns, grads }),
        (true, false) => arch.dispatch(SliceLoop::<R, true, false> { update, columns, grads }),
        (false, true) => arch.dispatch(SliceLoop::<R, false, true> { update, columns, grads }),
        (true, true) => arch.dispatch(SliceLoop::<R, true, true> { update, columns, grads }),
    }
}

/// The loop that is compiled once for each instruction set.
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

/// For a rule whose choices of formula may be literal.
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

/// The update of one element, and of one after the other. Methods rather than closures: only what is
/// always inlined is compiled for the instruction set of the loop around it.
#[derive(Clone, Copy)]
struct Element<R: Rule, const TREATED: bool, const ROW_WISE: bool>(Update<R>);

impl<R: Rule, const TREATED: bool, const ROW_WISE: bool> Element<R, TREATED, ROW_WISE> {
    /// Whether each element has a value of its own in state vector number `k`.
    #[inline(always)]
    fn owns(&self, k: usize) -> bool {
        self.0.rule.uses_state(k) && !self.shares(k)
    }

    /// Whether a row has one value in state vector number `k`.
    #[inline(always)]
    fn shares(&self, k: usize) -> bool {
        ROW_WISE && self.0.rule.uses_state(k) && self.0.rule.can_share(k)
    }

    /// How many state vectors have a value for each element.
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

    /// The new parameter. `own` has the state that the element does not share, `state` what it does.
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
        let updated = canonical(self.0.rule.update(&self.0.uniforms, x, treated, square, state));
        let skipped = self.skips(gradient);
        let mut next = 0;
        for (k, &value) in state.as_ref().iter().enumerate() {
            if next < OWN && self.owns(k) {
                own[next] = if skipped { before[next] } else { canonical(value) };
                next += 1;
            }
        }
        if skipped { x } else { updated }
    }

    /// Updates elements one after the other, and gives what becomes of the state that they share.
    #[inline(always)]
    fn run<const OWN: usize>(
        &self,
        params: &mut [f32],
        grads: &[f32],
        square: impl Square<f32>,
        shared: R::State<f32>,
        own: [&mut [f32]; OWN],
    ) -> R::State<f32> {
        let len = params.len();
        let grads = &grads[..len];
        let own = own.map(|vector| &mut vector[..len]);
        let mut after = shared;
        for index in 0..len {
            let mut state = shared;
            let mut values = std::array::from_fn(|k| own[k][index]);
            params[index] =
                self.update::<OWN>(params[index], grads[index], square, &mut state, &mut values);
            for k in 0..OWN {
                own[k][index] = values[k];
            }
            after = state;
        }
        after
    }

    /// Updates all elements, each with a state of its own.
    #[inline(always)]
    fn run_all(self, columns: &mut Columns<'_>, grads: &[f32]) {
        let ([a, b, c], _) = self.sorted(&mut columns.state);
        let params = &mut *columns.params.values;
        let none = R::State::from_fn(|_| 0.0);
        // The number is known when a specialized rule is compiled.
        match self.own_vectors() {
            0 => self.run(params, grads, OwnSquare, none, []),
            1 => self.run(params, grads, OwnSquare, none, [a]),
            2 => self.run(params, grads, OwnSquare, none, [a, b]),
            _ => self.run(params, grads, OwnSquare, none, [a, b, c]),
        };
    }

    /// The state of single elements, in order and without gaps, and what rows share, by its number.
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

    /// Updates row after row, in each with the mean of its squares.
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
                // A rule that shares one of at most three has at most two of its own.
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
