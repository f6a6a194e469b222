//! Rows that stay on the host and come to the device a window at a time, through two staging
//! buffers: the host fills one while the device works on what came through the other.

use std::ops::Range;

use rayon::prelude::*;

use super::super::errors::TrainError;
use super::commands::Commands;
use super::table::{Shape, Table};
use crate::data::Dataset;
use crate::gpu::{Gpu, Staging, StepError, Wait};

/// Bytes of a window, unless less is allowed: large enough that a submission costs little beside
/// the copy.
const WINDOW_BYTES: u64 = 32 << 20;
/// Bytes that a thread copies at a time.
const CHUNK_BYTES: usize = 1 << 16;

/// The way of rows to the device.
pub(super) struct Stream<'a> {
    data: &'a Dataset,
    shape: Shape,
    window: (wgpu::Buffer, wgpu::Buffer),
    window_rows: usize,
    staging: [Staging; 2],
    /// The number of the staging buffer to fill next.
    next: usize,
    /// The one whose copy is encoded, but not submitted.
    encoded: Option<usize>,
}

impl<'a> Stream<'a> {
    /// How many rows a window has if the device is to hold `bytes` bytes of rows: all of `bytes`
    /// or the usual size, cut to whole batches where there is room for one. Rows and targets share a
    /// staging buffer, which is no larger than a binding.
    pub(super) fn window_rows(shape: &Shape, bytes: u64, batch_size: usize, rows: usize) -> u64 {
        let bytes = bytes.min(WINDOW_BYTES).min(shape.binding());
        let max_rows = (bytes / (shape.row_bytes() + 4)).min(rows as u64).max(1);
        let batch = batch_size as u64;
        if max_rows >= batch { max_rows - max_rows % batch } else { max_rows }
    }

    /// A way to `window`.
    pub(super) fn new(
        gpu: &Gpu,
        data: &'a Dataset,
        shape: Shape,
        window: &Table,
    ) -> Result<Self, TrainError> {
        let rows = u64::from(window.count);
        let bytes = (rows * (shape.row_bytes() + 4)).next_multiple_of(4);
        let staging = || Staging::new(gpu, bytes).map_err(StepError::from);
        Ok(Self {
            data,
            shape,
            window: (window.rows.clone(), window.target.clone()),
            window_rows: window.count as usize,
            staging: [staging()?, staging()?],
            next: 0,
            encoded: None,
        })
    }

    /// How many rows the window has room for.
    pub(super) fn capacity(&self) -> usize {
        self.window_rows
    }

    /// Fills a staging buffer with rows and encodes its copy to the window. What was encoded
    /// before must have been submitted.
    pub(super) async fn load(
        &mut self,
        gpu: &Gpu,
        commands: &mut Commands,
        rows: Selection<'_>,
        wait: Wait,
    ) -> Result<(), TrainError> {
        let row_bytes = self.shape.row_bytes() as usize;
        let count = rows.len();
        let (table_bytes, target_bytes) = ((row_bytes * count) as u64, 4 * count as u64);
        let staging = &mut self.staging[self.next];
        let data = self.data;
        let fill = |place: wgpu::WriteOnly<'_, [u8]>| copy(data, rows, row_bytes, place);
        staging.fill(gpu, wait, table_bytes + target_bytes, fill).await?;
        let encoder = commands.encoder()?;
        let (table, target) = &self.window;
        gpu.catch(|| {
            encoder.copy_buffer_to_buffer(&staging.buffer, 0, table, 0, table_bytes);
            encoder.copy_buffer_to_buffer(&staging.buffer, table_bytes, target, 0, target_bytes);
        })
        .map_err(StepError::from)?;
        self.encoded = Some(self.next);
        self.next = 1 - self.next;
        Ok(())
    }

    /// The commands have been submitted.
    pub(super) fn submitted(
        &mut self,
        gpu: &Gpu,
        submission: wgpu::SubmissionIndex,
    ) -> Result<(), TrainError> {
        if let Some(staging) = self.encoded.take() {
            self.staging[staging].submitted(gpu, submission).map_err(StepError::from)?;
        }
        Ok(())
    }
}

/// Rows of a dataset, in an order.
#[derive(Clone)]
pub(super) enum Selection<'a> {
    /// Those of these numbers.
    Numbered(&'a [u32]),
    /// As they lie.
    Range(Range<usize>),
}

impl Selection<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Numbered(numbers) => numbers.len(),
            Self::Range(range) => range.len(),
        }
    }

    fn number(&self, index: usize) -> usize {
        match self {
            Self::Numbered(numbers) => numbers[index] as usize,
            Self::Range(range) => range.start + index,
        }
    }
}

/// Writes rows as they lie in a table, and their targets behind them.
fn copy(data: &Dataset, rows: Selection<'_>, row_bytes: usize, place: wgpu::WriteOnly<'_, [u8]>) {
    let (table, mut target) = place.split_at(row_bytes * rows.len());
    for index in 0..rows.len() {
        let value = data.target()[rows.number(index)];
        target.slice(4 * index..4 * index + 4).copy_from_slice(&value.to_ne_bytes());
    }
    let write = |first: usize, mut place: wgpu::WriteOnly<'_, [u8]>| {
        let mut done = 0;
        while done < place.len() {
            let (row, skip) = ((first + done) / row_bytes, (first + done) % row_bytes);
            let count = (row_bytes - skip).min(place.len() - done);
            let features = bytemuck::cast_slice(data.row(rows.number(row)));
            write_row(features, skip, place.slice(done..done + count));
            done += count;
        }
    };
    // Chunks of constant size are what mapped memory can be shared among threads by.
    let whole = table.len() / CHUNK_BYTES;
    let (chunks, rest) = table.into_chunks::<CHUNK_BYTES>();
    let chunks: Vec<_> = chunks.into_iter().enumerate().collect();
    chunks.into_par_iter().for_each(|(number, chunk)| write(CHUNK_BYTES * number, chunk.into()));
    write(CHUNK_BYTES * whole, rest);
}

/// Writes a row as it lies in a table, from its byte number `skip` on, as far as `place` goes.
fn write_row(features: &[u8], skip: usize, mut place: wgpu::WriteOnly<'_, [u8]>) {
    let end = Shape::end_of_row();
    let known = features.get(skip..).unwrap_or_default();
    let known = &known[..known.len().min(place.len())];
    place.slice(..known.len()).copy_from_slice(known);
    let rest = place.len() - known.len();
    let skip = (skip + known.len()).saturating_sub(features.len());
    place.slice(known.len()..).copy_from_slice(&bytemuck::bytes_of(&end)[skip..skip + rest]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_holds_whole_batches_where_one_fits() {
        let limits = wgpu::Limits::default();
        // Nine columns are three groups: 48 bytes a row, and 4 for the target.
        let shape = Shape::new(8, &limits).unwrap();
        assert_eq!(Stream::window_rows(&shape, 52 * 100, 30, 1000), 90);
        assert_eq!(Stream::window_rows(&shape, 52 * 100, 100, 1000), 100);
        assert_eq!(Stream::window_rows(&shape, 52 * 100, 101, 1000), 100);
        assert_eq!(Stream::window_rows(&shape, 0, 10, 1000), 1);
        assert_eq!(Stream::window_rows(&shape, u64::MAX, 10, 1_000_000), 645_270);
        assert_eq!(Stream::window_rows(&shape, u64::MAX, 10, 7), 7);
        // 20 rows fit a binding, but not with their targets.
        let small = wgpu::Limits { max_storage_buffer_binding_size: 1000, ..limits };
        let shape = Shape::new(8, &small).unwrap();
        assert_eq!(Stream::window_rows(&shape, u64::MAX, 3, 1000), 18);
    }

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
