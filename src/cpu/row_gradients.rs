//! The summed gradients of the rows that a step names.

use crate::step::{NamedRows, RowsError};

/// The rows that a step names, and the sum of the gradients of each. Later steps reuse the memory.
#[derive(Clone, Debug, Default)]
pub(super) struct RowGradients {
    pub(super) named: NamedRows,
    /// The sum for each row of `named`.
    pub(super) sums: Vec<f32>,
}

impl RowGradients {
    /// Takes the rows of `indices` in a table of `len` elements, and sums the gradients of each in
    /// the order of their occurrence. The old sums may be lost even if this fails.
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
