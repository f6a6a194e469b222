//! A wgpu device: steps, copies from buffer to buffer, and the device's own clock.

use wgpu_optim::{Gpu, GpuOptimizer, GpuVec, Precision, Rule, wgpu};

use super::sampling::{self, Bench, Medians};
use super::traffic::copy_len;
use crate::error::Error;

/// Measures steps of `rule` over `len` elements.
pub(super) fn medians<R: Rule>(
    gpu: &Gpu,
    rule: R,
    precision: Precision,
    len: usize,
) -> Result<Medians, Error> {
    let (params, grads) = (gpu.zeros(len)?, gpu.zeros(len)?);
    gpu.fill(&params, 1.0)?;
    gpu.fill(&grads, 0.5)?;
    let copied = copy_len::<R>(len);
    sampling::medians(&mut GpuBench {
        gpu,
        optimizer: GpuOptimizer::new(gpu, rule, len)?.with_precision(precision),
        params,
        grads,
        source: gpu.zeros(copied)?,
        destination: gpu.zeros(copied)?,
        clock: Clock::new(gpu)?,
    })
}

struct GpuBench<'a, R: Rule> {
    gpu: &'a Gpu,
    optimizer: GpuOptimizer<R>,
    params: GpuVec,
    grads: GpuVec,
    source: GpuVec,
    destination: GpuVec,
    clock: Option<Clock>,
}

impl<R: Rule> GpuBench<'_, R> {
    fn encoder(&self) -> wgpu::CommandEncoder {
        self.gpu.device().create_command_encoder(&Default::default())
    }
}

impl<R: Rule> Bench for GpuBench<'_, R> {
    fn steps(&mut self, count: u32) -> Result<(), Error> {
        for _ in 0..count {
            self.optimizer.step(&self.params, &self.grads)?;
        }
        Ok(self.gpu.wait_blocking()?)
    }

    fn copies(&mut self, count: u32) -> Result<(), Error> {
        for _ in 0..count {
            let mut encoder = self.encoder();
            // Their lengths are equal, so both are split into buffers at the same places.
            for ((source, bytes), (destination, _)) in
                self.source.buffers().zip(self.destination.buffers())
            {
                let size = bytes.end - bytes.start;
                encoder.copy_buffer_to_buffer(source, bytes.start, destination, bytes.start, size);
            }
            self.gpu.queue().submit([encoder.finish()]);
        }
        Ok(self.gpu.wait_blocking()?)
    }

    fn kernels(&mut self, count: u32) -> Result<Option<f64>, Error> {
        let Some(clock) = &self.clock else { return Ok(None) };
        let mut encoder = self.encoder();
        clock.start(&mut encoder);
        for _ in 0..count {
            self.optimizer.record(&mut encoder, &self.params, &self.grads)?;
        }
        clock.stop(&mut encoder);
        self.gpu.queue().submit([encoder.finish()]);
        clock.seconds(self.gpu)
    }
}

/// Two timestamps around a run of passes.
struct Clock {
    queries: wgpu::QuerySet,
    /// Both timestamps.
    ticks: wgpu::Buffer,
    seconds_per_tick: f64,
}

impl Clock {
    /// None if the device has no timestamps.
    fn new(gpu: &Gpu) -> Result<Option<Self>, Error> {
        let device = gpu.device();
        if !device.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            return Ok(None);
        }
        let queries = device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("wgpu-optim bench"),
            ty: wgpu::QueryType::Timestamp,
            count: 2,
        });
        let ticks = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("wgpu-optim bench timestamps"),
            size: 2 * u64::from(wgpu::QUERY_SIZE),
            usage: wgpu::BufferUsages::QUERY_RESOLVE
                | wgpu::BufferUsages::COPY_SRC
                | wgpu::BufferUsages::STORAGE,
            mapped_at_creation: false,
        });
        let seconds_per_tick = f64::from(gpu.queue().get_timestamp_period()) * 1e-9;
        Ok(Some(Self { queries, ticks, seconds_per_tick }))
    }

    fn start(&self, encoder: &mut wgpu::CommandEncoder) {
        self.write(encoder, Some(0), None);
    }

    fn stop(&self, encoder: &mut wgpu::CommandEncoder) {
        self.write(encoder, None, Some(1));
        encoder.resolve_query_set(&self.queries, 0..2, &self.ticks, 0);
    }

    /// An empty pass that writes timestamps: more devices can write them here than elsewhere.
    fn write(&self, encoder: &mut wgpu::CommandEncoder, begin: Option<u32>, end: Option<u32>) {
        encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: Some("timestamp"),
            timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                query_set: &self.queries,
                beginning_of_pass_write_index: begin,
                end_of_pass_write_index: end,
            }),
        });
    }

    /// The time between the two, after waiting for the device. None if the driver skips empty passes
    /// together with their timestamps.
    fn seconds(&self, gpu: &Gpu) -> Result<Option<f64>, Error> {
        // A download copies the bits; they need not be numbers.
        let words = GpuVec::from_buffer(&self.ticks, 0, 4)?.download_blocking(gpu)?;
        let tick = |low: f32, high: f32| u64::from(low.to_bits()) | u64::from(high.to_bits()) << 32;
        let [a, b, c, d] = words[..] else { return Ok(None) };
        let ticks = tick(c, d).checked_sub(tick(a, b)).filter(|&ticks| ticks > 0);
        Ok(ticks.map(|ticks| ticks as f64 * self.seconds_per_tick))
    }
}
