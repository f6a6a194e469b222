use super::*;
use crate::NonFinite;
use crate::rules::{AnyRule, with_rule};

/// Each place, and a file that distinguishes its kernel.
const PLACES: [(KernelPlace, &str); 8] = [
    (KernelPlace::Tensors, "place/table.wgsl"),
    (KernelPlace::Rows, "rows/step.wgsl"),
    (KernelPlace::AllRows, "place/all_rows.wgsl"),
    (KernelPlace::RowMeans, "rows/mean.wgsl"),
    (KernelPlace::RowSums, "rows/sum.wgsl"),
    (KernelPlace::Scan, "guard/scan.wgsl"),
    (KernelPlace::Reduce, "guard/reduce.wgsl"),
    (KernelPlace::Decide, "guard/decide.wgsl"),
];

/// The printed text as a device gets it: without the lines that begin with [`HEAD`], and without
/// the empty line after them.
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

fn check(source: &Source, printed: &str) {
    assert_eq!(without_heads(printed), source.text);
    let parsed = naga::front::wgsl::parse_str(printed)
        .unwrap_or_else(|error| panic!("{}", error.emit_to_string(printed)));
    assert_eq!(parsed.entry_points[0].name, source.entry);
    for (name, value) in &source.constants {
        assert!(printed.contains(&format!("{HEAD}override {name} = {value}\n")), "{name}");
    }
    // Every file is named: no part below `generated` begins with a comment, as files do.
    for part in printed.split(&format!("{HEAD}generated\n\n")).skip(1) {
        let generated = part.split(HEAD).next().unwrap();
        assert!(!generated.starts_with("//"), "a file without a name:\n{generated}");
    }
}

/// Every rule with every choice of formula, and all other options.
#[test]
fn what_is_printed_is_what_a_device_gets() {
    let all = AnyRule::examples();
    for (index, rule) in all.into_iter().enumerate() {
        // The options that do not depend on the rule change from rule to rule.
        let guard = [
            GradientGuard::default(),
            GradientGuard { non_finite: NonFinite::SkipStep, max_norm: Some(1.0) },
            GradientGuard { non_finite: NonFinite::SkipElement, max_norm: None },
        ][index % 3];
        let precision = [Precision::Native, Precision::Exact][index % 2];
        for (place, file) in PLACES {
            for quads in [false, true] {
                for row_wise in [false, true] {
                    let windows = 1 + index % 4;
                    let choice = KernelChoice { place, quads, guard, precision, row_wise, windows };
                    with_rule!(rule, |rule| prints(&rule, &choice, file));
                }
            }
        }
    }
}

fn prints<R: Rule>(rule: &R, choice: &KernelChoice, file: &str) {
    let &KernelChoice { place, row_wise, quads, precision, guard, windows } = choice;
    let in_rows = matches!(place, KernelPlace::Rows | KernelPlace::AllRows);
    let shares = row_wise && in_rows || place == KernelPlace::RowMeans;
    let printed = kernel_text(rule, choice);
    if shares && check_row_wise(rule).is_err() {
        assert_eq!(printed, Err(RuleError::NotRowWise { rule: R::NAME }));
        return;
    }
    let printed = printed.unwrap();
    check(&source(rule, choice).unwrap(), &printed);
    let has = |file: &str| printed.contains(&format!("{HEAD}shaders/{file}\n"));
    for (of, other) in PLACES {
        assert_eq!(
            has(other),
            of == place || of == KernelPlace::Rows && place == KernelPlace::AllRows
        );
    }
    assert!(has(file) && has("arithmetic/exact.wgsl") == (precision == Precision::Exact));
    let steps = in_rows || matches!(place, KernelPlace::Tensors | KernelPlace::RowMeans);
    assert_eq!(has(&format!("rules/{}.wgsl", R::NAME)), steps);
    assert_eq!(has("square/mean.wgsl"), shares);
    assert_eq!(has("treatment/only_finite.wgsl"), steps && guard.skips_elements());
    assert_eq!(has("treatment/none.wgsl"), steps && !guard.scans());
    if in_rows || matches!(place, KernelPlace::Tensors | KernelPlace::Scan) {
        assert_eq!(has("element/quads.wgsl"), quads);
    }
    if matches!(place, KernelPlace::Tensors | KernelPlace::Scan) {
        let state = if place == KernelPlace::Scan { 0 } else { rule.state_names().len() };
        assert_eq!(printed.matches("> window_").count(), windows + state);
    }
}
