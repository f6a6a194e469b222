//! Groups of tensors on the CPU engine: each tensor has the bits of an optimizer of its own, and
//! one guard covers all tensors.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use wgpu_optim::step::ParamGroup;
use wgpu_optim::{
    Adagrad, AnyRule, CpuError, CpuGroupOptimizer, CpuOptimizer, GradientError, GradientGuard,
    GuardReport, NonFinite, Rule, Schedule, Sgd, TensorGradient, TensorsError, with_rule,
};

const ALL: [NonFinite; 4] =
    [NonFinite::Propagate, NonFinite::SkipElement, NonFinite::SkipStep, NonFinite::Report];

/// Values from -2 to 2, in another sequence for each seed.
fn values(seed: usize, len: usize) -> Vec<f32> {
    let mixed = |index: usize| (index + 31 * seed).wrapping_mul(2_654_435_761) >> 8 & 0xffff;
    (0..len).map(|index| mixed(index) as f32 / 16_384.0 - 2.0).collect()
}

fn slices(vectors: &mut [Vec<f32>]) -> Vec<&mut [f32]> {
    vectors.iter_mut().map(Vec::as_mut_slice).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// The sum of a block of at most 4096 values by the definition: 256 partial sums, then a tree.
fn block_sum(block: &[f32]) -> f32 {
    let mut lanes = vec![0.0_f32; 256];
    for (i, value) in block.iter().enumerate() {
        lanes[i % 256] += value;
    }
    while lanes.len() > 1 {
        let upper = lanes.split_off(lanes.len() / 2);
        lanes.iter_mut().zip(upper).for_each(|(sum, term)| *sum += term);
    }
    lanes[0]
}

/// The norm of several vectors by the definition.
fn norm(vectors: &[Vec<f32>]) -> f32 {
    let squares = vectors.iter().map(|vector| vector.iter().map(|g| g * g).collect::<Vec<_>>());
    let mut sums: Vec<f32> =
        squares.flat_map(|s| s.chunks(4096).map(block_sum).collect::<Vec<_>>()).collect();
    while sums.len() > 1 {
        sums = sums.chunks(4096).map(block_sum).collect();
    }
    sums.first().map_or(0.0, |sum| sum.sqrt())
}

/// Lengths around those of blocks and SIMD vectors, and one that takes several threads.
const LENS: [usize; 6] = [1, 4097, 300_000, 15, 70_000, 256];

/// Three steps of groups, beside one optimizer for each tensor.
fn as_alone<R: Rule>(rule: R) {
    let mut faster = rule;
    faster.set_learning_rate(0.25);
    let groups = [
        ParamGroup { rule, lens: LENS[..2].to_vec() },
        ParamGroup { rule: faster, lens: LENS[2..].to_vec() },
    ];
    let schedule = Schedule::Exponential { factor: 0.5 };
    let mut optimizer =
        CpuGroupOptimizer::new(&groups).unwrap().with_schedule(schedule.clone()).unwrap();
    let alone = |(tensor, &len): (usize, &usize)| {
        let rule = if tensor < 2 { rule } else { faster };
        CpuOptimizer::new(rule, len).unwrap().with_schedule(schedule.clone()).unwrap()
    };
    let mut alone: Vec<_> = LENS.iter().enumerate().map(alone).collect();
    let start = || LENS.iter().enumerate().map(|(seed, &len)| values(seed, len));
    let (mut params, mut expected) = (Vec::from_iter(start()), Vec::from_iter(start()));
    for step in 1..4 {
        let grads = LENS.iter().enumerate().map(|(k, &len)| values(100 * step + k, len));
        let grads: Vec<_> = grads.collect();
        let list: Vec<_> = grads.iter().map(Vec::as_slice).collect();
        optimizer.step(&mut slices(&mut params), &list).unwrap();
        for ((alone, params), grads) in alone.iter_mut().zip(&mut expected).zip(&grads) {
            alone.step(params, grads).unwrap();
        }
    }
    assert_eq!(optimizer.steps(), 3);
    for (tensor, alone) in alone.iter().enumerate() {
        let name = format!("{rule:?}, tensor {tensor}");
        assert_eq!(bits(&params[tensor]), bits(&expected[tensor]), "{name}");
        assert_eq!(optimizer.state_count(), alone.state_count());
        for k in 0..alone.state_count() {
            assert_eq!(bits(optimizer.state(tensor, k)), bits(alone.state(k)), "{name}");
        }
    }
}

#[test]
fn each_tensor_has_the_bits_of_an_optimizer_of_its_own() {
    for rule in AnyRule::examples() {
        with_rule!(rule, |rule| as_alone(rule));
    }
}

/// State vectors are numbered over all groups; here only the second group has one.
#[test]
fn state_that_only_one_group_uses_has_a_number() {
    let plain = Sgd { learning_rate: 0.5, ..Sgd::default() };
    let heavy = Sgd { momentum: 0.5, ..plain };
    let groups =
        [ParamGroup { rule: plain, lens: vec![2] }, ParamGroup { rule: heavy, lens: vec![1] }];
    let mut optimizer = CpuGroupOptimizer::new(&groups).unwrap();
    let mut params = [vec![1.0; 2], vec![1.0]];
    optimizer.state_mut(1, 0)[0] = 2.0;
    optimizer.step(&mut slices(&mut params), &[&[1.0, 2.0], &[1.0]]).unwrap();
    // The velocity is 0.5 * 2 + 1.
    assert_eq!((&params[0][..], &params[1][..]), (&[0.5, 0.0][..], &[0.0][..]));
    assert_eq!((optimizer.state_count(), optimizer.state(1, 0)), (1, &[2.0][..]));
    assert_eq!(optimizer.state(0, 0), [0.0; 2]);
}

/// The norm over all tensors is that of the definition, and each tensor is stepped with the scaled
/// gradients.
#[test]
fn a_guard_covers_all_tensors() {
    let rule = Adagrad { learning_rate: 0.1, ..Adagrad::default() };
    for lens in [LENS.to_vec(), vec![1000; 1000], vec![3; 5000], vec![4096, 4096]] {
        let grads: Vec<_> = lens.iter().enumerate().map(|(k, &len)| values(k, len)).collect();
        let list: Vec<_> = grads.iter().map(Vec::as_slice).collect();
        let norm = norm(&grads);
        let guard = GradientGuard { max_norm: Some(norm / 3.0), ..GradientGuard::default() };
        let groups = [ParamGroup { rule, lens: lens.clone() }];
        let mut optimizer = CpuGroupOptimizer::new(&groups).unwrap().with_guard(guard).unwrap();
        let mut params: Vec<_> = lens.iter().map(|&len| vec![1.0; len]).collect();
        optimizer.step(&mut slices(&mut params), &list).unwrap();
        assert_eq!(optimizer.report(), GuardReport { norm: Some(norm), ..GuardReport::default() });
        let scale = norm / 3.0 / norm;
        for (tensor, (grads, params)) in grads.iter().zip(&params).enumerate() {
            let scaled: Vec<_> = grads.iter().map(|g| g * scale).collect();
            let mut expected = vec![1.0; grads.len()];
            let mut alone = CpuOptimizer::new(rule, grads.len()).unwrap();
            alone.step(&mut expected, &scaled).unwrap();
            assert_eq!(bits(params), bits(&expected), "tensor {tensor}");
            assert_eq!(bits(optimizer.state(tensor, 0)), bits(alone.state(0)));
        }
    }
}

/// 2^24 + 1 rounds back to 2^24, so the norm shows which squares share a partial sum.
#[test]
fn block_sums_are_summed_in_the_order_of_the_tensors() {
    let norm = |grads: &[Vec<f32>]| {
        let lens = grads.iter().map(Vec::len).collect();
        let groups = [ParamGroup { rule: Sgd::default(), lens }];
        let guard = GradientGuard { max_norm: Some(1.0), ..GradientGuard::default() };
        let mut optimizer = CpuGroupOptimizer::new(&groups).unwrap().with_guard(guard).unwrap();
        let list: Vec<_> = grads.iter().map(Vec::as_slice).collect();
        optimizer.step(&mut slices(&mut grads.to_vec()), &list).unwrap();
        optimizer.report().norm
    };
    let gradient = |index| match index {
        0 => 4096.0,
        _ if index % 256 == 0 => 1.0,
        _ => 0.0,
    };
    // The squares of fifteen tensors share a partial sum with the first, and are rounded away.
    let alone: Vec<_> = (0..4096).map(|index| vec![gradient(index)]).collect();
    assert_eq!(norm(&alone), Some(4096.0));
    // In one tensor of their own they sum to 15, and 2^24 + 15 rounds to 2^24 + 16.
    let together = (1..4096).map(gradient).collect();
    assert_eq!(norm(&[vec![4096.0], together]), Some(16_777_232.0_f32.sqrt()));
}

/// NaN in element 7 of the last of 1,000 tensors.
#[test]
fn the_last_of_many_tensors_is_scanned() {
    let rule = Adagrad { learning_rate: 0.5, epsilon: 0.0, ..Adagrad::default() };
    for non_finite in ALL {
        let groups = [ParamGroup { rule, lens: vec![100; 1000] }];
        let guard = GradientGuard { non_finite, max_norm: None };
        let mut optimizer = CpuGroupOptimizer::new(&groups).unwrap().with_guard(guard).unwrap();
        let mut params = vec![vec![1.0; 100]; 1000];
        let (good, mut bad) = (vec![2.0; 100], vec![2.0; 100]);
        bad[7] = f32::NAN;
        let mut grads = vec![&good[..]; 999];
        grads.push(&bad);
        let result = optimizer.step(&mut slices(&mut params), &grads);
        let first = Some(99_907);
        let skipped = optimizer.report().skipped_steps;
        let (parameter, state, steps) = match non_finite {
            NonFinite::Propagate => (0.5, 4.0, 1),
            NonFinite::SkipElement => (0.5, 4.0, 1),
            NonFinite::SkipStep => (1.0, 0.0, 1),
            NonFinite::Report => (1.0, 0.0, 0),
        };
        assert_eq!(optimizer.steps(), steps, "{non_finite:?}");
        let error = GradientError::NonFinite { count: 1, first: 99_907 };
        let reported = non_finite == NonFinite::Report;
        assert_eq!(result, if reported { Err(CpuError::Gradient(error)) } else { Ok(()) });
        if non_finite != NonFinite::Propagate {
            assert_eq!((optimizer.report().first, optimizer.report().non_finite), (first, 1));
            assert_eq!(skipped, u64::from(parameter == 1.0));
        }
        for (tensor, params) in params.iter().enumerate() {
            for (index, &x) in params.iter().enumerate() {
                match (tensor, index, non_finite) {
                    (999, 7, NonFinite::Propagate) => assert!(x.is_nan()),
                    (999, 7, _) => assert_eq!((x, optimizer.state(999, 0)[7]), (1.0, 0.0)),
                    _ => assert_eq!((x, optimizer.state(tensor, 0)[index]), (parameter, state)),
                }
            }
        }
    }
}

/// Dense, row and missing gradients in one step under a guard. The guard sees the sums of the rows
/// as one vector.
fn mixed<R: Rule>(rule: R) {
    const ROWS: [usize; 4] = [5000, 40, 90_000, 30];
    let groups = [ParamGroup { rule, lens: ROWS.to_vec() }];
    let mut params: Vec<_> = ROWS.iter().enumerate().map(|(k, &len)| values(k, len)).collect();
    let start = params.clone();
    let dense = values(9, 5000);
    let (few, few_indices) = (values(8, 5 * 10), [3, 0, 3, 3, 1]);
    let many_indices: Vec<u32> = (0..4000).map(|index| index * 7919 % 4500).collect();
    let many = values(7, 4000 * 20);
    // The sums by hand: the gradients of a row in their order, rows in ascending order.
    let summed = |gradients: &[f32], indices: &[u32], width: usize| {
        let mut rows = std::collections::BTreeMap::<u32, Vec<f32>>::new();
        for (&row, gradient) in indices.iter().zip(gradients.chunks(width)) {
            match rows.get_mut(&row) {
                None => _ = rows.insert(row, gradient.to_vec()),
                Some(sum) => sum.iter_mut().zip(gradient).for_each(|(sum, g)| *sum += g),
            }
        }
        rows.into_iter().unzip::<u32, Vec<f32>, Vec<_>, Vec<_>>()
    };
    let (few_rows, few_sums) = summed(&few, &few_indices, 10);
    let (many_rows, many_sums) = summed(&many, &many_indices, 20);
    let vectors = [dense.clone(), few_sums.concat(), many_sums.concat()];
    let norm = norm(&vectors);
    let guard = GradientGuard { max_norm: Some(norm / 2.0), ..GradientGuard::default() };
    let mut optimizer = CpuGroupOptimizer::new(&groups).unwrap().with_guard(guard).unwrap();
    let grads = [
        TensorGradient::Dense(&dense[..]),
        TensorGradient::Rows { gradients: &few, indices: &few_indices },
        TensorGradient::Rows { gradients: &many, indices: &many_indices },
        TensorGradient::Missing,
    ];
    optimizer.step_mixed(&mut slices(&mut params), &grads).unwrap();
    assert_eq!(optimizer.report().norm.map(f32::to_bits), Some(norm.to_bits()));
    let halved = vectors.map(|vector| vector.iter().map(|g| g * 0.5).collect::<Vec<_>>());
    let mut expected = start;
    for (tensor, rows) in [(0, None), (1, Some(few_rows)), (2, Some(many_rows)), (3, None)] {
        let mut alone = CpuOptimizer::new(rule, ROWS[tensor]).unwrap();
        match (tensor, rows) {
            (3, _) => {}
            (_, None) => alone.step(&mut expected[tensor], &halved[tensor]).unwrap(),
            (_, Some(rows)) => {
                alone.step_rows(&mut expected[tensor], &halved[tensor], &rows).unwrap();
            }
        }
        assert_eq!(bits(&params[tensor]), bits(&expected[tensor]), "{rule:?} {tensor}");
        for k in 0..alone.state_count() {
            assert_eq!(bits(optimizer.state(tensor, k)), bits(alone.state(k)));
        }
    }
}

#[test]
fn dense_row_and_missing_gradients_share_a_step() {
    for rule in AnyRule::examples() {
        with_rule!(rule, |rule| mixed(rule));
    }
}

#[test]
fn a_refused_step_changes_nothing() {
    let rule = Adagrad { learning_rate: 0.5, ..Adagrad::default() };
    let groups = [ParamGroup { rule, lens: vec![4, 2] }];
    let mut optimizer = CpuGroupOptimizer::new(&groups).unwrap();
    let mut params = [vec![1.0; 4], vec![1.0; 2]];
    let mut refused = |grads: &[TensorGradient<'_, [f32]>]| {
        let error = optimizer.step_mixed(&mut slices(&mut params), grads).unwrap_err();
        assert_eq!((&params[0][..], &params[1][..]), (&[1.0; 4][..], &[1.0; 2][..]));
        assert_eq!((optimizer.steps(), optimizer.state(0, 0)), (0, &[0.0; 4][..]));
        error.to_string()
    };
    let dense = TensorGradient::Dense(&[1.0; 4][..]);
    let rows = |indices| TensorGradient::Rows { gradients: &[1.0; 2][..], indices };
    assert_eq!(refused(&[dense]), "grads has 1 tensors, but the optimizer was made for 2");
    let error = "grads[1] has 4 elements, but the optimizer was made for 2";
    assert_eq!(refused(&[dense, dense]), error);
    let error = "tensor 1: row index 1 at position 0: the table has 1 rows, counted from 0";
    assert_eq!(refused(&[dense, rows(&[1])]), error);
    let nothing = CpuGroupOptimizer::<Adagrad>::new(&[]).err();
    assert_eq!(nothing, Some(CpuError::Tensors(TensorsError::Empty)));
    assert_eq!(
        optimizer.set_learning_rate(1, 0.5),
        Err(CpuError::Tensors(TensorsError::NoGroup { group: 1, groups: 1 }))
    );
    optimizer.step_mixed(&mut slices(&mut params), &[dense, TensorGradient::Missing]).unwrap();
    assert_eq!((optimizer.steps(), &params[1][..]), (1, &[1.0; 2][..]));
}
