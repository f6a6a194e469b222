//! Vectors larger than 2 GiB.

use wgpu_optim::{Adagrad, GpuOptimizer};

use crate::Check;
use crate::bound::Bound;
use crate::driver::Driver;
use crate::reference::{Reference, values};

pub(crate) const CHECKS: &[Check] = &[("600 million elements, past 2 GiB", beyond_two_gib)];

const LEN: usize = 600_000_000;
/// Three vectors of 2.4 GB, and room for the host.
const NEEDED_BYTES: u64 = 10_000_000_000;

/// On lavapipe and hardware, if there is enough memory. SwiftShader would take minutes with the
/// same plan. Where it does not run, the check shows as ignored.
pub(crate) fn runs_on(driver: &Driver) -> bool {
    driver.name != "swiftshader" && available_bytes().is_some_and(|bytes| bytes >= NEEDED_BYTES)
}

fn beyond_two_gib(driver: &Driver) {
    let gpu = driver.gpu();
    let rule = Adagrad { learning_rate: 0.1, ..Adagrad::default() };
    let params = gpu.zeros(LEN).unwrap();
    let grads = gpu.zeros(LEN).unwrap();
    // The same 15 million values in each piece, but rotated, so that an element computed from the
    // wrong place is noticed.
    let (host, gradient) = (values(PIECE, 1, 10), values(PIECE, 2, 10));
    let piece = |values: &[f32], index: usize, len: usize| {
        let mut rotated = values.to_vec();
        rotated.rotate_left(index);
        rotated.truncate(len);
        rotated
    };
    for (index, first) in (0..LEN).step_by(PIECE).enumerate() {
        let range = first..LEN.min(first + PIECE);
        let len = range.len();
        gpu.write(&params.slice(range.clone()).unwrap(), &piece(&host, index, len)).unwrap();
        gpu.write(&grads.slice(range).unwrap(), &piece(&gradient, index, len)).unwrap();
    }
    let mut optimizer = GpuOptimizer::new(gpu, rule, LEN).unwrap();
    optimizer.step(&params, &grads).unwrap();
    let mut reference = Reference::new(rule, &host);
    reference.step(&gradient);
    for (index, first) in (0..LEN).step_by(PIECE).enumerate() {
        let range = first..LEN.min(first + PIECE);
        let len = range.len();
        let what = format!("elements {range:?} of {LEN}");
        let stepped = params.slice(range.clone()).unwrap().download_blocking(gpu).unwrap();
        let (before, after) = (piece(&host, index, len), piece(&reference.params, index, len));
        let updates: Vec<f32> = after.iter().zip(&before).map(|(a, b)| a - b).collect();
        let [params_bound, state_bound] = if driver.rounds_correctly() {
            [Bound::EXACT; 2]
        } else {
            [Bound::PARAMETER, Bound::STATE]
        };
        params_bound.check(&what, &after, &stepped, &updates).unwrap();
        let state = optimizer.state(0).slice(range).unwrap().download_blocking(gpu).unwrap();
        let expected = piece(reference.optimizer.state(0), index, len);
        state_bound.check(&what, &expected, &state, &[]).unwrap();
    }
}

/// The length of a piece: a prime, so that pieces and buffers end at different places.
const PIECE: usize = 15_485_863;

/// The available memory, where the operating system reports it.
fn available_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("MemAvailable:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes * 1024)
}
