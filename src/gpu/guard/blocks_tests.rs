use super::super::super::plan::Span;
use super::*;
use proptest::prelude::*;

const LIMITS: ScanLimits =
    ScanLimits { cell: 1 << 27, windows: 4, entries: 1 << 20, blocks: 1 << 16 };

fn place(buffer: usize, offset: u64, len: u64, padded: bool) -> Place {
    Place { buffer, span: Span { offset, len, padded } }
}

/// First element, number of pieces and flags of a block.
type Shape = (u32, u32, u32, u32);

/// The blocks of each dispatch.
fn shapes(plan: &ScanPlan) -> Vec<(Element, Vec<Shape>)> {
    let of_block = |b: &Block| (b.first_low, b.end_piece - b.first_piece, b.goes_on, b.is_left);
    let dispatch = |d: &ScanDispatch| (d.element, d.blocks.iter().map(of_block).collect());
    plan.dispatches.iter().map(dispatch).collect()
}

#[test]
fn an_aligned_vector_is_one_dispatch_of_whole_blocks() {
    let found = plan(&[vec![place(0, 0, 10_001, true)]], &LIMITS);
    let blocks = vec![(0, 1, 0, 0), (4096, 1, 0, 0), (8192, 1, 0, 0)];
    assert_eq!(shapes(&found), [(Element::Quads, blocks)]);
    let last = Piece { window: 0, start: 8192, begin: 0, end: 10_001 - 8192 };
    assert_eq!((found.blocks, found.dispatches[0].pieces[2]), (3, last));
    // One entry for the header, two for each block and one for each piece. The pieces come after
    // the blocks.
    let entries = found.dispatches[0].entries();
    assert_eq!(
        (entries.len(), entries[0], entries[1][..2].to_vec()),
        (10, [3, 0, 0, 0], vec![7, 8])
    );
}

/// Each tensor has its own blocks. Blocks and elements are numbered over all tensors.
#[test]
fn tensors_begin_new_blocks() {
    let tensors = [vec![place(0, 0, 5, true)], vec![place(0, 32, 4097, true)]];
    let found = plan(&tensors, &LIMITS);
    assert_eq!(shapes(&found)[0].1, [(0, 1, 0, 0), (5, 1, 0, 0), (4101, 1, 0, 0)]);
    assert_eq!(found.dispatches[0].blocks[2].number, 2);
    // Element numbers from 2^32 on use the high word.
    let far = plan(&[vec![place(0, 0, 1 << 32, true)], vec![place(1, 0, 4, true)]], &LIMITS);
    let last = far.dispatches.last().unwrap().blocks.last().unwrap();
    assert_eq!((last.first_low, last.first_high), (0, 1));
}

/// With cells of 4096 bytes and one window per dispatch, a block is in four pieces. Each dispatch
/// continues from what the one before has left, and leaves its own result at the other place.
#[test]
fn a_block_without_room_for_its_windows_is_carried_on() {
    let limits = ScanLimits { cell: 4096, windows: 1, ..LIMITS };
    let found = plan(&[vec![place(0, 0, 5000, true)]], &limits);
    let of: Vec<_> = shapes(&found).into_iter().flat_map(|(_, blocks)| blocks).collect();
    assert_eq!(of, [(0, 1, 0, 1), (0, 1, 1, 1), (0, 1, 1, 1), (0, 1, 1, 0), (4096, 1, 0, 0)]);
    let carried: Vec<_> = found.dispatches.iter().map(|d| d.blocks[0].carried).collect();
    assert_eq!(carried[..4], [0, 1, 0, 1]);
    // With two windows per dispatch, two and two pieces.
    let found = plan(&[vec![place(0, 0, 4096, true)]], &ScanLimits { windows: 2, ..limits });
    assert_eq!(shapes(&found)[0].1, [(0, 2, 0, 1)]);
    assert_eq!(shapes(&found)[1].1, [(0, 2, 1, 0)]);
}

/// The second buffer is aligned, but its first element is number 7 of the vector, so its quads are
/// not quads of the block. Neither are those of a caller's vector whose end has no padding.
#[test]
fn quads_must_be_quads_of_the_block() {
    let joined = vec![place(0, 0, 7, true), place(1, 0, 8, true)];
    for (vector, element) in [
        (joined, Element::Scalars),
        (vec![place(0, 4, 8, false)], Element::Scalars),
        (vec![place(0, 0, 7, false)], Element::Scalars),
        (vec![place(0, 16, 8, false)], Element::Quads),
    ] {
        assert_eq!(plan(&[vector], &LIMITS).dispatches[0].element, element);
    }
}

proptest! {
    /// Every element of every vector is scanned once, at its position in its block, in ascending
    /// order. No limit is exceeded.
    #[test]
    fn every_element_is_scanned_once_in_order(
        lens in proptest::collection::vec(proptest::collection::vec((1_u64..6000, 0_u64..9), 1..4), 1..5),
        cell in 8_u64..200,
        windows in 1_usize..4,
        entries in 8_usize..60,
    ) {
        let limits = ScanLimits { cell: 32 * cell, windows, entries, blocks: 7 };
        let mut end = 0;
        let mut lay = |(len, gap): (u64, u64)| {
            let offset = end + 4 * gap;
            end = offset + 4 * len;
            place(0, offset, len, false)
        };
        let vectors: Vec<Vec<_>> =
            lens.into_iter().map(|v| v.into_iter().map(&mut lay).collect()).collect();
        let mut seen: Vec<(u32, u32, u64)> = Vec::new();
        let found = plan(&vectors, &limits);
        let mut open = std::collections::HashMap::new();
        for dispatch in &found.dispatches {
            prop_assert!(dispatch.windows.len() <= windows && dispatch.blocks.len() <= 7);
            prop_assert!(dispatch.entries().len() <= entries);
            let read: Vec<_> =
                dispatch.blocks.iter().filter(|b| b.goes_on == 1).map(|b| b.carried).collect();
            for block in &dispatch.blocks {
                if block.goes_on == 1 {
                    prop_assert_eq!(open.remove(&(dispatch.element, block.carried)), Some(block.number));
                }
                if block.is_left == 1 {
                    prop_assert!(!read.contains(&(block.carried ^ 1)), "read and written at once");
                    open.insert((dispatch.element, block.carried ^ 1), block.number);
                }
                for piece in &dispatch.pieces[block.first_piece as usize..block.end_piece as usize] {
                    let window = dispatch.windows[piece.window as usize];
                    for position in piece.begin..piece.end {
                        let within = 4 * u64::from(piece.start + position - piece.begin);
                        prop_assert!(within + 4 <= limits.cell);
                        seen.push((block.number, position, window.offset + within));
                    }
                }
            }
        }
        prop_assert!(open.is_empty());
        let (mut expected, mut number) = (Vec::new(), 0);
        for vector in &vectors {
            let all = vector.iter().flat_map(|p| (0..p.span.len).map(|k| p.span.offset + 4 * k));
            let all: Vec<_> = all.collect();
            for block in all.chunks(BLOCK) {
                expected.extend(block.iter().zip(0..).map(|(&at, position)| (number, position, at)));
                number += 1;
            }
        }
        // Blocks of quads and of scalars have separate dispatches; within a block, elements are in
        // order.
        seen.sort_by_key(|&(number, ..)| number);
        prop_assert_eq!(seen, expected);
    }
}
