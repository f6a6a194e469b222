//! Regression tests for faults found in other optimizers, for any engine.

use super::{After, Arithmetic, Engine};
use crate::bound::Bound;
use wgpu_optim::{Adagrad, EpsilonPlacement, WeightDecay};

/// A regression test. It panics if the engine has the fault.
pub(crate) type Regression = fn(&dyn Engine);

/// All regression tests, by name.
#[allow(dead_code, reason = "only the driver tests list them at run time")]
pub(crate) const ALL: [(&str, Regression); 5] = [
    ("weight_decay_reaches_numerator_and_accumulator", weight_decay),
    ("initial_accumulator_is_honoured", initial_accumulator),
    ("tail_equals_body", tail_equals_body),
    ("gradients_are_never_modified", gradients_stay),
    ("learning_rate_decay_counts_from_the_first_step", learning_rate_decay),
];

/// Each choice of formula.
fn formulas() -> [Adagrad; 5] {
    let base = Adagrad { learning_rate: 0.3, initial_accumulator: 0.7, ..Adagrad::default() };
    [
        base,
        Adagrad { epsilon_placement: EpsilonPlacement::OutsideRoot, ..base },
        Adagrad { weight_decay: WeightDecay::L2(0.3), ..base },
        Adagrad { weight_decay: WeightDecay::Decoupled(0.3), ..base },
        Adagrad { weight_decay: WeightDecay::L2(0.3), maximize: true, ..base },
    ]
}

/// The bounds for x and s after one step.
fn bounds(engine: &dyn Engine) -> [Bound; 2] {
    if engine.arithmetic() == Arithmetic::NEAREST {
        [Bound::EXACT; 2]
    } else {
        [Bound::PARAMETER, Bound::STATE]
    }
}

fn expect(engine: &dyn Engine, label: &str, after: &After, expected: [&[f32]; 2], update: f32) {
    let [x, s] = bounds(engine);
    let updates = vec![update; after.x.len()];
    x.check(&format!("{label}: x"), expected[0], &after.x, &updates).unwrap();
    s.check(&format!("{label}: s"), expected[1], &after.s, &updates).unwrap();
}

/// With gradients of 1 and of 0: g is 1 + 0.5 * 4 = 3 or 0 + 0.5 * 4 = 2, in the accumulator and in
/// the numerator.
pub(crate) fn weight_decay(engine: &dyn Engine) {
    let rule = Adagrad {
        learning_rate: 0.5,
        epsilon: 0.0,
        initial_accumulator: 16.0,
        weight_decay: WeightDecay::L2(0.5),
        ..Adagrad::default()
    };
    let after = engine.start(rule, &[4.0, 4.0]).step(&[1.0, 0.0]);
    let x = [4.0 - 0.5 * 3.0 / 5.0, 4.0 - 0.5 * 2.0 / 20f32.sqrt()];
    expect(engine, "weight decay", &after, [&x, &[25.0, 20.0]], 0.3);
    // Maximizing negates the gradient before decay, so decay still pulls towards zero.
    let rule = Adagrad { maximize: true, ..rule };
    let after = engine.start(rule, &[4.0]).step(&[1.0]);
    expect(engine, "maximize", &after, [&[4.0 - 0.5 / 17f32.sqrt()], &[17.0]], 0.125);
}

/// Every element starts from the initial accumulator, in a tail too: s = 16 + 9 and
/// x = 1 - 0.5 * 3 / 5. A gradient of 0 leaves s unchanged.
pub(crate) fn initial_accumulator(engine: &dyn Engine) {
    for epsilon_placement in [EpsilonPlacement::InsideRoot, EpsilonPlacement::OutsideRoot] {
        let rule = Adagrad {
            learning_rate: 0.5,
            epsilon: 0.0,
            epsilon_placement,
            initial_accumulator: 16.0,
            ..Adagrad::default()
        };
        for len in [1, 7, 67, 1000] {
            let mut run = engine.start(rule, &vec![1.0; len]);
            let after = run.step(&vec![0.0; len]);
            expect(engine, "no gradient", &after, [&vec![1.0; len], &vec![16.0; len]], 0.0);
            let after = run.step(&vec![3.0; len]);
            expect(engine, "gradient", &after, [&vec![0.7; len], &vec![25.0; len]], 0.3);
        }
    }
}

/// The bits of an element depend neither on its position nor on the length.
pub(crate) fn tail_equals_body(engine: &dyn Engine) {
    const ELEMENTS: [(f32, f32); 5] =
        [(0.3, 0.7), (-1.1, 3e-5), (0.0, -2.3), (7.7, 1.9e9), (-0.013, -1.3e-15)];
    let bits = |after: &After, index: usize| (after.x[index].to_bits(), after.s[index].to_bits());
    for rule in formulas() {
        let alone = ELEMENTS.map(|(x, g)| {
            let mut run = engine.start(rule, &[x]);
            run.step(&[g]);
            bits(&run.step(&[g * 0.37]), 0)
        });
        for len in 1..=67 {
            let x: Vec<f32> = (0..len).map(|i| ELEMENTS[i % 5].0).collect();
            let g: Vec<f32> = (0..len).map(|i| ELEMENTS[i % 5].1).collect();
            let second: Vec<f32> = g.iter().map(|g| g * 0.37).collect();
            let mut run = engine.start(rule, &x);
            run.step(&g);
            let after = run.step(&second);
            for index in 0..len {
                assert_eq!(bits(&after, index), alone[index % 5], "{rule:?}: {index} of {len}");
            }
        }
    }
}

/// Weight decay and maximization must work on a copy.
pub(crate) fn gradients_stay(engine: &dyn Engine) {
    let gradients: Vec<f32> = [0.7, -0.0, 1e-40, -3e9, 0.0, 2.3].repeat(11);
    let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    for rule in formulas() {
        let mut run = engine.start(rule, &vec![1.3; gradients.len()]);
        for _ in 0..2 {
            let after = run.step(&gradients);
            assert_eq!(bits(&after.gradients), bits(&gradients), "{rule:?}");
        }
    }
}

/// The first step uses the whole learning rate, the second half of it, the third a third. The
/// accumulator is 2^60, which a gradient of 2^17 does not change, so the root is 2^30.
pub(crate) fn learning_rate_decay(engine: &dyn Engine) {
    let rule = Adagrad {
        learning_rate: 8192.0,
        epsilon: 0.0,
        initial_accumulator: 2f32.powi(60),
        learning_rate_decay: 1.0,
        ..Adagrad::default()
    };
    let [bound, _] = bounds(engine);
    let mut run = engine.start(rule, &[0.5]);
    let mut x = 0.5;
    for rate in [1.0, 0.5, 1.0 / 3.0, 0.25f32] {
        let after = run.step(&[2f32.powi(17)]);
        bound.check("decayed", &[x - rate], &after.x, &[rate]).unwrap();
        x = after.x[0];
    }
    // A new learning rate decays by the steps already taken: 8192 * 5 / 5.
    run.set_learning_rate(8192.0 * 5.0);
    let after = run.step(&[2f32.powi(17)]);
    bound.check("changed", &[x - 1.0], &after.x, &[1.0]).unwrap();
}
