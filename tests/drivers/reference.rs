//! Inputs of the checks, and the reference for their results: the CPU engine.

use wgpu_optim::numerics::{Running, Wgsl};
use wgpu_optim::rules::{OwnSquare, StateElement};
use wgpu_optim::{AnyRule, CpuError, CpuOptimizer, NonFinite, Rule, with_rule};

/// Every rule once for each set of state vectors that a choice of its formula uses. A set has none
/// to three vectors, and may skip one in the middle.
pub(crate) fn by_state() -> Vec<AnyRule> {
    let mut seen = Vec::new();
    let is_new = |rule: &AnyRule| {
        let key = (rule.name(), with_rule!(*rule, |rule| rule.state_names()));
        let new = !seen.contains(&key);
        seen.push(key);
        new
    };
    AnyRule::examples().into_iter().filter(is_new).collect()
}

/// Every rule once, with its first choice of formula.
pub(crate) fn each_rule() -> Vec<AnyRule> {
    let mut rules = AnyRule::examples();
    rules.dedup_by_key(|rule| rule.name());
    rules
}

/// `len` numbers of either sign with magnitudes of `2^-exponents..2^exponents`: a fixed sequence
/// for each `seed`.
pub(crate) fn values(len: usize, seed: u32, exponents: u32) -> Vec<f32> {
    (0..len as u64)
        .map(|index| {
            let bits = mix(index.wrapping_add(u64::from(seed) << 40));
            let mantissa = (bits as u32) & 0x007f_ffff;
            let sign = (bits as u32) & 0x8000_0000;
            let exponent = 127 - exponents + ((bits >> 32) as u32) % (2 * exponents);
            f32::from_bits(sign | exponent << 23 | mantissa)
        })
        .collect()
}

/// Magnitudes that reach every branch of the arithmetic: zero, the smallest and largest subnormal
/// and normal numbers, one, infinity, NaN.
const SPECIAL: [u32; 8] =
    [0, 1, 0x007f_ffff, 0x0080_0000, 0x3f80_0000, 0x7f7f_ffff, 0x7f80_0000, 0x7fa0_0001];

/// `len` numbers: about half with random bits, the others special ones of either sign.
pub(crate) fn patterns(len: usize, seed: u32) -> Vec<f32> {
    let bits = |index: u64| {
        let random = mix(index.wrapping_add(u64::from(seed) << 40));
        let special = SPECIAL[(random >> 40) as usize % SPECIAL.len()] | random as u32 & 1 << 31;
        if random >> 63 == 0 { random as u32 } else { special }
    };
    (0..len as u64).map(|index| f32::from_bits(bits(index))).collect()
}

/// A hash of a number (the finalizer of SplitMix64).
pub(crate) fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// Parameters and state of a run on the CPU engine, and the inputs of its steps.
pub(crate) struct Reference<R: Rule> {
    pub(crate) params: Vec<f32>,
    pub(crate) optimizer: CpuOptimizer<R>,
    start: Vec<f32>,
    steps: Vec<(R::Uniforms, Vec<f32>)>,
}

impl<R: Rule> Reference<R> {
    pub(crate) fn new(rule: R, params: &[f32]) -> Self {
        let optimizer = CpuOptimizer::new(rule, params.len()).unwrap();
        Self { params: params.to_vec(), optimizer, start: params.to_vec(), steps: Vec::new() }
    }

    pub(crate) fn step(&mut self, grads: &[f32]) {
        let skipped = self.optimizer.report().skipped_steps;
        match self.optimizer.step(&mut self.params, grads) {
            // The host of a GPU does not know that the device skipped the step, and counts it.
            Err(CpuError::Gradient(_)) => self.optimizer.set_steps(self.optimizer.steps() + 1),
            other => other.unwrap(),
        }
        if self.optimizer.report().skipped_steps > skipped {
            return;
        }
        let uniforms = self.optimizer.rule().uniforms(self.optimizer.steps());
        self.steps.push((uniforms, grads.to_vec()));
    }

    /// Parameters and state vectors, with their names.
    pub(crate) fn vectors(&self) -> Vec<(&'static str, &[f32])> {
        let names = self.optimizer.rule().state_names();
        let state = names.into_iter().enumerate().map(|(k, name)| (name, self.optimizer.state(k)));
        [("params", &*self.params)].into_iter().chain(state).collect()
    }

    /// Parameter and state of one element on the exact trajectory, with the error bound of a native
    /// device. It does not cover gradients that a guard has scaled.
    pub(crate) fn running(&self, index: usize) -> Vec<Running<Wgsl>> {
        let rule = self.optimizer.rule();
        let initial = rule.initial_state();
        let mut x = Running::input(self.start[index]);
        let mut state = R::State::<Running<Wgsl>>::from_fn(|k| Running::input(initial.as_ref()[k]));
        let skips_elements = self.optimizer.guard().non_finite == NonFinite::SkipElement;
        for (uniforms, grads) in &self.steps {
            if skips_elements && !grads[index].is_finite() {
                continue;
            }
            x = rule.update(uniforms, x, Running::input(grads[index]), OwnSquare, &mut state);
        }
        let state = state.as_ref().iter().enumerate().filter(|(k, _)| rule.uses_state(*k));
        [x].into_iter().chain(state.map(|(_, &value)| value)).collect()
    }
}
