use super::*;

fn factors(text: &str, steps: std::ops::RangeInclusive<u64>) -> Vec<f64> {
    let schedule: Schedule = text.parse().unwrap();
    steps.map(|step| schedule.factor(step)).collect()
}

fn close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= 4.0 * f64::EPSILON, "{found} for {expected}");
    }
}

/// By hand, from the formulas.
#[test]
fn each_schedule_has_its_formula() {
    assert_eq!(factors("constant", 1..=3), [1.0; 3]);
    assert_eq!(factors("step:2:0.5", 1..=5), [1.0, 1.0, 0.5, 0.5, 0.25]);
    assert_eq!(factors("exponential:0.5", 1..=4), [1.0, 0.5, 0.25, 0.125]);
    let root = 0.5_f64.sqrt();
    close(
        &factors("cosine:4", 1..=6),
        &[1.0, (1.0 + root) / 2.0, 0.5, (1.0 - root) / 2.0, 0.0, 0.0],
    );
    close(&factors("cosine:2:0.5", 1..=4), &[1.0, 0.75, 0.5, 0.5]);
    assert_eq!(factors("warmup:4", 1..=6), [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]);
    assert_eq!(factors("warmup:2:0.5", 1..=4), [0.5, 0.75, 1.0, 1.0]);
    close(&factors("rsqrt:4", 1..=6), &[1.0, 1.0, 1.0, 1.0, 1.0, 0.8_f64.sqrt()]);
    assert_eq!(factors("rsqrt:4", 17..=17), [0.5]);
}

/// What PyTorch 2.15 prints for
/// `ExponentialLR(gamma=0.9)`, `StepLR(3, gamma=0.1)`, `CosineAnnealingLR(10, eta_min=0.1)`,
/// `LinearLR(start_factor=0.25, total_iters=4)` and `SequentialLR([LinearLR(0.1, total_iters=5),
/// CosineAnnealingLR(20)], [5])` at a base rate of 1, in steps 8; 8; 8; 3; 9.
#[test]
fn pytorch_has_the_same() {
    for (text, step, expected) in PYTORCH {
        let schedule: Schedule = text.parse().unwrap();
        let found = schedule.factor(step);
        assert!((found - expected).abs() < 1e-14, "{text}: {found} for {expected}");
    }
}

const PYTORCH: [(&str, u64, f64); 5] = [
    ("exponential:0.9", 8, 0.47829690000000014),
    ("step:3:0.1", 8, 0.010000000000000002),
    ("cosine:10:0.1", 8, 0.2854966364683872),
    ("warmup:4:0.25", 3, 0.625),
    ("warmup:5:0.1,cosine:20", 9, 0.9455032620941839),
];

/// The warm-up lasts 4 steps, the constant 2, the exponential counts from its own beginning.
#[test]
fn a_sequence_begins_each_part_anew() {
    let expected = [0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 0.5, 0.25];
    assert_eq!(factors("warmup:4,constant@2,exponential:0.5", 1..=9), expected);
    // A product ends with the last of its factors, if all of them end.
    assert_eq!(factors("warmup:2*cosine:4,constant", 5..=6), [1.0, 1.0]);
    // A part may be cut short.
    assert_eq!(factors("warmup:4@2,constant", 1..=4), [0.0, 0.25, 1.0, 1.0]);
}

/// The schedule of "Attention Is All You Need", over its largest rate: min(n / 4, sqrt(4 / n)).
#[test]
fn a_product_multiplies() {
    close(&factors("warmup:4 * rsqrt:4", 1..=6), &[0.0, 0.25, 0.5, 0.75, 1.0, 0.8_f64.sqrt()]);
    assert_eq!(factors("warmup:4*rsqrt:4", 17..=17), [0.5]);
}

#[test]
fn text_that_is_no_schedule_says_what_to_give() {
    for (text, expected) in [
        ("", "give constant"),
        ("cosinus:3", "warmup:STEPS"),
        ("cosine", "cosine:STEPS"),
        ("cosine:x", "\"x\" is not the number"),
        ("cosine:-3", "\"-3\" is not the number"),
        ("step:0:0.5", "every 0"),
        ("exponential:-1", "factor -1"),
        ("exponential:inf", "factor inf"),
        ("exponential:0.9,constant", "add @STEPS"),
        ("warmup:4*rsqrt:4,constant", "add @STEPS"),
        ("constant@3", "leave out @STEPS"),
        ("warmup:3,", "give constant"),
    ] {
        let message = text.parse::<Schedule>().unwrap_err().to_string();
        assert!(message.contains(expected), "{text:?}: {message}");
    }
}

#[test]
fn text_is_read_back() {
    for text in ["constant", "step:3:0.5", "warmup:5:0.1@5,cosine:20:0", "warmup:4:0*rsqrt:4"] {
        let schedule: Schedule = text.parse().unwrap();
        assert_eq!(schedule.to_string(), text);
    }
}

/// Past the last step that a double can count, nothing breaks.
#[test]
fn every_step_has_a_factor() {
    for text in ["step:1:0.5", "cosine:3", "warmup:3,rsqrt:2", "constant@5,exponential:0.9"] {
        let schedule: Schedule = text.parse().unwrap();
        for step in [0, 1, u64::MAX] {
            assert!((0.0..=1.0).contains(&schedule.factor(step)), "{text} {step}");
        }
    }
}
