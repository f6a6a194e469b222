//! Parity of Adagrad with the frameworks, for any engine: the golden files, their inputs, and the
//! comparison. Start at [`check`] and [`regressions::ALL`]. README.md derives the bound.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod bound;
mod file;
pub(crate) mod gradients;
pub(crate) mod regressions;

pub(crate) use bound::Arithmetic;
use bound::{Drift, Step};
pub(crate) use file::{Case, Golden, golden_files};
use wgpu_optim::numerics::ulp_distance;
use wgpu_optim::{Adagrad, Rule, WeightDecay};

/// Something that takes Adagrad steps.
pub(crate) trait Engine {
    /// Its rounding errors.
    fn arithmetic(&self) -> Arithmetic;

    /// An optimizer over a copy of `x`.
    fn start(&self, rule: Adagrad, x: &[f32]) -> Box<dyn Run + '_>;
}

/// A run of an optimizer.
pub(crate) trait Run {
    /// Sets the base learning rate from the next step on.
    fn set_learning_rate(&mut self, learning_rate: f32);

    /// Takes one step.
    fn step(&mut self, gradients: &[f32]) -> After;
}

/// All vectors after a step, each as the step left it.
#[derive(Debug)]
pub(crate) struct After {
    pub(crate) x: Vec<f32>,
    pub(crate) s: Vec<f32>,
    /// Unchanged, if all is well.
    pub(crate) gradients: Vec<f32>,
}

/// The largest differences of one case, over all its lengths, shown steps and elements.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Measured {
    /// The difference as a fraction of the derived bound.
    pub(crate) x_of_bound: f64,
    pub(crate) s_of_bound: f64,
    /// The difference in ULP.
    pub(crate) x_distance: u32,
    pub(crate) s_distance: u32,
    /// In ULP of x for each step taken, without the updates that the framework skips.
    pub(crate) x_per_step: f64,
    /// The derived bound in that unit.
    pub(crate) bound_per_step: f64,
}

/// A second bound, for engines that round correctly, in ULP of x for each step taken.
const X_ULPS_PER_STEP: f64 = 4.0;

/// Runs `case` on `engine` and compares it with the framework.
///
/// # Errors
/// Names the first element outside the bound.
pub(crate) fn check(engine: &dyn Engine, golden: &Golden, case: &Case) -> Result<Measured, String> {
    let mut measured = Measured::default();
    for (&len, indices) in &golden.indices {
        let (mut rule, mut x) = (case.rule, gradients::initial(golden.seed, len));
        let mut run = engine.start(rule, &x);
        let mut drifts = vec![Drift::default(); indices.len()];
        for number in 1..=golden.steps {
            if let Some((from, learning_rate)) = case.change
                && from == number
            {
                run.set_learning_rate(learning_rate);
                rule.set_learning_rate(learning_rate);
            }
            let gradients = gradients::gradients(golden.seed, number, len);
            let after = run.step(&gradients);
            let shown = case.shown.get(&(len, number));
            for (k, (&index, drift)) in indices.iter().zip(&mut drifts).enumerate() {
                let step = Step {
                    learning_rate: rule.uniforms(number).learning_rate.into(),
                    gradient: gradients[index],
                    x_before: x[index],
                    x_after: after.x[index],
                    s_after: after.s[index],
                };
                drift.advance(&rule, golden.framework, engine.arithmetic(), &step);
                let Some(shown) = shown else { continue };
                let pairs = [(after.x[index], shown.x[k]), (after.s[index], shown.s[k])];
                let allowed = allowed(engine, golden, case, drift);
                compare(drift, pairs, allowed, &mut measured).map_err(|what| {
                    let Golden { framework, .. } = golden;
                    let name = &case.name;
                    format!("{framework} {name}: length {len}, step {number}, [{index}]: {what}")
                })?;
            }
            x = after.x;
        }
    }
    Ok(measured)
}

/// By how much x and s may differ.
fn allowed(engine: &dyn Engine, golden: &Golden, case: &Case, drift: &Drift) -> [f64; 2] {
    if engine.arithmetic() != Arithmetic::NEAREST {
        return [drift.x, drift.s];
    }
    // TensorFlow runs Keras' update one correctly rounded operation at a time, in our order, so it
    // has our bits. It differs only in the scalars of decay, and in an accumulator that starts at 0
    // and whose first squares are flushed.
    let identical = golden.framework == "keras"
        && case.rule.learning_rate_decay == 0.0
        && case.rule.weight_decay == WeightDecay::None
        && case.rule.initial_accumulator > 0.0;
    let steps = X_ULPS_PER_STEP * drift.x_ulps + drift.left_out;
    if identical { [0.0; 2] } else { [drift.x.min(steps), drift.s] }
}

/// Compares x and s, each as a pair of (ours, theirs).
fn compare(
    drift: &Drift,
    pairs: [(f32, f32); 2],
    allowed: [f64; 2],
    measured: &mut Measured,
) -> Result<(), String> {
    let [x, s] = pairs.map(|(ours, theirs)| (f64::from(ours) - f64::from(theirs)).abs());
    let [x_distance, s_distance] = pairs.map(|(ours, theirs)| ulp_distance(ours, theirs));
    let per_step = |difference: f64| (difference - drift.left_out).max(0.0) / drift.x_ulps;
    for (k, (name, difference)) in [("x", x), ("s", s)].into_iter().enumerate() {
        let ((ours, theirs), allowed) = (pairs[k], allowed[k]);
        if difference.is_nan() || difference > allowed {
            return Err(format!(
                "{name} is {ours:e} (0x{:08x}), the framework's {theirs:e} (0x{:08x}): \
                 {difference:e} apart, allowed {allowed:e}",
                ours.to_bits(),
                theirs.to_bits()
            ));
        }
    }
    *measured = Measured {
        x_of_bound: measured.x_of_bound.max(x / drift.x),
        s_of_bound: measured.s_of_bound.max(s / drift.s),
        x_distance: measured.x_distance.max(x_distance),
        s_distance: measured.s_distance.max(s_distance),
        x_per_step: measured.x_per_step.max(per_step(x)),
        bound_per_step: measured.bound_per_step.max(per_step(drift.x)),
    };
    Ok(())
}
