//! How the scan of a gradient vector becomes dispatches: a pure function of its spans and the
//! device's limits. Blocks are counted over the whole vector, whatever pieces it comes in.

use super::super::plan::{Access, Binding, DispatchLimits, Span, plan};
use super::kernels::WORKGROUP_SIZE;
use crate::numerics::sum::BLOCK;

/// `struct Piece` of `shaders/guard/scan.wgsl`; the meaning of each field stands there.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
pub(super) struct PieceWords {
    pub(super) first_block: u32,
    pub(super) begin: u32,
    pub(super) len: u32,
    pub(super) start: u32,
    pub(super) half: u32,
    pub(super) last: u32,
    pub(super) padding: [u32; 2],
}

/// One dispatch of the scan.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Piece {
    pub(super) access: Access,
    pub(super) binding: Binding,
    pub(super) grid: [u32; 2],
    pub(super) words: PieceWords,
}

/// Cuts the vector into pieces, in order.
pub(super) fn pieces(spans: &[Span], limits: &DispatchLimits) -> Vec<Piece> {
    let dispatches = plan(&[spans.to_vec()], limits);
    let count = dispatches.len();
    let piece = |(index, dispatch): (usize, super::super::plan::Dispatch)| {
        let block = BLOCK as u64;
        let begin = dispatch.first % block;
        // A group of four in memory is one of a block only if it is one of the vector.
        let (access, unit) = match dispatch.access {
            Access::Vector if begin.is_multiple_of(4) => (Access::Vector, 4),
            _ => (Access::Scalar, 1),
        };
        let blocks = (begin + u64::from(dispatch.len)).div_ceil(block);
        let binding = dispatch.bindings[0];
        Piece {
            access,
            binding,
            grid: limits.grid(blocks * u64::from(WORKGROUP_SIZE)),
            words: PieceWords {
                // Far fewer than 2^32 blocks: their partials fit one binding.
                first_block: (dispatch.first / block) as u32,
                begin: begin as u32,
                len: dispatch.len,
                start: binding.shift / unit,
                half: (index % 2) as u32,
                last: u32::from(index + 1 == count),
                padding: [0; 2],
            },
        }
    };
    dispatches.into_iter().enumerate().map(piece).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(binding: u64) -> DispatchLimits {
        DispatchLimits {
            binding,
            alignment: 256,
            workgroups: 65535,
            workgroup_size: 64,
            quads_per_invocation: 1,
        }
    }

    fn span(offset: u64, len: u64, padded: bool) -> Span {
        Span { offset, len, padded }
    }

    #[test]
    fn an_aligned_vector_is_one_piece() {
        let found = pieces(&[span(0, 10_001, true)], &limits(1 << 27));
        let words = PieceWords { len: 10_001, last: 1, ..PieceWords::default() };
        let binding = Binding { span: 0, offset: 0, size: 4 * 10_004, shift: 0 };
        let expected = Piece { access: Access::Vector, binding, grid: [3, 1], words };
        assert_eq!(found, [expected]);
    }

    /// 1024 elements a binding: four pieces share a block, and each reads the half of the carried
    /// sums that the one before has written.
    #[test]
    fn pieces_of_a_block_hand_it_on() {
        let found = pieces(&[span(0, 5000, true)], &limits(4096));
        let words: Vec<_> = found
            .iter()
            .map(|p| (p.words.first_block, p.words.begin, p.words.len, p.words.half, p.words.last))
            .collect();
        let expected = [
            (0, 0, 1024, 0, 0),
            (0, 1024, 1024, 1, 0),
            (0, 2048, 1024, 0, 0),
            (0, 3072, 1024, 1, 0),
            (1, 0, 904, 0, 1),
        ];
        assert_eq!(words, expected);
    }

    /// The second buffer is aligned, but its first element is number 7 of the vector: its groups
    /// of four are none of the block's.
    #[test]
    fn a_group_of_four_must_be_one_of_the_vector() {
        let found = pieces(&[span(0, 7, true), span(0, 8, true)], &limits(1 << 27));
        let access: Vec<_> = found.iter().map(|p| (p.access, p.words.begin)).collect();
        assert_eq!(access, [(Access::Vector, 0), (Access::Scalar, 7)]);
        // Behind 8 elements of lead, counted in groups of four or one by one.
        let at_32 = |len| pieces(&[span(32, len, false)], &limits(1 << 27))[0].words.start;
        assert_eq!((at_32(8), at_32(3)), (2, 8));
    }

    /// A piece that starts within a block touches one block more than its length says.
    #[test]
    fn the_grid_covers_every_block_that_is_touched() {
        let found = pieces(&[span(0, 4092, true), span(0, 8, true)], &limits(1 << 27));
        assert_eq!((found[1].words.begin, found[1].grid), (4092, [2, 1]));
        // 2^32 elements and more.
        let far = pieces(&[span(0, 1 << 33, true)], &limits((1 << 31) - 1));
        let last = far[far.len() - 1].clone();
        let reach = u64::from(last.words.first_block) * 4096 + u64::from(last.words.begin);
        assert_eq!(reach + u64::from(last.words.len), 1 << 33);
    }
}
