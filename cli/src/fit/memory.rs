//! How much memory a run takes in addition to training, which checks its own.

use super::args::FitArgs;
use super::least_squares;
use crate::input::options::LossArg;
use crate::memory::{self, OutOfMemory};
use crate::output::text::count;
use crate::training::parts::{Parts, Rows};
use crate::training::score;

/// Bytes for each weight while a model is saved, and while it is shown.
const BYTES_PER_WEIGHT: usize = 24;
const BYTES_PER_SHOWN_WEIGHT: usize = 256;
/// Memory for everything that does not grow with the data.
const SPARE_BYTES: usize = 1 << 20;

/// Checks that there is memory for the least-squares fit, the scores and the report. If it were
/// short after training, the model would be lost.
///
/// # Errors
/// [`OutOfMemory`] if not.
pub(super) fn check(parts: &Parts<Rows>, args: &FitArgs) -> Result<(), OutOfMemory> {
    let (data, is_dense) = (parts.training.data(), !parts.training.is_sparse());
    let (rows, features) = (data.rows(), data.feature_count());
    let least_squares = match args.loss {
        LossArg::Squared if is_dense => least_squares::scratch_bytes(rows, features),
        _ => 0,
    };
    // The parts are scored one after the other.
    let scored = parts.test.as_ref().map_or(0, |test| test.data().rows()).max(rows);
    let per_weight = match is_dense || args.json {
        true => BYTES_PER_SHOWN_WEIGHT,
        false => BYTES_PER_WEIGHT,
    };
    let scores = scored.saturating_mul(score::bytes_per_row(args.loss.into()));
    let report = scores.saturating_add(features.saturating_mul(per_weight));
    let bytes = report.max(least_squares).saturating_add(SPARE_BYTES);
    memory::check::<u8>(bytes, || {
        format!("{} of {}", count(scored, "row"), count(features, "feature"))
    })
}
