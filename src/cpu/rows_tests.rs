//! Steps over some rows of a table.

use crate::rules::with_rule;
use crate::{Adagrad, Adam, AnyRule, CpuOptimizer, GradientGuard, NonFinite, Rule};

fn rule() -> Adagrad {
    Adagrad { learning_rate: 0.1, ..Adagrad::default() }
}

/// Runs a check for every rule. The check returns whether rows can share the rule's state.
macro_rules! for_row_wise {
    (|$rule:ident| $check:expr) => {
        let rules = AnyRule::examples().into_iter();
        let tried = rules.filter(|any| with_rule!(*any, |$rule| $check)).count();
        assert!(tried > 10, "{tried} rules");
    };
}

/// Compares to a step over the whole table. The rule does not change elements whose gradient is 0.
fn agrees(rows: usize, width: usize, indices: &[u32]) {
    let start = with_bad(rows * width, false);
    let gradients = with_bad(99 + indices.len() * width, false).split_off(99);
    let (mut sparse, mut dense) = (start.clone(), start);
    let mut by_rows = CpuOptimizer::new(rule(), sparse.len()).unwrap();
    let mut whole = CpuOptimizer::new(rule(), sparse.len()).unwrap();
    for _ in 0..2 {
        let mut full = vec![0.0; rows * width];
        for (row, gradient) in indices.iter().zip(gradients.chunks(width)) {
            let row = &mut full[*row as usize * width..][..width];
            row.iter_mut().zip(gradient).for_each(|(sum, g)| *sum += g);
        }
        by_rows.step_rows(&mut sparse, &gradients, indices).unwrap();
        whole.step(&mut dense, &full).unwrap();
    }
    assert!(sparse == dense && by_rows.state(0) == whole.state(0), "{rows} x {width}");
    assert_eq!(by_rows.steps(), 2);
}

#[test]
fn named_rows_are_stepped_as_in_the_whole_table() {
    agrees(5, 3, &[4, 0, 4, 4, 1]);
    agrees(1, 1, &[0]);
    agrees(7000, 1, &(0..7000).rev().collect::<Vec<_>>());
    agrees(100, 5000, &[99, 3, 50]);
    // Enough for several threads.
    let many: Vec<u32> = (0..3000).map(|index| index * 7919 % 4000).collect();
    agrees(4000, 64, &many);
}

#[test]
fn arguments_that_do_not_fit_are_refused_and_change_nothing() {
    let mut params = vec![1.0; 12];
    let mut optimizer = CpuOptimizer::new(rule(), 12).unwrap();
    let mut refused = |gradients: &[f32], indices: &[u32]| {
        optimizer.step_rows(&mut params, gradients, indices).unwrap_err().to_string()
    };
    let index = refused(&[1.0; 6], &[0, 4]);
    assert_eq!(index, "row index 4 at position 1: the table has 4 rows, counted from 0");
    for (gradients, indices) in [(5, 2), (10, 2), (3, 0), (0, 1)] {
        let error = refused(&vec![1.0; gradients], &vec![0; indices]);
        let start = format!("{gradients} gradients for {indices} rows");
        assert!(error.starts_with(&start), "{error}");
    }
    assert_eq!((params, optimizer.steps()), (vec![1.0; 12], 0));
}

/// If all gradients of a row are equal, their mean square is the square of each, without rounding.
/// A row-wise step then equals a step with one accumulator per parameter.
fn alike_is_own<R: Rule>(rule: R, width: usize) -> bool {
    let rows = 70;
    let Ok(mut by_row) = CpuOptimizer::row_wise(rule, rows, width) else { return false };
    let mut own = CpuOptimizer::new(rule, rows * width).unwrap();
    let start: Vec<f32> = (0..rows * width).map(|i| (i % 97) as f32 / 32.0 - 1.5).collect();
    let (mut shared, mut expected) = (start.clone(), start);
    for indices in [[7, 60, 1], [60, 0, 69], [1, 60, 7]] {
        let gradients = [0.5, -1.25, 3.0].map(|gradient| vec![gradient; width]).concat();
        by_row.step_rows(&mut shared, &gradients, &indices).unwrap();
        own.step_rows(&mut expected, &gradients, &indices).unwrap();
    }
    assert_eq!(shared, expected, "{rule:?}");
    for k in 0..own.state_count() {
        let stride = own.state(k).len() / by_row.state(k).len();
        let of_rows: Vec<_> = own.state(k).iter().step_by(stride).copied().collect();
        assert_eq!(by_row.state(k), of_rows, "{rule:?}");
    }
    true
}

#[test]
fn rows_of_equal_gradients_are_stepped_like_single_parameters() {
    for width in [1, 2, 64, 128] {
        for_row_wise!(|rule| alike_is_own(rule, width));
    }
}

/// Squares 1 and 49 have mean 25; then 9 and 9 have mean 9: s = 25 and 34. Adam's average of
/// gradients is not shared, (1, 7) / 2; its shared square average is 25 / 4.
#[test]
fn a_row_has_the_mean_of_its_squares() {
    let rule = Adagrad { learning_rate: 0.5, epsilon: 2.0, ..Adagrad::default() };
    let mut optimizer = CpuOptimizer::row_wise(rule, 2, 2).unwrap();
    let mut x = [1.0; 4];
    optimizer.step_rows(&mut x, &[1.0, 7.0], &[1]).unwrap();
    let root = 27.0_f32.sqrt();
    assert_eq!(x, [1.0, 1.0, 1.0 - 0.5 / root, 1.0 - 3.5 / root]);
    optimizer.step_rows(&mut x, &[1.0, -3.0, 2.0, 0.0], &[1, 1]).unwrap();
    assert_eq!(optimizer.state(0), [0.0, 34.0]);

    let rule = Adam { beta1: 0.5, beta2: 0.75, ..Adam::default() };
    let mut optimizer = CpuOptimizer::row_wise(rule, 2, 2).unwrap();
    optimizer.step_rows(&mut x, &[1.0, 7.0], &[0]).unwrap();
    assert_eq!(optimizer.state(0), [0.5, 3.5, 0.0, 0.0]);
    assert_eq!(optimizer.state(1), [6.25, 0.0]);
}

#[test]
fn a_step_without_rows_changes_only_the_step_count() {
    let mut params = vec![1.0; 4];
    let mut optimizer = CpuOptimizer::new(rule(), 4).unwrap();
    optimizer.step_rows(&mut params, &[], &[]).unwrap();
    assert_eq!((params, optimizer.steps()), (vec![1.0; 4], 1));
}

const ALL: [NonFinite; 4] =
    [NonFinite::Propagate, NonFinite::SkipElement, NonFinite::SkipStep, NonFinite::Report];

/// Values; if `bad`, three of them are not finite.
fn with_bad(len: usize, bad: bool) -> Vec<f32> {
    let value = |index: usize| (index.wrapping_mul(2_654_435_761) >> 7 & 0xffff) as f32 / 7e3 - 4.0;
    let mut values: Vec<_> = (0..len).map(value).collect();
    if bad {
        (values[5], values[len / 2], values[len - 1]) = (f32::NAN, f32::INFINITY, f32::NAN);
    }
    values
}

/// Compares a guarded step over named rows to a dense step over a table of only these rows.
fn agree_guarded<R: Rule>(
    new: impl Fn(usize, usize) -> Option<CpuOptimizer<R>>,
    bad: bool,
) -> bool {
    let (rows, width) = (40, 33);
    let indices = [7, 0, 7, 39, 12, 7, 0];
    let gradients = with_bad(indices.len() * width, bad);
    let named = [0_u32, 7, 12, 39];
    let mut sums = vec![vec![]; named.len()];
    for (row, gradient) in indices.iter().zip(gradients.chunks(width)) {
        let sum = &mut sums[named.iter().position(|known| known == row).unwrap()];
        match sum.is_empty() {
            true => *sum = gradient.to_vec(),
            false => sum.iter_mut().zip(gradient).for_each(|(sum, g)| *sum += g),
        }
    }
    let table = with_bad(rows * width, false);
    for non_finite in ALL {
        for max_norm in [None, Some(2.0)] {
            let guard = GradientGuard { non_finite, max_norm };
            let Some(by_rows) = new(rows, width) else { return false };
            let mut by_rows = by_rows.with_guard(guard).unwrap();
            let mut dense = new(named.len(), width).unwrap().with_guard(guard).unwrap();
            let mut params = table.clone();
            let row = |row: &u32| &table[*row as usize * width..][..width];
            let mut expected = named.iter().map(row).collect::<Vec<_>>().concat();
            let result = by_rows.step_rows(&mut params, &gradients, &indices);
            assert_eq!(result, dense.step(&mut expected, &sums.concat()));
            assert_eq!(by_rows.steps(), dense.steps());
            // NaN is not equal to itself.
            assert_eq!(format!("{:?}", by_rows.report()), format!("{:?}", dense.report()));
            let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            for (expected, row) in expected.chunks(width).zip(named) {
                let found = &params[row as usize * width..][..width];
                assert_eq!(bits(found), bits(expected), "{guard:?} {row}");
            }
            for k in 0..dense.state_count() {
                let width = dense.state(k).len() / named.len();
                for (expected, row) in dense.state(k).chunks(width).zip(named) {
                    let found = &by_rows.state(k)[row as usize * width..][..width];
                    assert_eq!(bits(found), bits(expected), "{guard:?} {row}");
                }
            }
            let unnamed = (0..rows).filter(|row| !named.contains(&(*row as u32)));
            for row in unnamed.map(|row| row * width..(row + 1) * width) {
                assert_eq!(params[row.clone()], table[row]);
            }
        }
    }
    true
}

fn guarded_rows<R: Rule>(rule: R) -> bool {
    for bad in [false, true] {
        let own = |rows, width| CpuOptimizer::new(rule, rows * width).ok();
        assert!(agree_guarded(own, bad));
    }
    let shared = |rows, width| CpuOptimizer::row_wise(rule, rows, width).ok();
    agree_guarded(shared, false) && agree_guarded(shared, true)
}

#[test]
fn guarded_rows_are_stepped_as_a_table_of_their_sums() {
    for_row_wise!(|rule| guarded_rows(rule));
}

/// Compares a dense step of a row-wise optimizer to one that names every row.
fn dense_names_all<R: Rule>(rule: R) -> bool {
    // The last table is large enough for several threads.
    for (rows, width) in [(1, 1), (40, 33), (7, 64), (50, 1), (3001, 100)] {
        let Ok(mut dense) = CpuOptimizer::row_wise(rule, rows, width) else { return false };
        let mut named = dense.clone();
        let indices: Vec<u32> = (0..rows as u32).collect();
        let start = with_bad(rows * width, false);
        let (mut params, mut expected) = (start.clone(), start);
        for _ in 0..2 {
            let grads = with_bad(rows * width, false);
            dense.step(&mut params, &grads).unwrap();
            named.step_rows(&mut expected, &grads, &indices).unwrap();
        }
        assert!(params == expected, "{rule:?}: {rows} x {width}");
        assert!((0..dense.state_count()).all(|k| dense.state(k) == named.state(k)), "{rule:?}");
    }
    true
}

#[test]
fn a_dense_row_wise_step_equals_one_that_names_every_row() {
    for_row_wise!(|rule| dense_names_all(rule));
}

/// The norm of (3, NaN, 4) is 5 and the maximum 2.5, so the finite gradients are halved: (1.5, 2).
/// The mean square over 3 elements is 6.25 / 3, and the middle element keeps its parameter.
#[test]
fn a_skipped_element_of_a_shared_row_counts_as_zero() {
    let rule = Adagrad { learning_rate: 0.5, epsilon: 0.0, ..Adagrad::default() };
    let guard = GradientGuard { non_finite: NonFinite::SkipElement, max_norm: Some(2.5) };
    let mut optimizer = CpuOptimizer::row_wise(rule, 2, 3).unwrap().with_guard(guard).unwrap();
    let mut x = [1.0; 6];
    optimizer.step_rows(&mut x, &[3.0, f32::NAN, 4.0], &[1]).unwrap();
    let mean = 6.25_f32 / 3.0;
    let root = mean.sqrt();
    assert_eq!(x, [1.0, 1.0, 1.0, 1.0 - 0.75 / root, 1.0, 1.0 - 1.0 / root]);
    assert_eq!(optimizer.state(0), [0.0, mean]);
    assert_eq!((optimizer.report().first, optimizer.report().norm), (Some(1), Some(5.0)));
}
