use super::*;
use proptest::prelude::*;

const WEBGPU: TableLimits = TableLimits {
    dispatch: DispatchLimits {
        binding: 128 << 20,
        alignment: 256,
        workgroups: 65535,
        workgroup_size: 128,
    },
    windows: 7,
    routes: 16,
    separate: false,
    block: 128,
};

fn place(buffer: usize, offset: u64, len: u64, padded: bool) -> Vec<Place> {
    vec![Place { buffer, span: Span { offset, len, padded } }]
}

/// A tensor of a rule with one state vector.
fn tensor(params: Vec<Place>, grads: Vec<Place>, state: Vec<Place>) -> Tensor {
    Tensor { group: 0, kernel: 0, vectors: vec![params, grads, state] }
}

/// The number of the buffer with all state.
const STATE: usize = 90;

/// A padded tensor: parameters in buffer 0, gradients in buffer 1, all at `offset`.
fn own(offset: u64, len: u64) -> Tensor {
    let place = |buffer| place(buffer, offset, len, true);
    tensor(place(0), place(1), place(STATE))
}

/// A tensor in two buffers of its own, with its state at `state`.
fn apart(number: usize, len: u64, state: u64) -> Tensor {
    let own = |buffer| place(buffer, 0, len, true);
    tensor(own(2 * number), own(2 * number + 1), place(STATE, state, len, true))
}

fn block(route: u32, len: u32, starts: [u32; 3]) -> Block {
    let [params_start, grads_start, state_start_0] = starts;
    Block { route, len, params_start, grads_start, state_start_0, ..bytemuck::Zeroable::zeroed() }
}

#[test]
fn no_tensors_need_no_dispatch() {
    assert_eq!(table(&[], &WEBGPU), []);
}

#[test]
fn views_of_two_buffers_are_one_dispatch_at_any_length() {
    let tensors = [own(0, 1), own(16, 3), own(32, 4), own(48, 5), own(80, 513)];
    let dispatches = table(&tensors, &WEBGPU);
    assert_eq!(dispatches.len(), 1);
    let dispatch = &dispatches[0];
    assert_eq!((dispatch.element, &dispatch.routes[..]), (Element::Quads, &[vec![0, 1, 2]][..]));
    let expected = [(1, 0), (1, 1), (1, 2), (2, 3), (128, 5), (1, 133)];
    let expected = expected.map(|(len, start)| block(0, len, [start; 3]));
    assert_eq!(dispatch.blocks, expected);
    assert_eq!(dispatch.grid(&WEBGPU.dispatch), [6, 1]);
}

#[test]
fn buffers_beyond_the_windows_need_another_dispatch() {
    let tensors: Vec<_> = (0..7).map(|n| apart(n, 8, 32 * n as u64)).collect();
    let dispatches = table(&tensors, &WEBGPU);
    let windows: Vec<_> = dispatches.iter().map(|dispatch| dispatch.windows.len()).collect();
    assert_eq!(windows, [7, 7, 3]);
    assert_eq!(dispatches[1].routes, [[0, 1, 2], [3, 4, 2], [5, 6, 2]]);
    assert_eq!(dispatches[1].blocks[2], block(2, 2, [0, 0, 10]));
    // Gradients in one buffer leave more windows for parameters.
    let one = |n: usize| {
        let state = place(STATE, 0, 8, true);
        tensor(place(n, 0, 8, true), place(100, 32 * n as u64, 8, true), state)
    };
    let dispatches = table(&(0..7).map(one).collect::<Vec<_>>(), &WEBGPU);
    let windows: Vec<_> = dispatches.iter().map(|dispatch| dispatch.windows.len()).collect();
    assert_eq!(windows, [7, 4]);
    let routes = [[0, 1, 2], [3, 1, 2], [4, 1, 2], [5, 1, 2], [6, 1, 2]];
    assert_eq!(dispatches[0].routes, routes);
    let few = TableLimits { routes: 2, ..WEBGPU };
    assert_eq!(table(&tensors, &few).len(), 4);
}

/// Their kernels depend on nothing but the number of routes.
#[test]
fn separate_routes_share_no_window() {
    let limits = TableLimits { windows: 9, separate: true, ..WEBGPU };
    let own = |n: usize| {
        let [params, grads, state] = [3 * n, 3 * n + 1, 3 * n + 2].map(|b| place(b, 0, 8, true));
        tensor(params, grads, state)
    };
    // The last one's state is in the buffer of the first one's parameters.
    let mut last = own(4);
    last.vectors[2] = place(0, 32, 8, true);
    let tensors = [own(0), own(1), own(2), own(3), own(3), own(0), last];
    let routes: Vec<_> = table(&tensors, &limits).into_iter().map(|it| it.routes).collect();
    let all = [vec![0, 1, 2], vec![3, 4, 5], vec![6, 7, 8]];
    assert_eq!(routes, [&all[..], &all[..2]]);
    // A tensor in one buffer has a dispatch of its own, which equal ones join.
    let one =
        |offset| tensor(place(0, offset, 8, true), place(0, 64, 8, true), place(0, 96, 8, true));
    let dispatches = table(&[one(0), own(1), one(32)], &limits);
    let routes: Vec<_> = dispatches.iter().map(|it| &it.routes[..]).collect();
    assert_eq!(routes, [&[vec![0, 0, 0]][..], &all[..1]]);
    assert_eq!(dispatches[0].blocks.len(), 2);
}

#[test]
fn parameters_gradients_and_state_in_one_buffer_are_one_window() {
    let state = place(0, 128, 16, true);
    let tensor = tensor(place(0, 0, 16, true), place(0, 64, 16, false), state);
    let dispatches = table(&[tensor], &WEBGPU);
    assert_eq!(dispatches[0].windows, [Window { buffer: 0, offset: 0 }]);
    assert_eq!(dispatches[0].routes, [[0, 0, 0]]);
    assert_eq!(dispatches[0].blocks, [block(0, 4, [0, 4, 8])]);
}

#[test]
fn kinds_of_access_and_formulas_have_separate_dispatches() {
    let mut unaligned = own(128, 8);
    unaligned.vectors[0] = place(0, 132, 8, false);
    let mut unpadded = own(256, 7);
    unpadded.vectors[1] = place(1, 256, 7, false);
    let other = Tensor { kernel: 3, group: 4, ..own(512, 4) };
    let dispatches = table(&[own(0, 4), unaligned, unpadded, other, own(528, 4)], &WEBGPU);
    let shape = |d: &TableDispatch| {
        let blocks = d.blocks.iter().map(|block| (block.len, block.params_start));
        (d.kernel, d.element, blocks.collect::<Vec<_>>())
    };
    let shapes: Vec<_> = dispatches.iter().map(shape).collect();
    assert_eq!(
        shapes,
        [
            (0, Element::Quads, vec![(1, 0), (1, 16), (1, 33)]),
            (0, Element::Scalars, vec![(8, 33), (3, 68)]),
            (3, Element::Quads, vec![(1, 32)]),
        ]
    );
    assert_eq!(dispatches[2].blocks[0].group, 4);
}

#[test]
fn the_binding_limit_cuts_at_fixed_places() {
    let dispatch = DispatchLimits { binding: 1000, alignment: 32, ..WEBGPU.dispatch };
    // Cells of 992 bytes. The tensor begins 48 bytes before the end of the first cell.
    let tensors = [own(944, 100)];
    let dispatches = table(&tensors, &TableLimits { dispatch, ..WEBGPU });
    let offsets: Vec<_> = dispatches[0].windows.iter().map(|window| window.offset).collect();
    assert_eq!((dispatches.len(), offsets), (1, vec![0, 0, 0, 992, 992, 992]));
    assert_eq!(dispatches[0].routes, [[0, 1, 2], [3, 4, 5]]);
    assert_eq!(dispatches[0].blocks, [block(0, 3, [59; 3]), block(1, 22, [0; 3])]);
    // The largest binding of Vulkan is not a multiple of 4.
    let vulkan = DispatchLimits { binding: (1 << 31) - 1, alignment: 32, ..WEBGPU.dispatch };
    assert_eq!(vulkan.cell(), (1 << 31) - 32);
}

#[test]
fn blocks_beyond_the_workgroups_or_the_table_need_another_dispatch() {
    let dispatch = DispatchLimits { workgroups: 3, ..WEBGPU.dispatch };
    let dispatches = table(&[own(0, 10 * 512)], &TableLimits { dispatch, ..WEBGPU });
    let blocks: Vec<_> = dispatches.iter().map(|dispatch| dispatch.blocks.len()).collect();
    assert_eq!(blocks, [9, 1]);
    assert_eq!(dispatches[0].grid(&dispatch), [3, 3]);
    // A table of at most 128 bytes.
    let dispatch = DispatchLimits { binding: 128, alignment: 32, ..WEBGPU.dispatch };
    let dispatches = table(&[own(0, 32)], &TableLimits { dispatch, block: 1, ..WEBGPU });
    let blocks: Vec<_> = dispatches.iter().map(|dispatch| dispatch.blocks.len()).collect();
    assert_eq!(blocks, [4, 4]);
}

/// Tensors one after another in each buffer, at any distance. Each vector is in any of three
/// buffers, in one or two spans.
fn any_tensors() -> impl Strategy<Value = Vec<Tensor>> {
    let one = (1_u64..600, [0_usize..3, 3..6], [0_u64..5, 0..5], any::<bool>(), 1_u64..600);
    let one = (one, 0_u32..3, 0_usize..2);
    proptest::collection::vec(one, 1..12).prop_map(|all| {
        let mut ends = [0_u64; 7];
        let mut lay = |buffer: usize, len: u64, gap: u64, padded: bool| {
            let offset =
                if padded { ends[buffer].next_multiple_of(16) } else { ends[buffer] + 4 * gap };
            ends[buffer] = offset + 4 * len;
            if padded {
                ends[buffer] = ends[buffer].next_multiple_of(16);
            }
            Place { buffer, span: Span { offset, len, padded } }
        };
        type One = ((u64, [usize; 2], [u64; 2], bool, u64), u32, usize);
        let tensor = |((len, [params, grads], gaps, padded, cut), group, kernel): One| {
            let first = if cut < len { cut } else { len };
            let mut params = vec![lay(params, first, gaps[0], padded)];
            if first < len {
                params.push(lay((params[0].buffer + 1) % 3, len - first, gaps[1], false));
            }
            let grads = vec![lay(grads, len, gaps[1], padded)];
            let vectors = vec![params, grads, vec![lay(6, len, 0, true)]];
            Tensor { group, kernel, vectors }
        };
        all.into_iter().map(tensor).collect()
    })
}

/// The buffer and address of each element of a vector, in order.
fn addresses(places: &[Place]) -> Vec<(usize, u64)> {
    let all = places.iter().flat_map(|place| {
        (0..place.span.len).map(|index| (place.buffer, place.span.offset + 4 * index))
    });
    all.collect()
}

proptest! {
    /// Each element of each tensor is computed once, with its own gradient and state, in its own
    /// group. Anything else that is computed is padding. No limit is exceeded.
    #[test]
    fn blocks_cover_each_element_once(
        tensors in any_tensors(),
        binding in 64_u64..4096,
        windows in 3_usize..7,
        routes in 1_usize..4,
        separate in any::<bool>(),
        block in 1_u32..40,
        workgroups in 1_u32..4,
    ) {
        let dispatch = DispatchLimits {
            binding,
            alignment: 32,
            workgroups,
            workgroup_size: 8,
            };
        let limits = TableLimits { dispatch, windows, routes, separate, block };
        let mut computed = HashMap::new();
        for dispatch in table(&tensors, &limits) {
            prop_assert!(dispatch.windows.len() <= windows && dispatch.routes.len() <= routes);
            let own = dispatch.windows.len() == 3 * dispatch.routes.len();
            prop_assert!(!separate || own || dispatch.routes.len() == 1);
            prop_assert!((size_of::<Block>() * dispatch.blocks.len()) as u64 <= binding);
            let [columns, rows] = dispatch.grid(&limits.dispatch);
            prop_assert!(columns <= workgroups && rows <= workgroups);
            prop_assert!((columns * rows) as usize >= dispatch.blocks.len());
            let (unit, lanes, max) = match dispatch.element {
                Element::Quads => (16, 4, block),
                Element::Scalars => (4, 1, 4 * block),
            };
            for block in &dispatch.blocks {
                prop_assert!(block.len <= max);
                let route = &dispatch.routes[block.route as usize];
                let starts = [block.params_start, block.grads_start, block.state_start_0];
                let vectors = [0, 1, 2].map(|k| (dispatch.windows[route[k]], starts[k]));
                for index in 0..u64::from(block.len) * lanes {
                    let place = vectors.map(|(window, start)| {
                        let within = unit * u64::from(start) + 4 * index;
                        (window, within)
                    });
                    let fits = |&(window, within): &(Window, u64)| {
                        within + 4 <= binding && window.offset % 32 == 0
                    };
                    prop_assert!(place.iter().all(fits));
                    let at = place.map(|(window, within)| (window.buffer, window.offset + within));
                    let what = (at[1], at[2], block.group, dispatch.kernel);
                    prop_assert!(computed.insert(at[0], what).is_none(), "computed twice");
                }
            }
        }
        for tensor in &tensors {
            let vectors = [0, 1, 2].map(|k| addresses(&tensor.vectors[k]));
            for ((params, grads), state) in vectors[0].iter().zip(&vectors[1]).zip(&vectors[2]) {
                let expected = (*grads, *state, tensor.group, tensor.kernel);
                prop_assert_eq!(computed.remove(params), Some(expected));
            }
        }
        // The rest is padding: fewer than four elements after the end of a padded place.
        let padded = tensors.iter().flat_map(|tensor| &tensor.vectors[0]).filter(|p| p.span.padded);
        let ends: Vec<_> =
            padded.map(|p| (p.buffer, p.span.offset + 4 * p.span.len)).collect();
        for (buffer, address) in computed.into_keys() {
            let near = |&(of, end): &(usize, u64)| {
                of == buffer && (end..end.next_multiple_of(16)).contains(&address)
            };
            prop_assert!(ends.iter().any(near), "byte {} of buffer {}", address, buffer);
        }
    }
}
