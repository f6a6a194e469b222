//! How much memory a comparison takes in addition to training, which checks its own.

use super::args::CompareArgs;
use crate::memory::{self, OutOfMemory};
use crate::output::text::count;
use crate::training::parts::TrainingSet;
use crate::training::score;

/// Bytes for each weight of a rule's best run: the weight, and its bits as text in the report.
const BYTES_PER_WEIGHT: usize = 4;
const BYTES_PER_SHOWN_WEIGHT: usize = 64;
/// Memory for everything that does not grow with the data.
const SPARE_BYTES: usize = 1 << 20;

/// Checks that there is memory for the scores and the report of `rules` rules, before any is
/// trained.
///
/// # Errors
/// [`OutOfMemory`] if not.
pub(super) fn check(
    set: &TrainingSet,
    rules: usize,
    args: &CompareArgs,
) -> Result<(), OutOfMemory> {
    let rows = set.parts.test.as_ref().map_or(0, |test| test.data().rows());
    let features = set.parts.training.data().feature_count();
    let per_weight = if args.json { BYTES_PER_SHOWN_WEIGHT } else { 0 } + BYTES_PER_WEIGHT;
    let weights = features.saturating_mul(rules).saturating_mul(per_weight);
    let scores = rows.saturating_mul(score::bytes_per_row(super::data::loss(args).into()));
    let bytes = weights.saturating_add(scores).saturating_add(SPARE_BYTES);
    memory::check::<u8>(bytes, || {
        format!("{} over {}", count(rules, "rule"), count(features, "feature"))
    })
}
