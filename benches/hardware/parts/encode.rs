//! The host's part of a warm step: on a device that does nothing, and on the device itself.

use wgpu_optim::{Gpu, GpuGroupOptimizer, GpuOptimizer, ParamGroup, wgpu};

use super::RULE;
use super::groups::{Lay, in_one_buffer, in_own_buffers};
use crate::Result;
use crate::timing::{Bench, Case, Contestant, Mode};

const TENSORS: usize = 1000;
/// Elements of a tensor; their number does not matter.
const LEN: usize = 1000;

pub(super) fn measure(bench: &mut Bench) -> Result<()> {
    let (device, queue) = wgpu::Device::noop(&wgpu::DeviceDescriptor::default());
    let devices = [("noop device", Gpu::from_wgpu(device, queue)), ("device", bench.gpu.clone())];
    bench.expect(3 * devices.len());
    for (name, gpu) in &devices {
        bench.case(&Case::new("one tensor", LEN), |bench, case| one(bench, case, name, gpu))?;
        let case = Case::new(format!("{TENSORS} tensors"), TENSORS * LEN);
        for (layout, lay) in [("one buffer", in_one_buffer as Lay), ("own buffers", in_own_buffers)]
        {
            let name = format!("{name}, {layout}");
            bench.case(&case, |bench, case| many(bench, case, &name, gpu, lay))?;
        }
    }
    Ok(())
}

fn one(bench: &mut Bench, case: &Case, name: &str, gpu: &Gpu) -> Result<()> {
    let (params, grads) = (gpu.zeros(LEN)?, gpu.zeros(LEN)?);
    let mut optimizer = GpuOptimizer::new(gpu, RULE, LEN)?;
    let record =
        move |encoder: &mut wgpu::CommandEncoder| Ok(optimizer.record(encoder, &params, &grads)?);
    let contestant = Contestant::new(name, gpu, None, record);
    bench.compare(case, &mut [contestant], &[Mode::Record, Mode::Submit])
}

fn many(bench: &mut Bench, case: &Case, name: &str, gpu: &Gpu, lay: Lay) -> Result<()> {
    let lens = vec![LEN; TENSORS];
    let (params, grads) = (lay(gpu, &lens)?, lay(gpu, &lens)?);
    let mut optimizer = GpuGroupOptimizer::new(gpu, &[ParamGroup { rule: RULE, lens }])?;
    let record =
        move |encoder: &mut wgpu::CommandEncoder| Ok(optimizer.record(encoder, &params, &grads)?);
    let contestant = Contestant::new(name, gpu, None, record);
    bench.compare(case, &mut [contestant], &[Mode::Record, Mode::Submit])
}
