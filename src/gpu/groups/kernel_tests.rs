use super::*;
use crate::Adagrad;
use crate::gpu::groups::table::Block;
use crate::rules::Rule;

fn variant(
    precision: Precision,
    access: Access,
    writable: &[bool],
    routes: &[[usize; 2]],
) -> GroupVariant {
    GroupVariant {
        precision,
        access,
        state: Adagrad::STATE.to_vec(),
        writable: writable.to_vec(),
        routes: routes.to_vec(),
        groups: 3,
    }
}

/// One arena of each kind, one for both, pairs of buffers, parameters of two buffers with
/// gradients of one.
const SHAPES: [(&[bool], &[[usize; 2]]); 4] = [
    (&[true, false], &[[0, 1]]),
    (&[true], &[[0, 0]]),
    (&[true, false, true, false], &[[0, 1], [2, 3]]),
    (&[true, true, false], &[[0, 2], [1, 2], [0, 1]]),
];

#[test]
fn every_shape_is_valid_and_can_be_translated() {
    let mut constants = Adagrad::default().constants();
    constants.push(("workgroup_size", 64.0));
    for precision in [Precision::Native, Precision::Exact] {
        for access in [Access::Vector, Access::Scalar] {
            for (writable, routes) in SHAPES {
                let variant = variant(precision, access, writable, routes);
                let text = source::<Adagrad>(&variant);
                crate::gpu::shader_check::translate(&format!("{variant:?}"), &text, &constants);
            }
        }
    }
}

#[test]
fn a_line_stands_once_for_each_window_route_and_state_vector() {
    let variant = variant(Precision::Native, Access::Vector, SHAPES[3].0, SHAPES[3].1);
    let text = source::<Adagrad>(&variant);
    let declared: Vec<_> = text.lines().filter(|line| line.contains("var<")).collect();
    assert_eq!(
        declared,
        [
            "@group(0) @binding(0) var<storage, read> blocks: array<Block>;",
            "@group(0) @binding(3) var<storage, read_write> accumulator: array<Real>;",
            "@group(0) @binding(4) var<storage, read_write> window_0: array<Real>;",
            "@group(0) @binding(5) var<storage, read_write> window_1: array<Real>;",
            "@group(0) @binding(6) var<storage, read> window_2: array<Real>;",
            "@group(1) @binding(0) var<uniform> hypers: array<Hyper, 3>;",
        ]
    );
    for (route, [params, grads]) in SHAPES[3].1.iter().enumerate() {
        let from = text.find(&format!("fn step_{route}(")).unwrap();
        let body = &text[from..from + text[from..].find("\n}").unwrap()];
        assert_eq!(body.matches(&format!("window_{params}[")).count(), 2);
        assert_eq!(body.matches(&format!("window_{grads}[")).count(), 1);
        assert!(text.contains(&format!("case {route}u: {{ step_{route}(hyper, block, lane); }}")));
    }
}

#[test]
fn a_block_has_the_layout_of_the_shipped_wgsl() {
    let variant = variant(Precision::Native, Access::Vector, SHAPES[0].0, SHAPES[0].1);
    let module = naga::front::wgsl::parse_str(&source::<Adagrad>(&variant)).unwrap();
    let (_, block) =
        module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some("Block")).unwrap();
    let naga::TypeInner::Struct { members, span } = &block.inner else { panic!("no struct") };
    assert_eq!(*span as usize, size_of::<Block>());
    let offsets: Vec<_> = members
        .iter()
        .map(|member| (member.name.clone().unwrap(), member.offset as usize))
        .collect();
    use std::mem::offset_of;
    let ours = [
        ("route", offset_of!(Block, route)),
        ("group", offset_of!(Block, group)),
        ("len", offset_of!(Block, len)),
        ("params_start", offset_of!(Block, params_start)),
        ("grads_start", offset_of!(Block, grads_start)),
        ("state_start", offset_of!(Block, state_start)),
    ];
    assert_eq!(offsets[..6], ours.map(|(name, at)| (name.to_owned(), at)));
}
