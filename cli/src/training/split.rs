//! Rows that are held out of training.

use ndarray::{Array1, Array2, Axis, Slice};
use wgpu_optim::data::split_order;

use crate::args::learning::LearningArgs;
use crate::error::Error;

/// Row numbers, ascending; the rows of one list are not in the other.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Split {
    pub(crate) test: Vec<u32>,
    pub(crate) validation: Vec<u32>,
}

impl Split {
    /// Chooses among `rows` rows what the arguments ask for, by `seed`: each share is rounded to whole
    /// rows, at least one.
    ///
    /// # Errors
    /// [`Error::Argument`] if no row is left to train on.
    pub(crate) fn choose(rows: usize, learning: &LearningArgs, seed: u64) -> Result<Self, Error> {
        let count = |share: Option<f64>| {
            share.map_or(0, |share| ((share * rows as f64).round() as usize).max(1))
        };
        let (test, validation) = (count(learning.test), count(learning.validation_share()));
        if test + validation == 0 {
            return Ok(Self::default());
        }
        if test + validation >= rows {
            return Err(Error::Argument(format!(
                "of {rows} rows, --test and --validation would hold out {}: leave at least one to \
                 train on",
                test + validation
            )));
        }
        // A dataset has no more rows than this counts.
        let mut order = split_order(u32::try_from(rows).unwrap_or(u32::MAX), seed);
        order.truncate(test + validation);
        let mut validation = order.split_off(test);
        let mut test = order;
        test.sort_unstable();
        validation.sort_unstable();
        Ok(Self { test, validation })
    }

    /// The row numbers of the validation rows once the test rows are gone.
    pub(crate) fn validation_behind_test(&self) -> Vec<u32> {
        let shifted = |&row: &u32| row - self.test.partition_point(|&test| test < row) as u32;
        self.validation.iter().map(shifted).collect()
    }

    pub(crate) fn held_out(&self) -> usize {
        self.test.len() + self.validation.len()
    }
}

/// Moves rows, given in ascending order, out of a table; those that stay are moved up in place.
pub(crate) fn take_rows(
    features: &mut Array2<f32>,
    target: &mut Array1<f32>,
    rows: &[u32],
) -> (Array2<f32>, Array1<f32>) {
    let wanted: Vec<usize> = rows.iter().map(|&row| row as usize).collect();
    let taken = (features.select(Axis(0), &wanted), target.select(Axis(0), &wanted));
    let mut next = wanted.iter().peekable();
    let mut kept = 0;
    for row in 0..target.len() {
        if next.next_if_eq(&&row).is_some() {
            continue;
        }
        if kept < row {
            let (mut to, from) =
                features.multi_slice_mut((ndarray::s![kept, ..], ndarray::s![row, ..]));
            to.assign(&from);
            target[kept] = target[row];
        }
        kept += 1;
    }
    features.slice_axis_inplace(Axis(0), Slice::from(..kept));
    target.slice_axis_inplace(Axis(0), Slice::from(..kept));
    taken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::learning::{LossArg, Validation};
    use crate::input::text_file::Format;
    use ndarray::array;

    fn learning(test: Option<f64>, validation: Option<f64>) -> LearningArgs {
        LearningArgs {
            format: Format::Auto,
            loss: LossArg::Squared,
            l1: 0.0,
            l2: 0.0,
            test,
            validation: validation.map(Validation::Share).into_iter().collect(),
            early_stop: None,
        }
    }

    #[test]
    fn shares_of_the_rows_that_do_not_meet() {
        let choose = |seed| Split::choose(10, &learning(Some(0.25), Some(0.2)), seed).unwrap();
        let split = choose(1);
        // 2.5 rounds away from 0.
        assert_eq!((split.test.len(), split.validation.len(), split.held_out()), (3, 2, 5));
        let mut all = [split.test.clone(), split.validation.clone()].concat();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 5);
        assert_eq!(choose(1), split);
        assert!((2..9).any(|seed| choose(seed) != split));
        assert_eq!(Split::choose(10, &learning(None, None), 0).unwrap(), Split::default());
        assert_eq!(Split::choose(10, &learning(Some(0.001), None), 0).unwrap().test.len(), 1);
        let nothing = Split::choose(10, &learning(Some(0.6), Some(0.4)), 0).unwrap_err();
        assert!(nothing.to_string().contains("hold out 10"), "{nothing}");
    }

    #[test]
    fn early_stopping_holds_rows_out_by_itself() {
        let learning = LearningArgs { early_stop: Some(3), ..learning(None, None) };
        assert_eq!(Split::choose(50, &learning, 0).unwrap().validation.len(), 5);
    }

    #[test]
    fn taken_rows_leave_the_others_in_order() {
        let mut features = array![[0.0, 0.5], [1.0, 1.5], [2.0, 2.5], [3.0, 3.5]];
        let mut target = array![0.0, 10.0, 20.0, 30.0];
        let (taken, answers) = take_rows(&mut features, &mut target, &[0, 2]);
        assert_eq!((taken, answers), (array![[0.0, 0.5], [2.0, 2.5]], array![0.0, 20.0]));
        assert_eq!((features, target), (array![[1.0, 1.5], [3.0, 3.5]], array![10.0, 30.0]));
        let split = Split { test: vec![1, 4], validation: vec![0, 2, 5] };
        assert_eq!(split.validation_behind_test(), [0, 1, 3]);
    }
}
