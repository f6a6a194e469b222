//! Rows that are held out of training, chosen at random by a seed.

use wgpu_optim::data::{DataError, split_order};

use crate::input::rows::RawRows;
use crate::memory::{OutOfMemory, check};
use crate::training::parts::Parts;

/// Why rows could not be held out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SplitError {
    #[error(
        "of {rows} rows, --test and --validation would hold out {held_out}: leave at least one to \
         train on"
    )]
    NoneLeft { rows: usize, held_out: usize },
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

impl SplitError {
    /// Whether the run failed, rather than the argument being wrong.
    pub(crate) fn run_failed(&self) -> bool {
        matches!(self, Self::OutOfMemory(_))
    }
}

/// Row numbers, ascending; no row is in both lists.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Split {
    test: Vec<u32>,
    validation: Vec<u32>,
}

impl Split {
    /// Chooses shares of the first `rows` rows: each is rounded to whole rows, at least one.
    ///
    /// # Errors
    /// [`SplitError`] if no row is left to train on, or there is not enough memory.
    pub(crate) fn choose(
        rows: usize,
        test: Option<f64>,
        validation: Option<f64>,
        seed: u64,
    ) -> Result<Self, SplitError> {
        let count = |share: Option<f64>| {
            share.map_or(0, |share| ((share * rows as f64).round() as usize).max(1))
        };
        let (test, validation) = (count(test), count(validation));
        let held_out = test + validation;
        if held_out == 0 {
            return Ok(Self::default());
        }
        if held_out >= rows {
            return Err(SplitError::NoneLeft { rows, held_out });
        }
        check::<u32>(rows.saturating_mul(2), || format!("an order of {rows} rows"))?;
        // A dataset has no more rows than this counts.
        let mut order = split_order(u32::try_from(rows).unwrap_or(u32::MAX), seed);
        order.truncate(held_out);
        let mut validation = order.split_off(test);
        let mut test = order;
        test.sort_unstable();
        validation.sort_unstable();
        Ok(Self { test, validation })
    }

    /// Moves the rows held out into parts of their own.
    ///
    /// # Errors
    /// [`DataError`] if these are not rows of `rows`, or there is not enough memory.
    pub(crate) fn cut(&self, mut rows: RawRows) -> Result<Parts<RawRows>, DataError> {
        let test = rows.take(&self.test)?;
        let validation = rows.take(&self.validation_after_test())?;
        Ok(Parts { training: rows, validation, test })
    }

    /// The numbers of the validation rows after the test rows are removed.
    fn validation_after_test(&self) -> Vec<u32> {
        let shifted = |&row: &u32| row - self.test.partition_point(|&test| test < row) as u32;
        self.validation.iter().map(shifted).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, Array2};

    #[test]
    fn shares_of_the_rows_that_do_not_overlap() {
        let choose = |seed| Split::choose(10, Some(0.25), Some(0.2), seed).unwrap();
        let split = choose(1);
        // 2.5 rounds away from 0.
        assert_eq!((split.test.len(), split.validation.len()), (3, 2));
        let mut all = [split.test.clone(), split.validation.clone()].concat();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 5);
        assert_eq!(choose(1), split);
        assert!((2..9).any(|seed| choose(seed) != split));
        assert_eq!(Split::choose(10, None, None, 0).unwrap(), Split::default());
        assert_eq!(Split::choose(10, Some(0.001), None, 0).unwrap().test.len(), 1);
        let nothing = Split::choose(10, Some(0.6), Some(0.4), 0).unwrap_err();
        assert!(nothing.to_string().contains("hold out 10"), "{nothing}");
    }

    #[test]
    fn parts_have_the_rows_of_their_lists() {
        let split = Split { test: vec![1, 4], validation: vec![0, 2, 5] };
        assert_eq!(split.validation_after_test(), [0, 1, 3]);
        let target = Array1::from_iter((0_u8..7).map(f32::from));
        let rows = RawRows::Dense { features: Array2::zeros((7, 1)), target };
        let Parts { training, validation, test } = split.cut(rows).unwrap();
        assert_eq!(training.target().to_vec(), [3.0, 6.0]);
        assert_eq!(validation.unwrap().target().to_vec(), [0.0, 2.0, 5.0]);
        assert_eq!(test.unwrap().target().to_vec(), [1.0, 4.0]);
    }
}
