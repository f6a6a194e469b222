//! Training on dense rows, in device memory or streamed: the host fills a staging buffer while the
//! device works on the content of the other.

use std::ops::Range;

use super::super::batches::Batch;
use super::super::errors::Result;
use super::super::training::Training;
use super::core::{Core, Kept, Setup};
use super::descent::Descent;
use super::gradient::GpuGradient;
use super::table::{Place, Shape, copy_rows};
use crate::data::Dataset;
use crate::gpu::{GpuOptimizer, GpuVec, Wait};
use crate::rules::Rule;

/// How many times longer one workgroup takes for its work than all of a slow device.
const ONE_WORKGROUP: usize = 8;

/// Dense rows, and the kernels that turn them into residuals and steps.
pub(super) struct DenseRows<'a> {
    pub(super) core: Core,
    data: &'a Dataset,
    shape: Shape,
    gradient: GpuGradient,
    /// For small models. Others use the gradient's kernels and the optimizer's own.
    descent: Option<Descent>,
    /// The parameters that the optimizer steps, and their gradient.
    vectors: [GpuVec; 2],
    /// The positions of the epoch's order that the window holds.
    window: Range<usize>,
}

impl<'a> DenseRows<'a> {
    /// Uploads `data`, or prepares to stream them.
    pub(super) fn new(setup: Setup<'_>, data: &'a Dataset) -> Result<Self> {
        let Setup { gpu, training, .. } = setup;
        let shape = Shape::new(data.feature_count(), &gpu.device().limits())?;
        let place = Place::new(gpu, &shape, data, training)?;
        let staged = place.capacity().map_or(0, |rows| rows as u64 * (shape.row_bytes() + 4));
        let core = Core::new(setup, data.rows(), staged)?;
        let gradient = GpuGradient::new(&core, training.loss, data.rows(), place)?;
        let vectors = [&core.parameters, &gradient.gradient]
            .map(|buffer| GpuVec::padded(buffer, shape.columns as usize));
        Ok(Self { core, data, shape, gradient, descent: None, vectors, window: 0..0 })
    }

    /// Prepares for steps by an optimizer.
    pub(super) fn prepare<R: Rule>(
        &mut self,
        optimizer: &GpuOptimizer<R>,
        training: &Training,
    ) -> Result<()> {
        let (core, gradient) = (&mut self.core, &self.gradient);
        self.descent = Descent::new(core, gradient, optimizer, training)?;
        Ok(())
    }

    /// Begins an epoch that visits the rows in this order.
    pub(super) fn begin_epoch(&mut self, order: &[u32]) -> Result<()> {
        self.submit()?;
        self.window = 0..0;
        if !self.gradient.place.is_window {
            let (gpu, buffer) = (&self.core.gpu, &self.gradient.order);
            gpu.catch(|| gpu.queue().write_buffer(buffer, 0, bytemuck::cast_slice(order)))?;
        }
        Ok(())
    }

    /// Submits the collected commands.
    pub(super) fn submit(&mut self) -> Result<()> {
        self.close();
        self.core.commands.submit()
    }

    /// Dispatches the batches collected so far.
    fn close(&mut self) {
        if let Some(descent) = &mut self.descent {
            descent.close(&mut self.core.commands);
        }
    }

    /// Fills the window with `count` rows; `number` returns the row at each position. Earlier work
    /// of the device goes on meanwhile.
    async fn load(
        &mut self,
        count: usize,
        number: impl Fn(usize) -> usize + Sync,
        wait: Wait,
    ) -> Result<()> {
        self.submit()?;
        self.window = 0..0;
        let (data, row_bytes) = (self.data, self.shape.row_bytes() as usize);
        let table = &self.gradient.place.tables[0];
        let buffers =
            [(&table.rows, (row_bytes * count) as u64), (&table.target, 4 * count as u64)];
        let fill = |place: wgpu::WriteOnly<'_, [u8]>| {
            copy_rows(data, count, row_bytes, number, place);
        };
        self.core.commands.copy(wait, &buffers, fill).await
    }

    /// Dispatches the kernels that store what is `kept` of all rows.
    pub(super) async fn all_rows(&mut self, kept: Kept, wait: Wait) -> Result<()> {
        self.close();
        let rows = self.data.rows();
        if let Some(capacity) = self.gradient.place.capacity() {
            for first in (0..rows).step_by(capacity) {
                let range = first..rows.min(first + capacity);
                self.load(range.len(), |index| first + index, wait).await?;
                self.gradient.table_rows(&mut self.core, 0, &range, kept)?;
            }
        } else {
            for (index, table) in self.gradient.place.tables.iter().enumerate() {
                self.gradient.table_rows(&mut self.core, index, &table.rows(), kept)?;
            }
        }
        self.core.commands.work += (rows * self.shape.columns as usize) as u64;
        Ok(())
    }

    /// Trains on a batch.
    pub(super) async fn step<R: Rule>(
        &mut self,
        optimizer: &mut GpuOptimizer<R>,
        batch: &Batch,
        order: &[u32],
        wait: Wait,
    ) -> Result<()> {
        let Range { start, end } = batch.rows;
        let mut rows = start..end;
        if let Some(capacity) = self.gradient.place.capacity() {
            if rows.len() > capacity {
                return self.step_in_parts(optimizer, rows, order, capacity, wait).await;
            }
            if start < self.window.start || end > self.window.end {
                let last = order.len().min(start + capacity);
                self.load(last - start, |index| order[start + index] as usize, wait).await?;
                self.window = start..last;
            }
            rows = start - self.window.start..end - self.window.start;
        }
        self.gradient.terms_before(&mut self.core, &batch.rows, rows.start)?;
        if self.descent.is_some() && !self.core.commands.has_room(1) {
            self.submit()?;
        }
        let mut work = rows.len() * self.shape.columns as usize;
        let commands = &mut self.core.commands;
        if let Some(descent) = &mut self.descent {
            let step = commands.push_step(bytemuck::bytes_of(&optimizer.next_uniforms()));
            descent.add(commands, &rows, step);
            work *= ONE_WORKGROUP;
        } else {
            self.gradient.batch(&mut self.core, &rows)?;
            self.record(optimizer)?;
        }
        self.core.commands.work += work as u64;
        Ok(())
    }

    /// Trains on a batch that is larger than the window.
    async fn step_in_parts<R: Rule>(
        &mut self,
        optimizer: &mut GpuOptimizer<R>,
        batch: Range<usize>,
        order: &[u32],
        capacity: usize,
        wait: Wait,
    ) -> Result<()> {
        let batch_rows = batch.len() as u32; // at most the number of rows, a u32
        for start in batch.clone().step_by(capacity) {
            let end = batch.end.min(start + capacity);
            self.load(end - start, |index| order[start + index] as usize, wait).await?;
            self.gradient.terms_before(&mut self.core, &(start..end), 0)?;
            let part = start - batch.start..end - batch.start;
            self.gradient.batch_part(&mut self.core, &part, batch_rows)?;
        }
        self.gradient.finish(&mut self.core, batch_rows, 0)?;
        self.record(optimizer)
    }

    /// Records the optimizer's step after the gradient.
    fn record<R: Rule>(&mut self, optimizer: &mut GpuOptimizer<R>) -> Result<()> {
        let [parameters, gradient] = &self.vectors;
        Ok(optimizer.record(self.core.commands.encoder()?, parameters, gradient)?)
    }
}
