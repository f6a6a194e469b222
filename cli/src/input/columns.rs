//! The columns of a table: which one is the target, and the names of the others.

use std::path::{Path, PathBuf};

use crate::input::table::Table;
use crate::output::text::list;

/// Why the columns cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ColumnsError {
    #[error(
        "{}: there is only one column, {name:?}: training needs a target and at least one other; \
         if there are more, separate them by commas, tabs, semicolons or blanks",
        path.display()
    )]
    OnlyOne { path: PathBuf, name: String },
    #[error(
        "--target {wanted}: {} has no such column; there are: {} (or an index from 0 to {})",
        path.display(),
        list(names),
        names.len() - 1
    )]
    NoTarget { path: PathBuf, wanted: String, names: Vec<String> },
}

/// The names of the columns.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Columns {
    pub(crate) features: Vec<String>,
    pub(crate) target: String,
    /// The target's index in the file, counted from 0.
    pub(crate) target_index: usize,
    /// Whether the names come from the file's header.
    pub(crate) named: bool,
}

impl Columns {
    /// The columns of LIBSVM text, which have no names. Millions of generated names would waste
    /// memory.
    pub(crate) fn unnamed() -> Self {
        let target = "label".to_owned();
        Self { features: Vec::new(), target, target_index: 0, named: false }
    }

    /// The columns of `table`; `wanted` is the name or the index of the target, by default the last.
    ///
    /// # Errors
    /// [`ColumnsError`] if there is only one column, or none is `wanted`.
    pub(crate) fn new(table: &Table, wanted: Option<&str>) -> Result<Self, ColumnsError> {
        let names = table.names();
        let path = || Path::to_owned(table.path());
        if names.len() < 2 {
            let name = names.first().cloned().unwrap_or_default();
            return Err(ColumnsError::OnlyOne { path: path(), name });
        }
        let target_index = match wanted {
            None => names.len() - 1,
            Some(wanted) => position(names, wanted).ok_or_else(|| ColumnsError::NoTarget {
                path: path(),
                wanted: wanted.to_owned(),
                names: names.to_vec(),
            })?,
        };
        let mut features = names.to_vec();
        let target = features.remove(target_index);
        Ok(Self { features, target, target_index, named: table.has_header() })
    }

    /// The indices of the features in the file.
    pub(crate) fn feature_indices(&self) -> Vec<usize> {
        (0..=self.features.len()).filter(|&index| index != self.target_index).collect()
    }
}

/// The column called `wanted`, or else the one with this index.
fn position(names: &[String], wanted: &str) -> Option<usize> {
    let by_name = names.iter().position(|name| name == wanted);
    by_name.or_else(|| wanted.parse().ok().filter(|&index: &usize| index < names.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_goes_before_an_index() {
        let names = ["1", "a", "b"].map(str::to_owned);
        let positions = ["1", "2", "b", "0", "3", "-1", "c"].map(|wanted| position(&names, wanted));
        assert_eq!(positions, [Some(0), Some(2), Some(2), Some(0), None, None, None]);
    }
}
