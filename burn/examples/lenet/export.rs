//! What `compare.py` reads: the start, the order and the results of a run.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use burn::tensor::Device;

use crate::report::Outcome;
use crate::train::{initial, order};
use crate::{Failure, Settings};

/// Writes `weights.f32` (all parameters, little-endian, in Burn's layout), `order.u32` (the numbers of
/// the images, epoch by epoch) and `results.tsv` to a directory.
pub fn write(
    directory: &Path,
    device: &Device,
    settings: &Settings,
    images: usize,
    outcomes: &[Outcome],
) -> Result<(), Failure> {
    let Settings { epochs, batch_size, seed } = *settings;
    let mut weights = Vec::new();
    for parameter in initial(device, seed).parameters() {
        weights.extend(parameter.as_slice::<f32>()?.iter().flat_map(|value| value.to_le_bytes()));
    }
    let orders = (0..epochs).flat_map(|epoch| order(images, seed, epoch));
    let orders: Vec<u8> = orders.flat_map(u32::to_le_bytes).collect();
    let mut results =
        format!("# images {images} epochs {epochs} batch_size {batch_size} seed {seed}\n");
    for Outcome { name, rate, run } in outcomes {
        let (loss, accuracy, seconds) = (run.loss, run.accuracy(), run.seconds);
        let _ = writeln!(results, "{name}\t{rate}\t{loss}\t{accuracy}\t{seconds}");
    }
    let write = |name: &str, bytes: &[u8]| {
        let path = directory.join(name);
        fs::write(&path, bytes).map_err(|error| format!("{}: {error}", path.display()))
    };
    write("weights.f32", &weights)?;
    write("order.u32", &orders)?;
    write("results.tsv", results.as_bytes())?;
    Ok(())
}
