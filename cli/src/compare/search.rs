//! The search for a rule's learning rate.

use std::ops::ControlFlow;

use crate::error::Error;

/// The rates tried first, as half decades from the rule's default.
const FIRST: std::ops::RangeInclusive<i32> = -2..=2;
/// The furthest rate tried, in half decades.
const LAST: i32 = 8;

/// A learning rate that was tried, and the loss by which to choose; none if the run diverged.
pub(super) struct Trial {
    pub(super) learning_rate: f32,
    pub(super) loss: Option<f64>,
}

/// The run with the lowest loss; of equal ones, that of the lowest rate.
pub(super) struct Best<T> {
    pub(super) learning_rate: f32,
    pub(super) loss: f64,
    pub(super) run: T,
}

/// All rates that were tried, in ascending order. Only the best run is kept.
pub(super) struct Trials<T> {
    pub(super) all: Vec<Trial>,
    pub(super) best: Option<Best<T>>,
}

impl<T> Trials<T> {
    /// Adds a run at this place of the order.
    fn insert(&mut self, at: usize, learning_rate: f32, result: Option<(f64, T)>) {
        let loss = result.as_ref().map(|&(loss, _)| loss).filter(|loss| !loss.is_nan());
        self.all.insert(at, Trial { learning_rate, loss });
        let Some((loss, run)) = result.filter(|_| loss.is_some()) else { return };
        let order = |best: &Best<T>| {
            loss.total_cmp(&best.loss).then(learning_rate.total_cmp(&best.learning_rate))
        };
        if self.best.as_ref().is_none_or(|best| order(best).is_lt()) {
            self.best = Some(Best { learning_rate, loss, run });
        }
    }

    /// The place of the best run in the order. None if all diverged.
    fn best_place(&self) -> Option<usize> {
        let best = self.best.as_ref()?;
        self.all.iter().position(|trial| trial.learning_rate == best.learning_rate)
    }

    /// Whether the best rate is the lowest or the highest of several, so that a rate beyond it may be
    /// better. A rate next to one that diverged is neither.
    pub(super) fn at_edge(&self) -> bool {
        let last = self.all.len().saturating_sub(1);
        last > 0 && self.best_place().is_some_and(|best| best == 0 || best == last)
    }

    /// Tries these rates.
    pub(super) fn at(
        rates: &[f32],
        mut run: impl FnMut(f32) -> Result<Option<(f64, T)>, Error>,
    ) -> Result<Self, Error> {
        let mut trials = Self { all: Vec::new(), best: None };
        for (place, &rate) in rates.iter().enumerate() {
            trials.insert(place, rate, run(rate)?);
        }
        Ok(trials)
    }

    /// Tries rates around `own`. While the best one is the first or the last, tries rates beyond
    /// it.
    pub(super) fn around(
        own: f32,
        mut run: impl FnMut(f32) -> Result<Option<(f64, T)>, Error>,
    ) -> Result<Self, Error> {
        let (mut low, mut high) = FIRST.into_inner();
        let rates: Vec<f32> = (low..=high).map(|step| scaled(own, step)).collect();
        let mut trials = Self::at(&rates, &mut run)?;
        loop {
            let last = trials.all.len() - 1;
            let next = match trials.best_place() {
                // If all diverge, only a lower rate may help.
                None | Some(0) if low > -LAST => ControlFlow::Continue(low - 1),
                Some(best) if best == last && high < LAST => ControlFlow::Break(high + 1),
                _ => return Ok(trials),
            };
            match next {
                ControlFlow::Continue(step) => {
                    low = step;
                    let learning_rate = scaled(own, low);
                    trials.insert(0, learning_rate, run(learning_rate)?);
                }
                ControlFlow::Break(step) => {
                    high = step;
                    let learning_rate = scaled(own, high);
                    trials.insert(last + 1, learning_rate, run(learning_rate)?);
                }
            }
        }
    }
}

/// `own` times 10 to the power of `step / 2`, with 3 for the square root of 10. Computed from the
/// decimal text of `own`, so that 0.1 gives 0.3 exactly.
fn scaled(own: f32, step: i32) -> f32 {
    let root = if step % 2 == 0 { 1.0 } else { 3.0 };
    let own: f64 = own.to_string().parse().unwrap_or(f64::from(own));
    (own * root * 10f64.powi(step.div_euclid(2))) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rates tried where the loss is `loss` of them, the best one, and whether it is at the edge.
    fn search(loss: impl Fn(f32) -> Option<f64>) -> (Vec<f32>, Option<f32>, bool) {
        let trials = Trials::around(0.1, |rate| Ok(loss(rate).map(|loss| (loss, rate)))).unwrap();
        let rates = trials.all.iter().map(|trial| trial.learning_rate).collect();
        let best = trials.best.as_ref().map(|best| (best.learning_rate, best.run));
        assert!(best.is_none_or(|(rate, run)| rate == run), "the run of another rate was kept");
        (rates, best.map(|(rate, _)| rate), trials.at_edge())
    }

    fn distance(rate: f32, best: f64) -> f64 {
        (f64::from(rate).ln() - best.ln()).abs()
    }

    #[test]
    fn five_rates_do_where_the_best_is_within() {
        let (rates, best, edge) = search(|rate| Some(distance(rate, 0.12)));
        assert_eq!((rates, best, edge), (vec![0.01, 0.03, 0.1, 0.3, 1.0], Some(0.1), false));
    }

    #[test]
    fn the_search_goes_on_beyond_the_edges() {
        let (rates, best, edge) = search(|rate| Some(distance(rate, 11.0)));
        let expected = vec![0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];
        assert_eq!((rates, best, edge), (expected, Some(10.0), false));
        let (rates, best, edge) = search(|rate| Some(distance(rate, 0.0031)));
        assert_eq!((&rates[..3], best, edge), (&[0.001, 0.003, 0.01][..], Some(0.003), false));
        // As far as the search goes.
        let (rates, best, edge) = search(|rate| Some(-f64::from(rate)));
        assert_eq!((rates.len(), best, edge), (11, Some(1000.0), true));
    }

    #[test]
    fn of_equal_losses_the_lowest_rate_is_best() {
        let (rates, best, _) = search(|rate| Some(if rate < 0.05 { 2.0 } else { 1.0 }));
        assert_eq!((rates.len(), best), (5, Some(0.1)));
    }

    #[test]
    fn diverging_rates_are_passed_by() {
        let (rates, best, edge) = search(|rate| (rate < 0.002).then_some(f64::from(-rate)));
        assert_eq!((rates[0], best, edge), (0.0003, Some(0.001), false));
        let (rates, best, edge) = search(|_| None);
        assert_eq!((rates.len(), rates[0], best, edge), (11, 1e-5, None, false));
    }
}
