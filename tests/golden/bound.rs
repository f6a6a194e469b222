//! How far two ways of computing one trajectory may drift apart, from the number of roundings.
//!
//! A prime marks the other side's value. R is the root, v = lr g / R, and r(..) is the rounding
//! error of both sides together, in units of u = 2^-24 of the value:
//!
//! ```text
//! |g - g'| <= wd |x - x'| + r(g)                                     r(g) = 0 without L2 decay
//! |s - s'| <= previous + (|g| + |g'|) |g - g'| + r(g g) + r(s)
//! |x - x'| <= previous * max(1, lr wd / R' - 1)
//!             + lr r(g) / R' + |v| |R - R'| / R' + r(v) + (ulp(x) + ulp(x')) / 2
//! ```
//!
//! README.md beside this file derives each term. Each value that may be flushed to zero adds at
//! most `f32::MIN_POSITIVE`.

use wgpu_optim::numerics::ulp;
use wgpu_optim::{Adagrad, EpsilonPlacement, WeightDecay};

/// Slightly more than u, so that (1 + u)^k - 1 <= k U for every k up to 64.
const U: f64 = (1.0 + 1.0 / 262_144.0) / 16_777_216.0;

/// The smallest normal number: the error of a flush to zero is below it.
const TINY: f64 = f32::MIN_POSITIVE as f64;

/// The smallest subnormal number, 2^-149: the maximum error of a subnormal result.
const SMALLEST: f64 = f32::from_bits(1) as f64;

/// The rounding errors of one side, relative, in units of u.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Arithmetic {
    /// Of an addition, subtraction or multiplication.
    pub(crate) basic: f64,
    /// Of a product that is then added to something: 0 where the two are fused.
    pub(crate) product: f64,
    /// Of a square root or a reciprocal square root.
    pub(crate) root: f64,
    /// Of `learning_rate * g / root` together.
    pub(crate) quotient: f64,
    /// Whether results below the smallest normal number may become 0.
    pub(crate) flushes: bool,
}

impl Arithmetic {
    /// Every operation rounded once, to nearest: our CPU engine, and exact precision on any device.
    pub(crate) const NEAREST: Self =
        Self { basic: 1.0, product: 1.0, root: 1.0, quotient: 2.0, flushes: false };

    /// What WGSL promises: 1 ULP (2 u) for + - *, 2.5 ULP (5 u) for a division, and a square root
    /// as 1 / inverseSqrt of 2 ULP (4 u).
    #[allow(dead_code, reason = "only the driver tests have native precision")]
    pub(crate) const WGSL: Self =
        Self { basic: 2.0, product: 2.0, root: 9.0, quotient: 7.0, flushes: true };

    /// Those of a framework; README.md explains them. generate.py measures the root over all f32.
    pub(crate) fn of_framework(name: &str) -> Self {
        match name {
            // Fused multiply-add; the root is Intel MKL's.
            "pytorch" => Self { product: 0.0, root: 1.5, ..Self::NEAREST },
            // Fused multiply-add, also with the learning rate, so the quotient rounds once.
            "optax" => {
                Self { product: 0.0, root: 2.8, quotient: 1.0, flushes: true, ..Self::NEAREST }
            }
            "keras" => Self { flushes: true, ..Self::NEAREST },
            _ => panic!("no arithmetic for {name}"),
        }
    }
}

/// The drift of one element.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Drift {
    /// The bound on the difference of the accumulators.
    pub(crate) s: f64,
    /// The bound on the difference of the parameters.
    pub(crate) x: f64,
    /// The part of `x` that comes from updates that the framework skips.
    pub(crate) left_out: f64,
    /// The sum of the ulps of x over the steps.
    pub(crate) x_ulps: f64,
}

/// One step of one element on our side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) learning_rate: f64,
    pub(crate) gradient: f32,
    pub(crate) x_before: f32,
    pub(crate) x_after: f32,
    pub(crate) s_after: f32,
}

impl Drift {
    /// Adds the drift of one more step.
    pub(crate) fn advance(&mut self, rule: &Adagrad, framework: &str, us: Arithmetic, step: &Step) {
        let them = Arithmetic::of_framework(framework);
        let Step { learning_rate, gradient, x_before, x_after, s_after } = *step;
        let x = f64::from(x_before).abs();
        let s = f64::from(s_after);
        let basic = us.basic + them.basic;
        let product = us.product + them.product;
        let flushed = |value: f64| match (us.flushes || them.flushes, value) {
            (_, 0.0) => 0.0,
            (true, value) if value < 2.0 * TINY => TINY,
            _ => SMALLEST,
        };
        // Both sides round lr / (1 + (t - 1) decay). We compute it in f64 from f32 options. Against
        // PyTorch, our roundings of lr, decay and result count, and PyTorch's of the result. The
        // other frameworks round three times in f32, and we once.
        let rate = if rule.learning_rate_decay > 0.0 { 4.0 } else { 0.0 };

        // The gradient with decay, at our x, and how the two sides round it.
        let (wd, sign) = match rule.weight_decay {
            WeightDecay::L2(coefficient) => {
                (f64::from(coefficient), if rule.maximize { -1.0 } else { 1.0 })
            }
            _ => (0.0, 1.0),
        };
        let g = (sign * f64::from(gradient) + wd * f64::from(x_before)).abs();
        let pull = wd * (x + self.x);
        let mut rounded = product * U * pull + flushed(pull);
        if wd > 0.0 {
            rounded += basic * U * (g + wd * self.x + rounded) + flushed(g);
        }
        let dg = wd * self.x + rounded;

        // The accumulator: `ds` without the difference of this step's gradients, then with it.
        let square = (g + dg) * (g + dg);
        let grown = 2.0 * (g + dg) * dg;
        let mut ds = self.s + product * U * square + flushed(square);
        ds += basic * U * (s + ds + grown);
        self.s = ds + grown;

        let epsilon = f64::from(rule.epsilon);
        let inside = rule.epsilon_placement == EpsilonPlacement::InsideRoot;
        let (added, outside) = if inside { (epsilon, 0.0) } else { (0.0, epsilon) };
        let root_of = |s: f64| (s + added).max(0.0).sqrt() + outside;
        let (root, lowest) = (root_of(s), root_of(s - self.s));
        assert!(lowest > 0.0, "the denominator is not known apart from 0: {self:?} {step:?}");

        let lr = learning_rate;
        let v = lr * g / root;
        let mut dv = v * (root - root_of(s - ds)) / lowest + lr * rounded / lowest;
        // Under the root the relative error of the sum with epsilon is halved.
        let sum = if inside { basic / 2.0 } else { basic };
        let roundings = us.quotient + them.quotient + us.root + them.root + sum + rate;
        dv += roundings * U * (v + dv + lr * dg / lowest) + flushed(v);
        if framework == "optax" && s <= self.s {
            // optax skips the step where its accumulator is 0, and flushing may keep it at 0.
            self.left_out += v;
            dv += v;
        }
        // Decay draws the sides together, unless it overshoots by more than the distance to zero.
        self.x *= (lr * wd / lowest - 1.0).max(1.0);

        if let WeightDecay::Decoupled(coefficient) = rule.weight_decay {
            let shrink = lr * f64::from(coefficient);
            let pull = shrink * (x + self.x);
            // We round lr * wd and its product with x. Keras rounds two products; optax rounds the
            // product and its sum with the update.
            let roundings = us.basic + us.product + 2.0 + rate;
            dv += shrink * self.x + roundings * U * pull + flushed(pull);
            dv += us.basic * half_ulp(x);
            dv += if framework == "optax" { U * (v + dv) } else { half_ulp(x + self.x) };
        }
        let x_after = f64::from(x_after).abs();
        self.x += dv + flushed(x_after) + us.basic * half_ulp(x_after);
        self.x += half_ulp(x_after + self.x);
        self.x_ulps += 2.0 * half_ulp(x.max(x_after));
    }
}

/// Half the distance between `value` and the next larger f32.
fn half_ulp(value: f64) -> f64 {
    f64::from(ulp(value as f32)) / 2.0
}
