//! How much memory a run takes in addition to training, which checks its own.

use super::args::FitArgs;
use super::least_squares;
use crate::input::options::LossArg;
use crate::memory::{self, OutOfMemory};
use crate::output::text::count;
use crate::training::parts::Rows;

/// What the scores keep of each row: its prediction and its target, and for the AUC both in sorted
/// order.
const BYTES_PER_ROW: usize = 8;
const BYTES_PER_RANKED_ROW: usize = 16;
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
pub(super) fn check(rows: &Rows, args: &FitArgs) -> Result<(), OutOfMemory> {
    let (data, is_dense) = (rows.data(), !rows.is_sparse());
    let (rows, features) = (data.rows(), data.feature_count());
    let (per_row, least_squares) = match args.loss {
        LossArg::Squared if is_dense => {
            (BYTES_PER_ROW, least_squares::scratch_bytes(rows, features))
        }
        LossArg::Squared => (BYTES_PER_ROW, 0),
        LossArg::Logistic => (BYTES_PER_RANKED_ROW, 0),
    };
    let per_weight = match is_dense || args.json {
        true => BYTES_PER_SHOWN_WEIGHT,
        false => BYTES_PER_WEIGHT,
    };
    let report = rows.saturating_mul(per_row).saturating_add(features.saturating_mul(per_weight));
    let bytes = report.max(least_squares).saturating_add(SPARE_BYTES);
    memory::check::<u8>(bytes, || {
        format!("{} of {}", count(rows, "row"), count(features, "feature"))
    })
}
