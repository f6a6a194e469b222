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

/// Expected values worked by hand from the formulas.
#[test]
fn each_schedule_follows_its_formula() {
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

/// What PyTorch 2.15 prints at a base learning rate of 1 for `ExponentialLR(gamma=0.9)`,
/// `StepLR(3, gamma=0.1)`, `CosineAnnealingLR(10, eta_min=0.1)`,
/// `LinearLR(start_factor=0.25, total_iters=4)` and
/// `SequentialLR([LinearLR(0.1, total_iters=5), CosineAnnealingLR(20)], [5])`, in steps 8, 8, 8, 3
/// and 9.
#[test]
fn pytorch_gives_the_same_factors() {
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

/// The warm-up lasts 4 steps and the constant 2. The exponential counts its own steps.
#[test]
fn each_part_of_a_sequence_counts_its_own_steps() {
    let expected = [0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 0.5, 0.25];
    assert_eq!(factors("warmup:4,constant@2,exponential:0.5", 1..=9), expected);
    // A product ends when the last of its factors ends.
    assert_eq!(factors("warmup:2*cosine:4,constant", 5..=6), [1.0, 1.0]);
    // `@STEPS` may end a part early.
    assert_eq!(factors("warmup:4@2,constant", 1..=4), [0.0, 0.25, 1.0, 1.0]);
}

/// The schedule of "Attention Is All You Need", divided by its largest rate: min(n / 4,
/// sqrt(4 / n)).
#[test]
fn a_product_multiplies() {
    close(&factors("warmup:4 * rsqrt:4", 1..=6), &[0.0, 0.25, 0.5, 0.75, 1.0, 0.8_f64.sqrt()]);
    assert_eq!(factors("warmup:4*rsqrt:4", 17..=17), [0.5]);
}

#[test]
fn errors_of_text_say_what_to_give() {
    for (text, expected) in [
        ("", "give constant"),
        ("cosinus:3", "warmup:STEPS"),
        ("cosine", "cosine:STEPS"),
        ("cosine:x", "\"x\" is not a valid number"),
        ("cosine:-3", "\"-3\" is not a valid number"),
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

/// Factors stay in range even for steps too large for f64 to represent exactly.
#[test]
fn every_step_has_a_factor() {
    for text in ["step:1:0.5", "cosine:3", "warmup:3,rsqrt:2", "constant@5,exponential:0.9"] {
        let schedule: Schedule = text.parse().unwrap();
        for step in [0, 1, u64::MAX] {
            assert!((0.0..=1.0).contains(&schedule.factor(step)), "{text} {step}");
        }
    }
}
