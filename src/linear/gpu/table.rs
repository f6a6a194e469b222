//! A dataset in device memory, as tables that each fit one binding.

use std::slice;

use crate::data::Dataset;
use crate::gpu::{Gpu, MAX_LOOP_ITERATIONS, StepError};

use super::super::errors::TrainError;

/// Bytes that are staged at once.
const TRANSFER_BYTES: u64 = 64 << 20;

/// The maximum number of features, of which an invocation of `residual.wgsl` takes a thirty-second: an
/// iteration for each four of them, and some for the tree.
const MAX_FEATURES: usize = 32 * (MAX_LOOP_ITERATIONS as usize - 8);

/// Rows of features, a column of ones behind them, and their targets.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) rows: wgpu::Buffer,
    pub(super) target: wgpu::Buffer,
    /// The number of the first row in the dataset, or in the batch.
    pub(super) first: u32,
    pub(super) count: u32,
}

/// Where the rows of a dataset lie for the kernels.
#[derive(Debug)]
pub(super) enum Rows {
    /// All in one table, read in the epoch's order.
    Table(Table),
    /// In several tables; a batch is gathered from them in as many pieces as bindings ask for.
    Gathered { tables: Vec<Table>, pieces: Vec<Table> },
    /// On the host; this is room for some of them, one behind the other in the epoch's order.
    Window(Table),
}

impl Rows {
    /// Brings all of `data` to the device, for batches of up to `batch_size` rows.
    pub(super) fn upload(
        gpu: &Gpu,
        shape: &Shape,
        data: &Dataset,
        batch_size: usize,
    ) -> Result<Self, TrainError> {
        let mut tables = shape.upload(gpu, data)?;
        Ok(match tables.pop() {
            Some(table) if tables.is_empty() => Self::Table(table),
            last => {
                tables.extend(last);
                Self::Gathered { tables, pieces: shape.allocate(gpu, batch_size as u64)? }
            }
        })
    }

    /// What rows are read from first.
    pub(super) fn tables(&self) -> &[Table] {
        match self {
            Self::Table(table) | Self::Window(table) => slice::from_ref(table),
            Self::Gathered { tables, .. } => tables,
        }
    }

    /// What rows are gathered in.
    pub(super) fn pieces(&self) -> &[Table] {
        match self {
            Self::Table(_) | Self::Window(_) => &[],
            Self::Gathered { pieces, .. } => pieces,
        }
    }

    /// What the rows of a batch are read from again, for the gradient.
    pub(super) fn parts(&self) -> &[Table] {
        match self {
            Self::Table(table) | Self::Window(table) => slice::from_ref(table),
            Self::Gathered { pieces, .. } => pieces,
        }
    }

    /// Whether the epoch's order is needed on the device.
    pub(super) fn ordered(&self) -> bool {
        !matches!(self, Self::Window(_))
    }
}

/// How rows lie in tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Features and the bias.
    pub(super) columns: u32,
    /// Groups of four that they fill.
    pub(super) column_groups: u32,
    /// The maximum number of rows in one table.
    pub(super) rows_per_table: u64,
    /// The device's largest binding, in bytes.
    binding: u64,
}

impl Shape {
    /// # Errors
    /// [`TrainError::RowTooLarge`] if a binding does not hold one row, [`TrainError::Terms`] if an
    /// invocation cannot go through it.
    pub(super) fn new(features: usize, limits: &wgpu::Limits) -> Result<Self, TrainError> {
        let binding = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
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

    /// The device's largest binding, in bytes.
    pub(super) fn binding(&self) -> u64 {
        self.binding
    }

    /// Bytes of a row in a table.
    pub(super) fn row_bytes(&self) -> u64 {
        16 * u64::from(self.column_groups)
    }

    /// What stands behind the features of a row, as far as the row goes: the one that meets the
    /// bias, and zeros.
    pub(super) fn end_of_row() -> [f32; 4] {
        [1.0, 0.0, 0.0, 0.0]
    }

    /// Empty tables for `rows` rows.
    pub(super) fn allocate(&self, gpu: &Gpu, rows: u64) -> Result<Vec<Table>, TrainError> {
        let buffer = |label, bytes: u64| {
            let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
            gpu.buffer(label, bytes.next_multiple_of(16), usage)
        };
        let table = |first: u64| {
            let count = self.rows_per_table.min(rows - first);
            Ok(Table {
                rows: buffer("rows", self.row_bytes() * count)?,
                target: buffer("target", 4 * count)?,
                first: first as u32, // a dataset has at most u32::MAX rows
                count: count as u32,
            })
        };
        let starts = (0..rows).step_by(usize::try_from(self.rows_per_table).unwrap_or(usize::MAX));
        starts.map(table).collect::<Result<_, StepError>>().map_err(TrainError::from)
    }

    /// Tables with the rows of `data`.
    fn upload(&self, gpu: &Gpu, data: &Dataset) -> Result<Vec<Table>, TrainError> {
        let tables = self.allocate(gpu, data.rows() as u64)?;
        for table in &tables {
            self.fill(gpu, data, table)?;
        }
        Ok(tables)
    }

    fn fill(&self, gpu: &Gpu, data: &Dataset, table: &Table) -> Result<(), TrainError> {
        let width = 4 * self.column_groups as usize;
        let rows_at_once = (TRANSFER_BYTES as usize / (4 * width)).max(1);
        let (first, end) = (table.first as usize, (table.first + table.count) as usize);
        let mut staged = vec![0.0_f32; width * rows_at_once.min(end - first)];
        let written = gpu.catch(|| {
            for begin in (first..end).step_by(rows_at_once) {
                let rows = begin..end.min(begin + rows_at_once);
                let staged = &mut staged[..width * rows.len()];
                for (place, row) in staged.chunks_mut(width).zip(rows) {
                    let features = data.row(row);
                    let (start, end) = place.split_at_mut(features.len());
                    start.copy_from_slice(features);
                    end.copy_from_slice(&Self::end_of_row()[..end.len()]);
                }
                let offset = (4 * width * (begin - first)) as u64;
                gpu.queue().write_buffer(&table.rows, offset, bytemuck::cast_slice(staged));
                // Sends the staged bytes off, so that their memory can be reused.
                gpu.queue().submit([]);
            }
            let target: Vec<f32> =
                data.target().iter().skip(first).take(end - first).copied().collect();
            gpu.queue().write_buffer(&table.target, 0, bytemuck::cast_slice(&target));
        });
        Ok(written.map_err(StepError::from)?)
    }
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
        // Four features and the bias are two groups, 32 bytes: three rows a table.
        let shape = Shape::new(4, &gpu.device().limits()).unwrap();
        assert_eq!((shape.columns, shape.column_groups), (5, 2));
        let tables = shape.allocate(&gpu, 7).unwrap();
        let cut: Vec<_> = tables.iter().map(|table| (table.first, table.count)).collect();
        assert_eq!(cut, [(0, 3), (3, 3), (6, 1)]);
        let error = Shape::new(24, &gpu.device().limits()).unwrap_err();
        assert_eq!(error, TrainError::RowTooLarge { features: 24, binding: 100 });
    }
}
