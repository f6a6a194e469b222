//! Losses during training and early stopping: `--validation` and `--early-stop`.

use clap::Args;
use wgpu_optim::linear::EarlyStop;

use crate::args::headings::TRAINING;

/// The share of rows that early stopping holds out by default.
const DEFAULT_SHARE: f64 = 0.1;

/// Arguments of `fit`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ValidationArgs {
    /// SHARE: hold out this share of the rows, and compute their loss after each epoch.
    /// `progressive`: compute the loss of each row before training on it. For both, separate the
    /// two by a comma
    #[arg(
        long,
        value_name = "progressive|SHARE",
        value_parser = validation,
        value_delimiter = ',',
        allow_hyphen_values = true,
        help_heading = TRAINING
    )]
    validation: Vec<Validation>,
    /// Stop when the validation loss has not fallen for PATIENCE epochs (3 if not given), and keep
    /// the model of the best epoch. Holds out 0.1 of the rows unless --validation gives a SHARE
    #[arg(
        long,
        value_name = "PATIENCE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "3",
        value_parser = clap::value_parser!(u32).range(1..),
        help_heading = TRAINING
    )]
    early_stop: Option<u32>,
}

/// A kind of validation.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Validation {
    Progressive,
    Share(f64),
}

impl ValidationArgs {
    /// Whether to compute the loss of each row before training on it.
    pub(super) fn is_progressive(&self) -> bool {
        self.validation.contains(&Validation::Progressive)
    }

    /// When to stop early.
    pub(super) fn early_stop(&self) -> Option<EarlyStop> {
        self.early_stop.map(|patience| EarlyStop { patience, ..EarlyStop::default() })
    }

    /// The share of rows held out for validation; the last one given.
    pub(super) fn share(&self) -> Option<f64> {
        let share = |way: &Validation| match way {
            Validation::Share(share) => Some(*share),
            Validation::Progressive => None,
        };
        let given = self.validation.iter().rev().find_map(share);
        given.or(self.early_stop.map(|_| DEFAULT_SHARE))
    }
}

/// A share of the rows.
pub(super) fn share(text: &str) -> Result<f64, String> {
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
        let share = |validation, early_stop| ValidationArgs { validation, early_stop }.share();
        assert_eq!(share(vec![], Some(3)), Some(DEFAULT_SHARE));
        assert_eq!(share(vec![Validation::Share(0.2)], Some(3)), Some(0.2));
        assert_eq!(share(vec![Validation::Progressive], None), None);
    }
}
