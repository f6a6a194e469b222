use super::*;
use crate::NonFinite;
use crate::rules::{AnyRule, with_rule};

const PLACES: [KernelPlace; 8] = [
    KernelPlace::Tensors,
    KernelPlace::Rows,
    KernelPlace::AllRows,
    KernelPlace::RowMeans,
    KernelPlace::RowSums,
    KernelPlace::Scan,
    KernelPlace::Reduce,
    KernelPlace::Decide,
];

/// What a device gets is what is left without the lines that begin with [`HEAD`], each of which has an
/// empty one behind it or another of its kind.
fn without_heads(printed: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    let mut behind_head = false;
    for line in printed.lines() {
        let head = line.starts_with(HEAD);
        if !(head || behind_head && line.is_empty()) {
            lines.push(line);
        }
        behind_head = head;
    }
    lines.join("\n") + "\n"
}

fn check(kernel: &impl Kernel, printed: &str) {
    let text = kernel.text();
    assert_eq!(without_heads(printed), text);
    let parsed = naga::front::wgsl::parse_str(printed)
        .unwrap_or_else(|error| panic!("{kernel:?}: {}", error.emit_to_string(printed)));
    assert_eq!(parsed.entry_points[0].name, kernel.entry());
    for (name, value) in kernel.constants() {
        assert!(printed.contains(&format!("{HEAD}override {name} = {value}\n")), "{name}");
    }
    // Every file has its name: the comment that a file begins with stands nowhere below `generated`.
    for part in printed.split(&format!("{HEAD}generated\n\n")).skip(1) {
        let generated = part.split(HEAD).next().unwrap();
        assert!(!generated.starts_with("//"), "a file without a name:\n{generated}");
    }
}

/// Every rule with every choice of formula, over all other choices.
#[test]
fn what_is_printed_is_what_a_device_gets() {
    let all = AnyRule::examples();
    for (index, rule) in all.into_iter().enumerate() {
        // The axes that know nothing of rules go around with the rules.
        let guard = [
            GradientGuard::default(),
            GradientGuard { non_finite: NonFinite::SkipStep, max_norm: Some(1.0) },
            GradientGuard { non_finite: NonFinite::SkipElement, max_norm: None },
        ][index % 3];
        let precision = [Precision::Native, Precision::Exact][index % 2];
        for place in PLACES {
            for quads in [false, true] {
                for row_wise in [false, true] {
                    let windows = 1 + index % 4;
                    let choice = KernelChoice { place, quads, guard, precision, row_wise, windows };
                    with_rule!(rule, |rule| prints(&rule, &choice));
                }
            }
        }
    }
}

fn prints<R: Rule>(rule: &R, choice: &KernelChoice) {
    let shares = choice.row_wise
        && matches!(choice.place, KernelPlace::Rows | KernelPlace::AllRows)
        || choice.place == KernelPlace::RowMeans;
    let printed = kernel_text(rule, choice);
    if shares && check_row_wise(rule).is_err() {
        assert_eq!(printed, Err(RuleError::NotRowWise { rule: R::NAME }));
        return;
    }
    let printed = printed.unwrap();
    let element = if choice.quads { Element::Quads } else { Element::Scalars };
    let KernelChoice { precision, windows, guard, .. } = *choice;
    let treatment = Treatment::of(&guard);
    let formula = Formula::of(rule);
    let (groups, workgroup_size) = (1, 256);
    let step = StepChoice { formula, precision, treatment, element, groups, workgroup_size };
    let rows = RowsKernel {
        step: step.clone(),
        rows: WhichRows::Named,
        row_wise: choice.row_wise,
        means: false,
        grads_in_parts: false,
    };
    let (with_norm, only_finite) = (guard.max_norm.is_some(), guard.skips_elements());
    match choice.place {
        KernelPlace::Tensors => {
            let routes: &[[usize; 2]] =
                if windows == 1 { &[[0, 0]] } else { &[[0, 1], [0, 2], [0, 3]][..windows - 1] };
            let written = [true, false, false, false][..windows].to_vec();
            check(&TableKernel { step, written, routes: routes.to_vec() }, &printed);
        }
        KernelPlace::Rows => check(&rows, &printed),
        KernelPlace::AllRows => check(&RowsKernel { rows: WhichRows::All, ..rows }, &printed),
        KernelPlace::RowMeans => {
            let step = StepChoice { element: Element::Scalars, ..step };
            check(&RowsKernel { step, means: true, row_wise: true, ..rows }, &printed);
        }
        KernelPlace::RowSums => {
            check(&SumKernel { precision, workgroup_size }, &printed);
        }
        KernelPlace::Scan => {
            let kernel = ScanKernel { precision, element, windows, with_norm, only_finite };
            check(&kernel, &printed);
        }
        KernelPlace::Reduce => check(&ReduceKernel { precision, with_norm }, &printed),
        KernelPlace::Decide => check(&DecideKernel { precision }, &printed),
    }
}
