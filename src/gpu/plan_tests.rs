use super::*;
use proptest::prelude::*;

const WEBGPU: DispatchLimits =
    DispatchLimits { binding: 128 << 20, alignment: 256, workgroups: 65535, workgroup_size: 256 };

fn own(len: u64) -> Vec<Span> {
    vec![Span { offset: 0, len, padded: true }]
}

fn shape(pieces: &[Piece]) -> Vec<(Element, u64, u32)> {
    pieces.iter().map(|d| (d.element, d.first, d.len)).collect()
}

#[test]
fn padded_vectors_need_one_piece_at_any_length() {
    for len in [1, 3, 4, 5, 63, 64, 65, 255, 256, 257, 1 << 25] {
        let pieces = plan(&[own(len), own(len), own(len)], &WEBGPU);
        assert_eq!(shape(&pieces), [(Element::Quads, 0, len as u32)]);
        assert_eq!(pieces[0].bindings[0].size, len.div_ceil(4) * 16);
    }
}

#[test]
fn a_caller_without_padding_gets_a_scalar_tail() {
    let theirs = vec![Span { offset: 512, len: 7, padded: false }];
    let pieces = plan(&[theirs, own(7)], &WEBGPU);
    assert_eq!(shape(&pieces), [(Element::Quads, 0, 4), (Element::Scalars, 4, 3)]);
    assert_eq!(pieces[1].bindings[0], Binding { span: 0, offset: 512, size: 28, shift: 4 });
}

#[test]
fn an_offset_that_is_no_multiple_of_16_bytes_is_scalar() {
    let theirs = vec![Span { offset: 516, len: 8, padded: false }];
    let pieces = plan(&[theirs, own(8)], &WEBGPU);
    assert_eq!(shape(&pieces), [(Element::Scalars, 0, 8)]);
    assert_eq!(pieces[0].bindings[0], Binding { span: 0, offset: 512, size: 36, shift: 1 });
}

#[test]
fn the_binding_limit_cuts() {
    let full = 1 << 25; // 128 MiB
    for (len, last) in [(full + 1, 1), (full + 5, 5)] {
        let pieces = plan(&[own(len), own(len)], &WEBGPU);
        let expected = [(Element::Quads, 0, full as u32), (Element::Quads, full, last)];
        assert_eq!(shape(&pieces), expected);
    }
    // 2^31 - 1 bytes, the largest binding of Vulkan, is not a multiple of 4.
    let vulkan = DispatchLimits { binding: (1 << 31) - 1, alignment: 32, ..WEBGPU };
    let pieces = plan(&[own(600_000_000)], &vulkan);
    assert_eq!(pieces[0].len, (1 << 29) - 4);
    assert_eq!(pieces[0].len + pieces[1].len, 600_000_000);
}

#[test]
fn more_workgroups_than_one_dimension_holds_become_rows() {
    let limits = DispatchLimits { workgroups: 10, workgroup_size: 64, ..WEBGPU };
    assert_eq!(limits.grid(640), [10, 1]);
    assert_eq!(limits.grid(641), [6, 2]);
    assert_eq!((limits.max_invocations(), limits.grid(6400)), (6400, [10, 10]));
}

#[test]
fn a_u32_counts_the_elements_of_a_piece() {
    let huge = DispatchLimits { binding: 1 << 40, ..WEBGPU };
    assert_eq!(plan(&[own(1 << 31)], &huge)[0].len, 1 << 31);
    assert_eq!(plan(&[own((1 << 31) + 4)], &huge)[0].len, 1 << 31);
}

/// Any spans of the same total length, at any offset.
fn any_vector(total: u64) -> impl Strategy<Value = Vec<Span>> {
    proptest::collection::vec((1..=total, 0_u64..200, any::<bool>()), 1..4).prop_map(move |parts| {
        let mut left = total;
        let mut spans = Vec::new();
        let last = parts.len() - 1;
        for (index, (len, offset, padded)) in parts.into_iter().enumerate() {
            let len = if index == last { left } else { len.min(left) };
            if len > 0 {
                spans.push(Span { offset: 4 * offset, len, padded });
            }
            left -= len;
        }
        spans
    })
}

proptest! {
    /// Every element of every vector is in exactly one piece, at its own address, and no
    /// binding is misaligned, too large, or reaches past the end of an unpadded range.
    #[test]
    fn pieces_cover_each_element_once(
        vectors in (1_u64..3000).prop_flat_map(|n| proptest::collection::vec(any_vector(n), 1..5)),
        binding in 32_u64..4096,
        alignment in prop_oneof![Just(16_u64), Just(32)],
    ) {
        let pieces = plan(&vectors, &DispatchLimits { binding, alignment, ..WEBGPU });
        let mut next = 0;
        for piece in &pieces {
            prop_assert_eq!(piece.first, next);
            next += u64::from(piece.len);
            for (spans, bound) in vectors.iter().zip(&piece.bindings) {
                let before: u64 = spans[..bound.span].iter().map(|s| s.len).sum();
                let span = spans[bound.span];
                let address = span.offset + 4 * (piece.first - before);
                prop_assert_eq!(bound.offset + 4 * u64::from(bound.shift), address);
                prop_assert_eq!(bound.offset % alignment, 0);
                // With a tiny limit, alignment may leave no room for four elements. Such limits are
                // refused before planning.
                prop_assert!(bound.size <= binding.max(alignment + 16));
                prop_assert_eq!(bound.size % 4, 0);
                let end = span.offset + 4 * span.len;
                let reach = if span.padded { end.next_multiple_of(16) } else { end };
                prop_assert!(bound.offset + bound.size <= reach.max(end + 12 * u64::from(span.padded)));
                if piece.element == Element::Quads {
                    prop_assert_eq!(bound.shift % 4, 0);
                    prop_assert_eq!(address % 16, 0);
                }
            }
        }
        prop_assert_eq!(next, vectors[0].iter().map(|s| s.len).sum::<u64>());
    }
}
