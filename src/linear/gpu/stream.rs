//! Rows on their way from the host to the device.

use rayon::prelude::*;

use crate::data::Dataset;

/// Bytes that a thread copies at a time.
const CHUNK_BYTES: usize = 1 << 16;
/// What stands behind the features of a row, as far as the row goes: the one that meets the bias, and
/// zeros.
const END_OF_ROW: [f32; 4] = [1.0, 0.0, 0.0, 0.0];

/// Writes `count` rows as they lie in a table, `row_bytes` bytes each, and their targets behind them;
/// `number` says which they are.
pub(super) fn copy_rows(
    data: &Dataset,
    count: usize,
    row_bytes: usize,
    number: impl Fn(usize) -> usize + Sync,
    place: wgpu::WriteOnly<'_, [u8]>,
) {
    let (table, mut target) = place.split_at(row_bytes * count);
    for index in 0..count {
        let value = data.target()[number(index)];
        target.slice(4 * index..4 * index + 4).copy_from_slice(&value.to_ne_bytes());
    }
    let write = |first: usize, mut place: wgpu::WriteOnly<'_, [u8]>| {
        let mut done = 0;
        while done < place.len() {
            let (row, skip) = ((first + done) / row_bytes, (first + done) % row_bytes);
            let count = (row_bytes - skip).min(place.len() - done);
            let features = bytemuck::cast_slice(data.row(number(row)));
            write_row(features, skip, place.slice(done..done + count));
            done += count;
        }
    };
    // Chunks of constant size are what mapped memory can be shared among threads by.
    let whole = table.len() / CHUNK_BYTES;
    let (chunks, rest) = table.into_chunks::<CHUNK_BYTES>();
    let chunks: Vec<_> = chunks.into_iter().enumerate().collect();
    chunks.into_par_iter().for_each(|(index, chunk)| write(CHUNK_BYTES * index, chunk.into()));
    write(CHUNK_BYTES * whole, rest);
}

/// Writes a row as it lies in a table, from its byte number `skip` on, as far as `place` goes.
fn write_row(features: &[u8], skip: usize, mut place: wgpu::WriteOnly<'_, [u8]>) {
    let known = features.get(skip..).unwrap_or_default();
    let known = &known[..known.len().min(place.len())];
    place.slice(..known.len()).copy_from_slice(known);
    let rest = place.len() - known.len();
    let skip = (skip + known.len()).saturating_sub(features.len());
    place.slice(known.len()..).copy_from_slice(&bytemuck::bytes_of(&END_OF_ROW)[skip..skip + rest]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_cut_anywhere_come_out_whole() {
        let features = [1.0_f32, 2.0, 3.0, 4.0, 5.0];
        let row = [1.0_f32, 2.0, 3.0, 4.0, 5.0, 1.0, 0.0, 0.0];
        let expected: &[u8] = bytemuck::cast_slice(&row);
        for cut in (0..=32).step_by(4) {
            let mut found = [0xff_u8; 32];
            let (mut head, mut tail) = wgpu::WriteOnly::from_mut(&mut found[..]).split_at(cut);
            write_row(bytemuck::cast_slice(&features), 0, head.slice(..));
            write_row(bytemuck::cast_slice(&features), cut, tail.slice(..));
            assert_eq!(found, expected, "cut at {cut}");
        }
    }
}
