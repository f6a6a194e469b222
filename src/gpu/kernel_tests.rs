use super::*;
use crate::gpu::rows::Job;
use crate::gpu::shader_check::{check, same_layout, structure, translate};
use crate::gpu::table::Block;
use crate::rules::with_rule;
use crate::rules::{AnyRule, Rule, check_row_wise};
use crate::{Adagrad, Adam, Sgd};

const TREATMENTS: [Treatment; 3] = [Treatment::None, Treatment::Decided, Treatment::OnlyFinite];
const PRECISIONS: [Precision; 2] = [Precision::Native, Precision::Exact];
const ELEMENTS: [Element; 2] = [Element::Quads, Element::Scalars];

fn choice<R: Rule>(rule: &R) -> StepChoice {
    StepChoice {
        formula: Formula::of(rule),
        precision: Precision::Native,
        treatment: Treatment::None,
        element: Element::Quads,
        groups: 1,
        workgroup_size: 64,
    }
}

/// A kernel with two windows, one for parameters and one for gradients.
fn tensors(step: StepChoice) -> TableKernel {
    let state = 2..2 + step.formula.state_count();
    let written = [true, false].into_iter().chain(state.clone().map(|_| true)).collect();
    TableKernel { step, written, routes: vec![[0, 1].into_iter().chain(state).collect()] }
}

fn rows(step: StepChoice, means: bool, row_wise: bool) -> RowsKernel {
    RowsKernel { step, rows: WhichRows::Named, row_wise, means, grads_in_parts: false }
}

/// All kernels of every rule, with each choice of formula.
#[test]
fn every_rule_is_valid_in_every_place_and_can_be_translated() {
    for rule in AnyRule::examples() {
        let step = with_rule!(rule, |rule| choice(&rule));
        for precision in PRECISIONS {
            for element in ELEMENTS {
                let step = StepChoice { precision, element, ..step.clone() };
                check(&tensors(step.clone()));
                check(&rows(step.clone(), false, false));
                if with_rule!(rule, |rule| check_row_wise(&rule)).is_ok() {
                    check(&rows(step, false, true));
                }
            }
            if with_rule!(rule, |rule| check_row_wise(&rule)).is_ok() {
                let step = StepChoice { precision, element: Element::Scalars, ..step.clone() };
                check(&rows(step, true, true));
            }
        }
    }
}

/// The options that do not depend on the rule, combined, for the rules with the least and the most
/// state.
#[test]
fn options_that_do_not_depend_on_the_rule_can_be_combined() {
    // One buffer for both; two pairs of buffers; parameters in two buffers, gradients in one.
    let windows: [(&[bool], &[[usize; 2]]); 3] = [
        (&[true], &[[0, 0]]),
        (&[true, false, true, false], &[[0, 1], [2, 3]]),
        (&[true, true, false], &[[0, 2], [1, 2], [0, 1]]),
    ];
    let largest = Adam { amsgrad: true, ..Adam::default() };
    for step in [choice(&Sgd::default()), choice(&largest)] {
        for (treatment, groups) in TREATMENTS.into_iter().zip([1, 3, 16]) {
            for element in ELEMENTS {
                let step = StepChoice { treatment, groups, element, ..step.clone() };
                let state = step.formula.state_count();
                for (written, routes) in windows {
                    // All state in the first buffer, or each vector in its own buffer.
                    for own in [0, state] {
                        let window = |k| if own == 0 { 0 } else { written.len() + k };
                        let route = |route: &[usize; 2]| {
                            route.iter().copied().chain((0..state).map(window)).collect()
                        };
                        let routes = routes.iter().map(route).collect();
                        let written = [written, &[true; 3][..own]].concat();
                        check(&TableKernel { step: step.clone(), written, routes });
                    }
                }
                for which in [WhichRows::Named, WhichRows::All] {
                    let kernel = rows(step.clone(), false, false);
                    check(&RowsKernel { rows: which, grads_in_parts: true, ..kernel });
                }
            }
            let step = StepChoice { treatment, element: Element::Scalars, ..choice(&largest) };
            for means in [false, true] {
                check(&RowsKernel { rows: WhichRows::All, ..rows(step.clone(), means, true) });
            }
        }
    }
    for precision in PRECISIONS {
        check(&SumKernel { precision, workgroup_size: 64 });
    }
}

#[test]
fn structs_have_the_layout_of_the_wgsl() {
    let step = choice(&Adam::default());
    let text = tensors(step.clone()).text();
    same_layout!(
        &text,
        Block {
            route,
            group,
            len,
            params_start,
            grads_start,
            state_start_0,
            state_start_1,
            state_start_2,
        }
    );
    let sum = SumKernel { precision: Precision::Native, workgroup_size: 1 };
    for text in [rows(step, false, false).text(), sum.text()] {
        same_layout!(
            &text,
            Job {
                threads,
                quads,
                first_quad,
                width,
                table_width,
                first_row,
                run_first,
                table_first,
                table_len,
                grads_first,
                grads_len,
                skip,
                group,
                params_start,
                grads_start,
                state_start,
                width_as_real,
            }
        );
    }
}

/// Fills the uniforms with 1, 2, 3 and so on, and compares their names and values with the WGSL
/// struct.
fn has_the_layout_of_the_wgsl<R: Rule>(rule: &R) {
    let (size, hyper) = structure(&tensors(choice(rule)).text(), "Hyper");
    assert_eq!(size, size_of::<R::Uniforms>(), "{rule:?}");
    assert_eq!(size % 16, 0, "{rule:?}: uniforms form an array");
    let words: Vec<f32> = (1..=size / 4).map(|number| number as f32).collect();
    let ours: R::Uniforms = *bytemuck::from_bytes(bytemuck::cast_slice(&words));
    let theirs: Vec<_> =
        hyper.iter().map(|(name, at)| format!("{name}: {}.0", at / 4 + 1)).collect();
    let ours = format!("{ours:?}");
    let fields = ours.split_once("{ ").unwrap().1.trim_end_matches(" }");
    assert_eq!(fields, theirs.join(", "));
}

/// The constants that a rule sets are the overrides that its WGSL declares.
fn sets_its_overrides<R: Rule>(rule: &R) {
    let module = naga::front::wgsl::parse_str(&tensors(choice(rule)).text()).unwrap();
    let declared = module.overrides.iter().filter_map(|(_, o)| o.name.clone());
    let mut declared: Vec<_> = declared.filter(|name| name != "workgroup_size").collect();
    let mut set: Vec<_> = rule.constants().iter().map(|(name, _)| (*name).to_owned()).collect();
    declared.sort();
    set.sort();
    assert_eq!(declared, set, "{rule:?}");
}

#[test]
fn uniforms_and_constants_match_the_wgsl() {
    for rule in AnyRule::examples() {
        with_rule!(rule, |rule| has_the_layout_of_the_wgsl(&rule));
        with_rule!(rule, |rule| sets_its_overrides(&rule));
    }
}

/// SGD has no state vector and AMSGrad three. Blocks and two windows are bound in both.
#[test]
fn a_rule_binds_no_state_that_it_does_not_use() {
    let bindings = |step| tensors(step).text().matches("@group(0)").count();
    assert_eq!(bindings(choice(&Sgd::default())), 3);
    assert_eq!(bindings(choice(&Adam { amsgrad: true, ..Adam::default() })), 6);
}

/// Other hyper-parameters share a kernel; other choices, other state or another rule do not.
#[test]
fn formulas_are_equal_only_where_the_kernels_are() {
    let adam = Formula::of(&Adam::default());
    assert_eq!(adam, Formula::of(&Adam { beta1: 0.5, ..Adam::default() }));
    assert_ne!(adam, Formula::of(&Adam { amsgrad: true, ..Adam::default() }));
    assert_ne!(adam, Formula::new(&Adam::default(), &[0, 1, 2]));
    assert_ne!(adam, Formula::of(&Adagrad::default()));
}

/// A shader that does not compile must fail the check above.
#[test]
#[should_panic(expected = "broken")]
fn a_broken_shader_is_found() {
    let text = tensors(choice(&Adagrad::default())).text();
    let text = text.replace("square_root(s)", "squareroot(s)");
    translate("broken", &text, &[]);
}
