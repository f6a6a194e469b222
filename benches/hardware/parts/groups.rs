//! A step of a thousand tensors, beside one over as many elements in one tensor.

use wgpu_optim::{Gpu, GpuGroupOptimizer, GpuOptimizer, GpuVec, ParamGroup, Precision};

use super::{RULE, step_bytes};
use crate::Result;
use crate::timing::{Bench, Case, Contestant, Mode};
use crate::traffic::values;

const TENSORS: usize = 1000;
const QUICK_TENSORS: usize = 10;
/// Elements of a tensor.
const LEN: usize = 1000;

/// Tensors as views of one buffer.
pub(super) fn in_one_buffer(gpu: &Gpu, lens: &[usize]) -> Result<Vec<GpuVec>> {
    let hosts: Vec<_> = lens.iter().map(|&len| values(len)).collect();
    let hosts: Vec<_> = hosts.iter().map(Vec::as_slice).collect();
    Ok(gpu.upload_many(&hosts)?)
}

/// Tensors in buffers of their own.
pub(super) fn in_own_buffers(gpu: &Gpu, lens: &[usize]) -> Result<Vec<GpuVec>> {
    lens.iter().map(|&len| Ok(gpu.upload(&values(len))?)).collect()
}

pub(super) fn measure(bench: &mut Bench) -> Result<()> {
    let tensors = if bench.quick { QUICK_TENSORS } else { TENSORS };
    let case = Case::new(format!("{tensors} tensors of {LEN}"), tensors * LEN);
    bench.case(&case, |bench, case| contestants(bench, case, tensors))
}

fn contestants(bench: &mut Bench, case: &Case, tensors: usize) -> Result<()> {
    let (gpu, bytes) = (bench.gpu.clone(), step_bytes(case.elements));
    let (many, one) = (vec![LEN; tensors], [case.elements]);
    let layouts = [
        ("one buffer", in_one_buffer(&gpu, &many)?, in_one_buffer(&gpu, &many)?),
        ("own buffers", in_own_buffers(&gpu, &many)?, in_own_buffers(&gpu, &many)?),
        ("one tensor", in_one_buffer(&gpu, &one)?, in_one_buffer(&gpu, &one)?),
    ];
    let (_, separate_params, separate_grads) = &layouts[1];
    let mut contestants = Vec::new();
    for precision in [Precision::Native, Precision::Exact] {
        for (layout, params, grads) in &layouts {
            let lens = params.iter().map(GpuVec::len).collect();
            let optimizer = GpuGroupOptimizer::new(&gpu, &[ParamGroup { rule: RULE, lens }])?;
            let mut optimizer = optimizer.with_precision(precision);
            let name = format!("{precision}, {layout}");
            contestants.push(Contestant::new(name, &gpu, bytes, move |encoder| {
                Ok(optimizer.record(encoder, params, grads)?)
            }));
        }
        let mut optimizers = Vec::new();
        for &len in &many {
            optimizers.push(GpuOptimizer::new(&gpu, RULE, len)?.with_precision(precision));
        }
        let name = format!("{precision}, an optimizer for each");
        contestants.push(Contestant::new(name, &gpu, bytes, move |encoder| {
            let tensors = separate_params.iter().zip(separate_grads);
            for (optimizer, (params, grads)) in optimizers.iter_mut().zip(tensors) {
                optimizer.record(encoder, params, grads)?;
            }
            Ok(())
        }));
    }
    bench.compare(case, &mut contestants, &[Mode::Device, Mode::Queued])
}
