//! A large sparse problem of two classes, as LIBSVM text.

use std::fs::File;
use std::io::{BufWriter, Write};

use crate::train::{NOISE, WEIGHTS, uniform};

/// Writes `rows` rows to `file`. Each has `entries` of `features` equally likely features, with
/// values in [0.5, 1.5) of three decimals. The label is the sign of a random linear function; a
/// tenth of the labels is flipped.
pub(crate) fn write(rows: u32, features: u32, entries: u32, file: &str) -> std::io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(file)?);
    // Each entry draws from its own equal range of the features, so no feature occurs twice.
    let range = features / entries;
    for row in 0..rows {
        let mut score = 0.0;
        let mut line = String::new();
        for entry in 0..entries {
            let draw = uniform(row.wrapping_mul(entries).wrapping_add(entry)) / 2.0 + 0.5;
            let index = entry * range + ((draw * range as f32) as u32).min(range - 1);
            let thousandths = 1000.0 + (500.0 * uniform(index ^ row.rotate_left(16))).round();
            score += uniform(WEIGHTS + index) * thousandths;
            let (whole, rest) = (thousandths as u32 / 1000, thousandths as u32 % 1000);
            line.push_str(&format!(" {}:{whole}.{rest:03}", index + 1));
        }
        let flipped = uniform(NOISE + row) < -0.8;
        let label = if (score > 0.0) == flipped { "-1" } else { "+1" };
        writeln!(out, "{label}{line}")?;
    }
    out.flush()
}
