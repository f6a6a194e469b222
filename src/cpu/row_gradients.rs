//! The gradients of the rows that a step names.

use crate::step::{NamedRows, RowsError};

/// The rows that a step names, and the sum of the gradients of each; memory that is used again.
#[derive(Clone, Debug, Default)]
pub(super) struct RowGradients {
    pub(super) named: NamedRows,
    /// Row after row.
    pub(super) sums: Vec<f32>,
}

impl RowGradients {
    /// Names the rows of `indices` in a table of `len` elements, and sums the gradients of each in
    /// the order in which they come. What was there before is lost, even with an error.
    pub(super) fn sum(
        &mut self,
        len: usize,
        gradients: &[f32],
        indices: &[u32],
    ) -> Result<(), RowsError> {
        self.named.name(len, gradients.len(), indices)?;
        let NamedRows { width, begins, occurrences, .. } = &self.named;
        let gradient = |at: u32| &gradients[at as usize * width..(at as usize + 1) * width];
        self.sums.clear();
        for (&begin, &end) in begins.iter().zip(&begins[1..]) {
            let begin_of_sum = self.sums.len();
            self.sums.extend_from_slice(gradient(occurrences[begin as usize]));
            for &at in &occurrences[begin as usize + 1..end as usize] {
                for (sum, &term) in self.sums[begin_of_sum..].iter_mut().zip(gradient(at)) {
                    *sum += term;
                }
            }
        }
        Ok(())
    }
}
