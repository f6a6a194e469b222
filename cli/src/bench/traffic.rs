//! How many bytes a step moves, and how long the copy beside it is.

use wgpu_optim::Rule;

/// Bytes that a step of `R` moves for each element: it reads the gradient, and reads and writes the
/// parameter and every state vector.
pub(super) const fn traffic<R: Rule>() -> usize {
    4 * (3 + 2 * R::STATE.len())
}

/// Elements of the source and of the destination of a copy that takes as much memory as a step of
/// `R` over `len` elements, so that the same caches hold both.
pub(super) fn copy_len<R: Rule>(len: usize) -> usize {
    /// 2 GiB for both: larger than every cache is enough.
    const MAX: usize = 1 << 28;
    let vectors = 2 + R::STATE.len();
    len.saturating_mul(vectors).div_ceil(2).min(MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wgpu_optim::Adagrad;

    /// Adagrad reads three words and writes two, and has three vectors; a copy reads as much as
    /// it writes.
    #[test]
    fn a_copy_lies_in_as_much_memory_as_a_step() {
        assert_eq!(traffic::<Adagrad>(), 20);
        assert_eq!([1, 2, 4096].map(copy_len::<Adagrad>), [2, 3, 6144]);
    }
}
