//! What `fit` minimizes and how it is judged: `--loss`, penalties, held-out rows, early stopping.

use clap::Args;
use wgpu_optim::linear::{EarlyStop, Penalty};

use crate::args::values::real;
use crate::error::Error;
use crate::input::options::LossArg;
use crate::input::text_file::Format;

/// The share of rows that early stopping holds out by default.
const DEFAULT_VALIDATION: f64 = 0.1;

/// Arguments of `fit`.
#[derive(Clone, Debug, Args)]
pub(crate) struct LearningArgs {
    /// The format of DATA
    #[arg(long, value_enum, default_value_t = Format::Auto, requires = "data")]
    pub(crate) format: Format,
    /// What to minimize: half the mean squared error, or for a target of two classes the mean log
    /// loss
    #[arg(long, value_enum, default_value_t = LossArg::Squared)]
    pub(crate) loss: LossArg,
    /// Add L1 times the sum of the weights' magnitudes to what is minimized; in LIBSVM text, a feature
    /// is pulled in batches in which it occurs
    #[arg(long, default_value_t = 0.0, value_parser = real, allow_hyphen_values = true)]
    pub(crate) l1: f32,
    /// Add L2 times half the sum of the weights' squares to what is minimized; the same
    #[arg(long, default_value_t = 0.0, value_parser = real, allow_hyphen_values = true)]
    pub(crate) l2: f32,
    /// Hold out this share of the rows, chosen by --seed, and score the trained model on them
    #[arg(long, value_name = "SHARE", value_parser = share, allow_hyphen_values = true)]
    pub(crate) test: Option<f64>,
    /// `progressive`: the loss of each row before it is learned from; SHARE: hold out such a share of
    /// the rows, by --seed, and take their loss after each epoch; both, separated by a comma
    #[arg(
        long,
        value_name = "progressive|SHARE",
        value_parser = validation,
        value_delimiter = ',',
        allow_hyphen_values = true
    )]
    pub(crate) validation: Vec<Validation>,
    /// End when the loss of the validation rows has not fallen for PATIENCE epochs (3 if not given),
    /// and keep the model of the best epoch. Without --validation SHARE, 0.1 of the rows are held out
    #[arg(
        long,
        value_name = "PATIENCE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "3",
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub(crate) early_stop: Option<u32>,
}

/// A way of validation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Validation {
    Progressive,
    Share(f64),
}

impl LearningArgs {
    /// The penalties.
    ///
    /// # Errors
    /// [`Error::Argument`] for one that is negative, subnormal or not finite.
    pub(super) fn penalty(&self) -> Result<Penalty, Error> {
        for (name, value) in [("--l1", self.l1), ("--l2", self.l2)] {
            if !value.is_finite() || value < 0.0 || value.is_subnormal() {
                return Err(Error::Argument(format!(
                    "{name} {value}: give 0 or a finite number of at least 2^-126"
                )));
            }
        }
        Ok(Penalty { l1: self.l1, l2: self.l2 })
    }

    /// Whether to take the loss of each row before training on it.
    pub(super) fn progressive(&self) -> bool {
        self.validation.contains(&Validation::Progressive)
    }

    /// When to stop early.
    pub(super) fn early_stopping(&self) -> Option<EarlyStop> {
        self.early_stop.map(|patience| EarlyStop { patience, ..EarlyStop::default() })
    }

    /// The share of rows held out for validation; the last one given.
    pub(super) fn validation_share(&self) -> Option<f64> {
        let share = |way: &Validation| match way {
            Validation::Share(share) => Some(*share),
            Validation::Progressive => None,
        };
        let given = self.validation.iter().rev().find_map(share);
        given.or(self.early_stop.map(|_| DEFAULT_VALIDATION))
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if share > 0.0 && share < 1.0 => Ok(share),
        _ => Err("give a share of the rows between 0 and 1, such as 0.2".to_owned()),
    }
}

fn validation(text: &str) -> Result<Validation, String> {
    match text {
        "progressive" => Ok(Validation::Progressive),
        _ => share(text)
            .map(Validation::Share)
            .map_err(|problem| format!("{problem}, or progressive")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn early_stopping_holds_rows_out_by_itself() {
        let share = |validation, early_stop| {
            let learning = LearningArgs {
                format: Format::Auto,
                loss: LossArg::Squared,
                l1: 0.0,
                l2: 0.0,
                test: None,
                validation,
                early_stop,
            };
            learning.validation_share()
        };
        assert_eq!(share(vec![], Some(3)), Some(DEFAULT_VALIDATION));
        assert_eq!(share(vec![Validation::Share(0.2)], Some(3)), Some(0.2));
        assert_eq!(share(vec![Validation::Progressive], None), None);
    }
}
