use super::*;
use crate::rules::{AnyRule, RuleVisitor};
use crate::{Adagrad, Adam};

#[test]
fn a_state_line_stands_once_for_each_vector() {
    let text = "// STATE\nbinding STATE_BINDING of STATE;\nx\n";
    let state =
        StateNames { members: &["first", "absent", "second"], vectors: &["first", "second"] };
    let expanded = expand_state(text, state, 3);
    assert_eq!(expanded, "// STATE\nbinding 3 of first;\nbinding 4 of second;\nx\n");
    let none = StateNames { members: &[], vectors: &[] };
    assert_eq!(expand_state(text, none, 3), "// STATE\nx\n");
    let members = "    first: Real,\n    absent: Real,\n    second: Real,\n";
    assert_eq!(expand_state("    STATE: Real,\n", state, 3), members);
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

fn parse<R: Rule>(rule: &R, variant: Variant) -> naga::Module {
    naga::front::wgsl::parse_str(&source(rule, variant)).unwrap()
}

/// One rule of each type and choice of formula, handed to a check.
fn each_rule<V: RuleVisitor<Output = ()> + Copy>(check: V) {
    for rule in AnyRule::examples() {
        rule.visit(check);
    }
}

/// No guard, no cost: the kernel is the shipped files and nothing else. With one, every word that
/// a guard puts in has found its place.
#[test]
fn without_a_guard_the_kernel_is_the_shipped_text() {
    assert_eq!(Guarded::default(), GUARDED[0]);
    let arithmetic = include_str!("../../shaders/arithmetic/native.wgsl");
    let rule = Adagrad::default();
    for (access, harness) in [
        (Access::Vector, include_str!("../../shaders/step.wgsl")),
        (Access::Scalar, include_str!("../../shaders/step_unaligned.wgsl")),
    ] {
        let state = StateNames { members: Adagrad::STATE, vectors: Adagrad::STATE };
        let harness = expand_state(harness, state, 3);
        let shipped = [arithmetic, OWN_SQUARE, Adagrad::SHADER, &harness].join("\n");
        assert_eq!(source(&rule, Variant { access, ..NATIVE }), shipped);
        for guarded in GUARDED {
            let text = source(&rule, Variant { access, guarded, ..NATIVE });
            let has = |word: &str| text.contains(word);
            assert_eq!(has("|| is_skipped()"), guarded.decided);
            assert_eq!(has("clipped(gradient)"), guarded.decided);
            assert_eq!(has("update_finite(hyper, x, gradient, "), guarded.only_finite);
        }
    }
}

/// The members of a struct of the WGSL and their offsets, and its size.
fn members(module: &naga::Module, name: &str) -> (u32, Vec<(String, u32)>) {
    let (_, ty) = module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some(name)).unwrap();
    let naga::TypeInner::Struct { members, span } = &ty.inner else { panic!("{name}") };
    let members = members.iter().map(|m| (m.name.clone().unwrap(), m.offset)).collect();
    (*span, members)
}

/// The uniforms, filled with 1, 2, 3 and so on and shown by name, against the WGSL's struct.
#[derive(Clone, Copy)]
struct Layout;

impl RuleVisitor for Layout {
    type Output = ();

    fn visit<R: Rule>(self, rule: R) {
        for access in [Access::Vector, Access::Scalar] {
            let module = parse(&rule, Variant { access, ..NATIVE });
            let (size, hyper) = members(&module, "Hyper");
            assert_eq!(size as usize, size_of::<R::Uniforms>(), "{rule:?}");
            assert_eq!(size % 16, 0, "{rule:?}: an array of them in a storage buffer");
            let words: Vec<f32> = (1..=size / 4).map(|number| number as f32).collect();
            let ours: R::Uniforms = *bytemuck::from_bytes(bytemuck::cast_slice(&words));
            let theirs: Vec<_> =
                hyper.iter().map(|(name, at)| format!("{name}: {}.0", at / 4 + 1)).collect();
            let ours = format!("{ours:?}");
            let fields = ours.split_once("{ ").unwrap().1.trim_end_matches(" }");
            assert_eq!(fields, theirs.join(", "));

            let (_, chunk) = members(&module, "Chunk");
            let starts = ["params", "grads"].into_iter().chain(rule.state_names());
            let starts = starts.map(|name| format!("{name}_start"));
            let words: Vec<_> =
                ["threads", "len"].map(str::to_owned).into_iter().chain(starts).collect();
            let expected: Vec<_> = words.into_iter().zip((0..).step_by(4)).collect();
            assert_eq!(chunk, expected);
        }
    }
}

#[test]
fn uniforms_have_the_layout_of_the_shipped_wgsl() {
    each_rule(Layout);
}

/// The constants that a rule sets are the overrides that its WGSL declares.
#[derive(Clone, Copy)]
struct Overrides;

impl RuleVisitor for Overrides {
    type Output = ();

    fn visit<R: Rule>(self, rule: R) {
        let module = parse(&rule, NATIVE);
        let declared = module.overrides.iter().filter_map(|(_, o)| o.name.clone());
        let mut declared: Vec<_> = declared.filter(|name| name != "workgroup_size").collect();
        let mut set: Vec<_> = rule.constants().iter().map(|(name, _)| (*name).to_owned()).collect();
        declared.sort();
        set.sort();
        assert_eq!(declared, set, "{rule:?}");
    }
}

#[test]
fn constants_are_the_overrides_of_the_shipped_wgsl() {
    each_rule(Overrides);
}

#[derive(Clone, Copy)]
struct Bindings {
    grads_writable: bool,
    guarded: Guarded,
}

impl RuleVisitor for Bindings {
    type Output = ();

    fn visit<R: Rule>(self, rule: R) {
        let Self { grads_writable, guarded } = self;
        let module = parse(&rule, Variant { grads_writable, guarded, ..NATIVE });
        let mut found = Vec::new();
        for (_, global) in module.global_variables.iter() {
            let place = global.binding.unwrap();
            let writable = matches!(global.space, naga::AddressSpace::Storage { access }
                if access.contains(naga::StorageAccess::STORE));
            found.push((global.name.clone().unwrap(), place.group, place.binding, writable));
        }
        found.sort_by_key(|entry| (entry.1, entry.2));
        let first = [
            ("chunk", 0, CHUNK_BINDING, false),
            ("params", 0, PARAMS_BINDING, true),
            ("grads", 0, GRADS_BINDING, grads_writable),
        ];
        let state = rule.state_names().into_iter().zip(FIRST_STATE_BINDING..);
        let last = [("hyper", 1, 0, false)];
        let decision = ("outcome", crate::gpu::guard::DECISION_GROUP, 0, false);
        let expected: Vec<_> = first
            .into_iter()
            .chain(state.map(|(name, binding)| (name, 0, binding, true)))
            .chain(last)
            .chain(guarded.decided.then_some(decision))
            .map(|(name, g, b, writable)| (name.to_owned(), g, b, writable))
            .collect();
        assert_eq!(found, expected, "{rule:?}");
    }
}

#[test]
fn bindings_are_those_of_the_shipped_wgsl() {
    for grads_writable in [false, true] {
        for guarded in GUARDED {
            each_rule(Bindings { grads_writable, guarded });
        }
    }
}

/// Plain descent has no vector of its own, AMSGrad three.
#[test]
fn a_rule_binds_no_state_that_it_does_not_use() {
    let text = source(&crate::Sgd::default(), NATIVE);
    assert!(!text.contains("@binding(3)"), "{text}");
    let text = source(&Adam { amsgrad: true, ..Adam::default() }, NATIVE);
    assert!(text.contains("@binding(5)") && !text.contains("@binding(6)"), "{text}");
}

#[derive(Clone, Copy)]
struct Translate {
    precision: Precision,
    access: Access,
    guarded: Guarded,
}

impl RuleVisitor for Translate {
    type Output = ();

    fn visit<R: Rule>(self, rule: R) {
        let Self { precision, access, guarded } = self;
        let mut constants = rule.constants();
        constants.push(("workgroup_size", 256.0));
        // Whether gradients are writable changes one word, and is parsed above.
        let variant = Variant { precision, access, grads_writable: false, guarded };
        let what = format!("{variant:?} {rule:?}");
        crate::gpu::shader_check::translate(&what, &source(&rule, variant), &constants);
    }
}

#[test]
fn every_variant_is_valid_and_can_be_translated() {
    for precision in [Precision::Native, Precision::Exact] {
        for access in [Access::Vector, Access::Scalar] {
            for guarded in [GUARDED[0], GUARDED[3]] {
                each_rule(Translate { precision, access, guarded });
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
                let text = shape.apply(source(&Adagrad::default(), variant));
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
    let text = source(&Adagrad::default(), NATIVE);
    let text = text.replace("square_root(s)", "squareroot(s)");
    crate::gpu::shader_check::translate("broken", &text, &[]);
}
