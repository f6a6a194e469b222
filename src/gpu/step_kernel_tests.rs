use super::*;
use crate::Adagrad;

#[test]
fn a_state_line_stands_once_for_each_vector() {
    let text = "// STATE\nbinding STATE_BINDING of STATE;\nx\n";
    let expanded = expand_state(text, &["first", "second"], 3);
    assert_eq!(expanded, "// STATE\nbinding 3 of first;\nbinding 4 of second;\nx\n");
    assert_eq!(expand_state(text, &[], 3), "// STATE\nx\n");
}

fn parse(variant: Variant) -> naga::Module {
    naga::front::wgsl::parse_str(&source::<Adagrad>(variant)).unwrap()
}

const NATIVE: Variant = Variant {
    precision: Precision::Native,
    access: Access::Vector,
    grads_writable: false,
    guarded: Guarded { decided: false, only_finite: false },
};

/// Every choice for a guard, the default first.
const GUARDED: [Guarded; 4] = [
    Guarded { decided: false, only_finite: false },
    Guarded { decided: false, only_finite: true },
    Guarded { decided: true, only_finite: false },
    Guarded { decided: true, only_finite: true },
];

/// No guard, no cost: the kernel is the shipped files and nothing else. With one, every word that
/// a guard puts in has found its place.
#[test]
fn without_a_guard_the_kernel_is_the_shipped_text() {
    assert_eq!(Guarded::default(), GUARDED[0]);
    let arithmetic = include_str!("../../shaders/arithmetic/native.wgsl");
    for (access, harness) in [
        (Access::Vector, include_str!("../../shaders/step.wgsl")),
        (Access::Scalar, include_str!("../../shaders/step_unaligned.wgsl")),
    ] {
        let harness = expand_state(harness, Adagrad::STATE, 3);
        let shipped = [arithmetic, Adagrad::SHADER, &harness].join("\n");
        assert_eq!(source::<Adagrad>(Variant { access, ..NATIVE }), shipped);
        for guarded in GUARDED {
            let text = source::<Adagrad>(Variant { access, guarded, ..NATIVE });
            let has = |word: &str| text.contains(word);
            assert_eq!(has("|| is_skipped()"), guarded.decided);
            assert_eq!(has("clipped(gradient)"), guarded.decided);
            assert_eq!(has("update_finite(hyper, x, gradient, "), guarded.only_finite);
        }
    }
}

/// The struct of a uniform in the shipped WGSL: its size and its members' names and offsets.
fn uniform_struct(module: &naga::Module, name: &str) -> (u32, Vec<(String, u32)>) {
    let (_, ty) = module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some(name)).unwrap();
    let naga::TypeInner::Struct { members, span } = &ty.inner else { panic!("{name}") };
    let members = members.iter().map(|m| (m.name.clone().unwrap(), m.offset)).collect();
    (*span, members)
}

#[test]
fn uniforms_have_the_layout_of_the_shipped_wgsl() {
    use crate::rules::AdagradUniforms as U;
    use std::mem::offset_of;
    for access in [Access::Vector, Access::Scalar] {
        let module = parse(Variant { access, ..NATIVE });
        let (size, members) = uniform_struct(&module, "Hyper");
        let ours = [
            ("learning_rate", offset_of!(U, learning_rate)),
            ("epsilon", offset_of!(U, epsilon)),
            ("weight_decay", offset_of!(U, weight_decay)),
            ("padding", offset_of!(U, padding)),
        ];
        let ours: Vec<_> = ours.map(|(name, at)| (name.to_owned(), at as u32)).to_vec();
        assert_eq!((size as usize, members), (size_of::<U>(), ours));

        let (_, members) = uniform_struct(&module, "Chunk");
        let names: Vec<_> = members.iter().map(|(name, _)| name.as_str()).collect();
        let words = ["threads", "len", "params_start", "grads_start", "accumulator_start"];
        assert_eq!(names, words);
        assert!(members.iter().enumerate().all(|(index, (_, at))| *at == 4 * index as u32));
    }
}

#[test]
fn bindings_are_those_of_the_shipped_wgsl() {
    for (grads_writable, guarded) in
        [false, true].into_iter().flat_map(|writable| GUARDED.map(|guarded| (writable, guarded)))
    {
        let module = parse(Variant { grads_writable, guarded, ..NATIVE });
        let mut found = Vec::new();
        for (_, global) in module.global_variables.iter() {
            let place = global.binding.unwrap();
            let writable = matches!(global.space, naga::AddressSpace::Storage { access }
                if access.contains(naga::StorageAccess::STORE));
            found.push((global.name.clone().unwrap(), place.group, place.binding, writable));
        }
        found.sort_by_key(|entry| (entry.1, entry.2));
        let expected = [
            ("chunk", 0, CHUNK_BINDING, false),
            ("params", 0, PARAMS_BINDING, true),
            ("grads", 0, GRADS_BINDING, grads_writable),
            ("accumulator", 0, FIRST_STATE_BINDING, true),
            ("hyper", 1, 0, false),
        ];
        let decision = ("outcome", crate::gpu::guard::DECISION_GROUP, 0, false);
        let expected: Vec<_> = expected
            .into_iter()
            .chain(guarded.decided.then_some(decision))
            .map(|(name, g, b, writable)| (name.to_owned(), g, b, writable))
            .collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn every_variant_is_valid_and_can_be_translated() {
    let mut constants = Adagrad::default().constants();
    constants.push(("workgroup_size", 256.0));
    for precision in [Precision::Native, Precision::Exact] {
        for access in [Access::Vector, Access::Scalar] {
            for grads_writable in [false, true] {
                for guarded in GUARDED {
                    let variant = Variant { precision, access, grads_writable, guarded };
                    let what = format!("{variant:?}");
                    let text = source::<Adagrad>(variant);
                    crate::gpu::shader_check::translate(&what, &text, &constants);
                }
            }
        }
    }
}

#[test]
fn every_variant_is_valid_in_every_shape() {
    for quads in [1, 2, 64] {
        let shape = KernelShape::new(64, quads);
        let constants: Vec<_> =
            Adagrad::default().constants().into_iter().chain(shape.constants()).collect();
        for access in [Access::Vector, Access::Scalar] {
            for guarded in GUARDED {
                let variant = Variant { access, guarded, ..NATIVE };
                let text = shape.apply(source::<Adagrad>(variant));
                assert_eq!(text.contains("fn step_quad(index: u32)"), quads > 1);
                let what = format!("{variant:?} with {quads} quads");
                crate::gpu::shader_check::translate(&what, &text, &constants);
            }
        }
    }
}

/// A shader that does not compile must fail the check above.
#[test]
#[should_panic(expected = "broken")]
fn a_broken_shader_is_found() {
    let source = source::<Adagrad>(NATIVE).replace("square_root(s)", "squareroot(s)");
    crate::gpu::shader_check::translate("broken", &source, &[]);
}
