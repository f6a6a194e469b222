//! A dataset in device memory, as tables that each fit one binding.

use std::ops::Range;

use rayon::prelude::*;

use super::super::errors::{Result, TrainError};
use super::super::training::Training;
use super::kernels::{largest_binding, storage};
use crate::data::Dataset;
use crate::gpu::{Gpu, MAX_LOOP_ITERATIONS, StepError};

/// The size of the window through which rows are streamed, in bytes, unless less is allowed. It is
/// so large that a submission costs little compared with the copy.
const WINDOW_BYTES: u64 = 32 << 20;
/// The number of bytes staged at once.
const TRANSFER_BYTES: usize = 64 << 20;

/// The number of bytes that a thread copies at a time.
const CHUNK_BYTES: usize = 1 << 16;
/// The end of a row after its features, as far as the row goes: the 1 that multiplies the bias, and
/// zeros.
const END_OF_ROW: [f32; 4] = [1.0, 0.0, 0.0, 0.0];

/// The maximum number of features. Eight invocations of `residual.wgsl` share a row, and each takes
/// four features per iteration; the reserve is for the tree.
const MAX_FEATURES: usize = 32 * (MAX_LOOP_ITERATIONS as usize - 8);

/// Rows of features, each followed by a 1, and their targets.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) rows: wgpu::Buffer,
    pub(super) target: wgpu::Buffer,
    /// The number of the first row in the dataset, or in the batch.
    pub(super) first: u32,
    pub(super) count: u32,
}

impl Table {
    /// The numbers of its rows.
    pub(super) fn rows(&self) -> Range<usize> {
        self.first as usize..(self.first + self.count) as usize
    }
}

/// Where the rows of a dataset lie for the kernels.
#[derive(Debug)]
pub(super) struct Place {
    /// All rows, read in the epoch's order; or one window, through which rows are streamed.
    pub(super) tables: Vec<Table>,
    /// Where batches are gathered if there are several tables: as many pieces as the binding limit
    /// requires.
    pub(super) pieces: Vec<Table>,
    /// Whether the rows stay on the host. The only table is then a window, which holds some of the
    /// rows in the epoch's order.
    pub(super) is_window: bool,
}

impl Place {
    /// Uploads the rows, if the settings and the device's memory allow it. Otherwise creates a
    /// window for them.
    pub(super) fn new(
        gpu: &Gpu,
        shape: &Shape,
        data: &Dataset,
        training: &Training,
    ) -> Result<Self> {
        let (batch_size, memory) = (training.batch_size, training.gpu_memory.unwrap_or(u64::MAX));
        if data.rows() as u64 * (shape.row_bytes() + 4) <= memory {
            match Self::upload(gpu, shape, data, batch_size) {
                Err(TrainError::Step(StepError::OutOfMemory { .. })) => {}
                place => return place,
            }
        }
        let rows = shape.window_rows(memory, batch_size, data.rows());
        // The window is no larger than one table.
        Ok(Self { tables: shape.allocate(gpu, rows)?, pieces: Vec::new(), is_window: true })
    }

    fn upload(gpu: &Gpu, shape: &Shape, data: &Dataset, batch_size: usize) -> Result<Self> {
        let tables = shape.allocate(gpu, data.rows() as u64)?;
        let row_bytes = shape.row_bytes() as usize;
        let rows_at_once = (TRANSFER_BYTES / row_bytes).max(1).min(tables[0].count as usize);
        let mut staged = vec![0; rows_at_once * (row_bytes + 4)];
        for table in &tables {
            let rows = table.rows();
            gpu.catch(|| {
                for first in rows.clone().step_by(rows_at_once) {
                    let count = rows_at_once.min(rows.end - first);
                    let staged = &mut staged[..count * (row_bytes + 4)];
                    let place = wgpu::WriteOnly::from_mut(&mut *staged);
                    copy_rows(data, count, row_bytes, |index| first + index, place);
                    let (features, target) = staged.split_at(count * row_bytes);
                    let offset = (first - rows.start) as u64;
                    gpu.queue().write_buffer(&table.rows, offset * shape.row_bytes(), features);
                    gpu.queue().write_buffer(&table.target, offset * 4, target);
                    // Submits the staged bytes, so that their memory can be reused.
                    gpu.queue().submit([]);
                }
            })?;
        }
        let pieces = match tables.len() {
            1 => Vec::new(),
            _ => shape.allocate(gpu, batch_size as u64)?,
        };
        Ok(Self { tables, pieces, is_window: false })
    }

    /// The tables from which the rows of a batch are read again, for the gradient.
    pub(super) fn parts(&self) -> &[Table] {
        if self.pieces.is_empty() { &self.tables } else { &self.pieces }
    }

    /// The number of rows that the window holds, if rows are streamed.
    pub(super) fn capacity(&self) -> Option<usize> {
        self.is_window.then(|| self.tables[0].count as usize)
    }
}

/// The layout of rows in tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// The number of columns: features and the bias.
    pub(super) columns: u32,
    /// The number of groups of four columns.
    pub(super) column_groups: u32,
    /// The maximum number of rows in one table.
    pub(super) rows_per_table: u64,
    /// The device's largest binding, in bytes.
    binding: u64,
}

impl Shape {
    /// # Errors
    /// [`TrainError::RowTooLarge`] if one row does not fit a binding, [`TrainError::Terms`] if a
    /// row is too long for the loop of an invocation.
    pub(super) fn new(features: usize, limits: &wgpu::Limits) -> Result<Self> {
        let binding = largest_binding(limits);
        let column_groups = (features as u64 + 1).div_ceil(4);
        if features > MAX_FEATURES {
            let (what, found, max) = ("features of a row", features, MAX_FEATURES);
            return Err(TrainError::Terms { what, found, max });
        }
        // Indices of groups within a table are u32.
        let rows_per_table =
            (binding / (16 * column_groups)).min(u64::from(u32::MAX) / column_groups);
        match (u32::try_from(features + 1), u32::try_from(column_groups)) {
            (Ok(columns), Ok(column_groups)) if rows_per_table > 0 => {
                Ok(Self { columns, column_groups, rows_per_table, binding })
            }
            _ => Err(TrainError::RowTooLarge { features, binding }),
        }
    }

    /// The size of a row in a table, in bytes.
    pub(super) fn row_bytes(&self) -> u64 {
        16 * u64::from(self.column_groups)
    }

    /// Creates tables for `rows` rows.
    pub(super) fn allocate(&self, gpu: &Gpu, rows: u64) -> Result<Vec<Table>> {
        let table = |first: u64| {
            let count = self.rows_per_table.min(rows - first);
            Ok(Table {
                rows: storage(gpu, "rows", self.row_bytes() * count)?,
                target: storage(gpu, "target", 4 * count)?,
                first: first as u32, // a dataset has at most u32::MAX rows
                count: count as u32,
            })
        };
        let starts = (0..rows).step_by(usize::try_from(self.rows_per_table).unwrap_or(usize::MAX));
        starts.map(table).collect()
    }

    /// The number of rows of a window if the device may hold `bytes` bytes of rows: as many as fit
    /// in `bytes` and the usual size, and whole batches if one fits. Rows and targets share a
    /// staging buffer, which is no larger than a binding.
    fn window_rows(&self, bytes: u64, batch_size: usize, rows: usize) -> u64 {
        let bytes = bytes.min(WINDOW_BYTES).min(self.binding);
        let max_rows = (bytes / (self.row_bytes() + 4)).min(rows as u64).max(1);
        let batch = batch_size as u64;
        if max_rows >= batch { max_rows - max_rows % batch } else { max_rows }
    }
}

/// Writes `count` rows in the layout of a table, `row_bytes` bytes each, followed by their targets.
/// `number` returns the row at each index.
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
    // Threads can share mapped memory only in chunks of constant size.
    let whole = table.len() / CHUNK_BYTES;
    let (chunks, rest) = table.into_chunks::<CHUNK_BYTES>();
    let chunks: Vec<_> = chunks.into_iter().enumerate().collect();
    chunks.into_par_iter().for_each(|(index, chunk)| write(CHUNK_BYTES * index, chunk.into()));
    write(CHUNK_BYTES * whole, rest);
}

/// Writes a row in the layout of a table, from byte `skip` on, as far as `place` goes.
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
    fn tables_are_cut_at_the_binding_limit() {
        let (device, queue) = wgpu::Device::noop(&wgpu::DeviceDescriptor {
            required_limits: wgpu::Limits {
                max_storage_buffer_binding_size: 100,
                ..wgpu::Limits::default()
            },
            ..Default::default()
        });
        let gpu = Gpu::from_wgpu(device, queue);
        // Four features and the bias are two groups, 32 bytes: three rows per table.
        let shape = Shape::new(4, &gpu.device().limits()).unwrap();
        assert_eq!((shape.columns, shape.column_groups), (5, 2));
        let tables = shape.allocate(&gpu, 7).unwrap();
        let cut: Vec<_> = tables.iter().map(|table| (table.first, table.count)).collect();
        assert_eq!(cut, [(0, 3), (3, 3), (6, 1)]);
        let error = Shape::new(24, &gpu.device().limits()).unwrap_err();
        assert_eq!(error, TrainError::RowTooLarge { features: 24, binding: 100 });
    }

    #[test]
    fn a_window_holds_whole_batches_where_one_fits() {
        let limits = wgpu::Limits::default();
        // Nine columns are three groups: 48 bytes per row, and 4 for the target.
        let shape = Shape::new(8, &limits).unwrap();
        assert_eq!(shape.window_rows(52 * 100, 30, 1000), 90);
        assert_eq!(shape.window_rows(52 * 100, 100, 1000), 100);
        assert_eq!(shape.window_rows(52 * 100, 101, 1000), 100);
        assert_eq!(shape.window_rows(0, 10, 1000), 1);
        assert_eq!(shape.window_rows(u64::MAX, 10, 1_000_000), 645_270);
        assert_eq!(shape.window_rows(u64::MAX, 10, 7), 7);
        // 20 rows fit a binding, but not with their targets.
        let small = wgpu::Limits { max_storage_buffer_binding_size: 1000, ..limits };
        let shape = Shape::new(8, &small).unwrap();
        assert_eq!(shape.window_rows(u64::MAX, 3, 1000), 18);
    }

    #[test]
    fn rows_written_in_two_parts_are_whole() {
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
