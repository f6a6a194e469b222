//! Inputs, and the reference that results are held against: the CPU engine.

use wgpu_optim::{Adagrad, CpuOptimizer, EpsilonPlacement, WeightDecay};

/// Every choice of formula that Adagrad has, with hyper-parameters that matter.
pub(crate) fn variants() -> Vec<Adagrad> {
    let base = Adagrad { learning_rate: 0.1, initial_accumulator: 0.01, ..Adagrad::default() };
    let mut rules = Vec::new();
    for epsilon_placement in [EpsilonPlacement::InsideRoot, EpsilonPlacement::OutsideRoot] {
        for weight_decay in [WeightDecay::None, WeightDecay::L2(0.03), WeightDecay::Decoupled(0.3)]
        {
            for maximize in [false, true] {
                rules.push(Adagrad { epsilon_placement, weight_decay, maximize, ..base });
            }
        }
    }
    rules.push(Adagrad { learning_rate_decay: 0.25, ..base });
    rules
}

/// `len` numbers of either sign, their magnitudes spread over `2^-exponents..2^exponents`: a
/// fixed sequence for each `seed`.
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

/// Magnitudes that meet every branch of the arithmetic: zero, the ends of the subnormals and of
/// the normal numbers, one, infinity, NaN.
const SPECIAL: [u32; 8] =
    [0, 1, 0x007f_ffff, 0x0080_0000, 0x3f80_0000, 0x7f7f_ffff, 0x7f80_0000, 0x7fa0_0001];

/// `len` numbers: every other one with random bits, the rest special ones of either sign.
pub(crate) fn patterns(len: usize, seed: u32) -> Vec<f32> {
    let bits = |index: u64| {
        let random = mix(index.wrapping_add(u64::from(seed) << 40));
        let special = SPECIAL[(random >> 40) as usize % SPECIAL.len()] | random as u32 & 1 << 31;
        if random >> 63 == 0 { random as u32 } else { special }
    };
    (0..len as u64).map(|index| f32::from_bits(bits(index))).collect()
}

/// Scatters the bits of a number over all 64 (the finaliser of SplitMix64).
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// Parameters and state of a run on the CPU engine.
pub(crate) struct Reference {
    pub(crate) params: Vec<f32>,
    /// The parameters before the last step.
    pub(crate) before: Vec<f32>,
    pub(crate) optimizer: CpuOptimizer<Adagrad>,
}

impl Reference {
    pub(crate) fn new(rule: Adagrad, params: &[f32]) -> Self {
        let optimizer = CpuOptimizer::new(rule, params.len()).unwrap();
        Self { params: params.to_vec(), before: params.to_vec(), optimizer }
    }

    pub(crate) fn step(&mut self, grads: &[f32]) {
        self.before.copy_from_slice(&self.params);
        self.optimizer.step(&mut self.params, grads).unwrap();
    }
}
