//! Every shape of the step kernel: workgroup sizes against quads of an invocation.

use wgpu_optim::{GpuOptimizer, KernelShape, Precision};

use super::{RULE, step_bytes};
use crate::Result;
use crate::device::check_room;
use crate::timing::{Bench, Case, Contestant, Mode};
use crate::traffic::values;

const WORKGROUPS: [u32; 7] = [8, 32, 64, 128, 256, 512, 1024];
const QUADS: [u32; 5] = [1, 2, 4, 8, 64];
/// The sizes of benches/shape.rs. Exact precision, which computes more for the same memory, at one.
const CASES: [(Precision, usize); 5] = [
    (Precision::Native, 1 << 12),
    (Precision::Native, 1 << 20),
    (Precision::Native, 1 << 24),
    (Precision::Exact, 1 << 24),
    (Precision::Native, 1 << 26),
];

pub(super) fn measure(bench: &mut Bench) -> Result<()> {
    let cases = if bench.quick { &CASES[..1] } else { &CASES };
    bench.expect(cases.len());
    for &(precision, len) in cases {
        bench.case(&Case::new(precision.to_string(), len), |bench, case| {
            shapes(bench, case, precision)
        })?;
    }
    Ok(())
}

fn shapes(bench: &mut Bench, case: &Case, precision: Precision) -> Result<()> {
    let (gpu, len) = (bench.gpu.clone(), case.elements);
    check_room(&gpu, 3 * 4 * len as u64)?;
    let host = values(len);
    let (params, grads) = (gpu.upload(&host)?, gpu.upload(&host)?);
    let state = [gpu.zeros(len)?];
    let default = GpuOptimizer::over_state(&gpu, RULE, len, &state)?.shape();
    let max = gpu.device().limits().max_compute_invocations_per_workgroup;
    let sizes = WORKGROUPS.into_iter().filter(|&size| size <= max);
    let all = sizes.flat_map(|size| QUADS.map(|quads| KernelShape::new(size, quads)));
    // The device's default, if it is not among these.
    let own = std::iter::once(default).filter(|shape| {
        !WORKGROUPS.contains(&shape.workgroup_size) || !QUADS.contains(&shape.quads_per_invocation)
    });
    let mut contestants = Vec::new();
    for shape in all.chain(own) {
        let optimizer = GpuOptimizer::over_state(&gpu, RULE, len, &state)?;
        let mut optimizer = optimizer.with_precision(precision).with_shape(shape);
        let KernelShape { workgroup_size, quads_per_invocation, .. } = shape;
        let plural = if quads_per_invocation == 1 { "" } else { "s" };
        let name = format!("{workgroup_size} invocations of {quads_per_invocation} quad{plural}");
        let (params, grads) = (&params, &grads);
        let contestant = Contestant::new(name, &gpu, step_bytes(len), move |encoder| {
            Ok(optimizer.record(encoder, params, grads)?)
        });
        let detail = if shape == default { "the default".to_owned() } else { String::new() };
        contestants.push(Contestant { detail, ..contestant });
    }
    bench.compare(case, &mut contestants, &[Mode::Device])
}
