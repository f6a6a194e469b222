//! The parts that this program measures itself.

mod encode;
mod groups;
mod guards;
mod rows;
mod shape;
mod step;
mod training;

use wgpu_optim::{Adagrad, EpsilonPlacement, WeightDecay};

use crate::Result;
use crate::device;
use crate::timing::Bench;

/// As in benches/peers: with gradients of about 1, it makes no difference where epsilon is added.
const RULE: Adagrad = Adagrad {
    learning_rate: 0.01,
    epsilon: 1e-10,
    epsilon_placement: EpsilonPlacement::InsideRoot,
    initial_accumulator: 0.0,
    learning_rate_decay: 0.0,
    weight_decay: WeightDecay::None,
    maximize: false,
};

/// Bytes that a step has to move for each element: parameter, gradient and accumulator read,
/// parameter and accumulator written.
const STEP_BYTES: u64 = 20;

/// Bytes that a step over `elements` elements has to move.
fn step_bytes(elements: usize) -> Option<u64> {
    Some(STEP_BYTES * elements as u64)
}

/// Measures one part, and prints its rows.
///
/// # Errors
/// There is no such part or no device, or a case has failed, which its row explains.
pub(crate) fn measure(name: &str, seconds: f64, quick: bool) -> Result<()> {
    let run = match name {
        "encode" => encode::measure,
        "groups" => groups::measure,
        "guards" => guards::measure,
        "rows" => rows::measure,
        "shape" => shape::measure,
        "step" => step::measure,
        "training" => training::measure,
        _ => return Err(format!("{name}: no such part is measured here").into()),
    };
    let mut bench = Bench::new(device::open()?, name, seconds, quick);
    run(&mut bench)?;
    match bench.failed {
        0 => Ok(()),
        rows => Err(format!("{rows} rows have failed").into()),
    }
}
