//! The time of work on a device, by its own clock if it has one.

use std::time::Instant;

use wgpu_optim::{Gpu, GpuVec, wgpu};

/// Two timestamps around some passes; none on a device without a clock.
pub(crate) struct Clock {
    queries: Option<(wgpu::QuerySet, wgpu::Buffer)>,
}

impl Clock {
    /// The clock of a device, which it has if it was opened with `TIMESTAMP_QUERY`.
    pub(crate) fn of(gpu: &Gpu) -> Self {
        let device = gpu.device();
        let queries = device.features().contains(wgpu::Features::TIMESTAMP_QUERY).then(|| {
            let queries = device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("clock"),
                ty: wgpu::QueryType::Timestamp,
                count: 2,
            });
            let ticks = device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("timestamps"),
                size: 2 * u64::from(wgpu::QUERY_SIZE),
                usage: wgpu::BufferUsages::QUERY_RESOLVE
                    | wgpu::BufferUsages::COPY_SRC
                    | wgpu::BufferUsages::STORAGE,
                mapped_at_creation: false,
            });
            (queries, ticks)
        });
        Self { queries }
    }

    /// The time in seconds that the device takes for what `record` encodes.
    pub(crate) fn seconds(&self, gpu: &Gpu, record: impl FnOnce(&mut wgpu::CommandEncoder)) -> f64 {
        let mut encoder = gpu.device().create_command_encoder(&Default::default());
        self.stamp(&mut encoder, Some(0), None);
        record(&mut encoder);
        self.stamp(&mut encoder, None, Some(1));
        if let Some((queries, ticks)) = &self.queries {
            encoder.resolve_query_set(queries, 0..2, ticks, 0);
        }
        gpu.wait_blocking().unwrap();
        let start = Instant::now();
        gpu.queue().submit([encoder.finish()]);
        gpu.wait_blocking().unwrap();
        let wall = start.elapsed().as_secs_f64();
        self.elapsed(gpu).unwrap_or(wall)
    }

    fn stamp(&self, encoder: &mut wgpu::CommandEncoder, begin: Option<u32>, end: Option<u32>) {
        let Some((queries, _)) = &self.queries else { return };
        encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: Some("timestamp"),
            timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                query_set: queries,
                beginning_of_pass_write_index: begin,
                end_of_pass_write_index: end,
            }),
        });
    }

    /// None where a driver skips passes that only write a timestamp.
    fn elapsed(&self, gpu: &Gpu) -> Option<f64> {
        let (_, ticks) = self.queries.as_ref()?;
        let words = GpuVec::from_buffer(ticks, 0, 4).unwrap().download_blocking(gpu).unwrap();
        let tick =
            |at: usize| u64::from(words[at].to_bits()) | u64::from(words[at + 1].to_bits()) << 32;
        let ticks = tick(2).checked_sub(tick(0)).filter(|&ticks| ticks > 0)?;
        Some(ticks as f64 * f64::from(gpu.queue().get_timestamp_period()) * 1e-9)
    }
}
