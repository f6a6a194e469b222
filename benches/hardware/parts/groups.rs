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

/// A way to lay tensors of these lengths into device memory.
pub(super) type Lay = fn(&Gpu, &[usize]) -> Result<Vec<GpuVec>>;

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

/// Measures one layout of the tensors, in both precisions.
type Layout = fn(&mut Bench, &Case, &[usize]) -> Result<()>;

pub(super) fn measure(bench: &mut Bench) -> Result<()> {
    let tensors = if bench.quick { QUICK_TENSORS } else { TENSORS };
    let case = Case::new(format!("{tensors} tensors of {LEN}"), tensors * LEN);
    let (many, one) = (vec![LEN; tensors], [case.elements]);
    // One layout at a time: thousands of buffers slow down every submission.
    let layouts: [(Layout, &[usize]); 4] = [
        (|bench, case, lens| grouped(bench, case, "one tensor", in_one_buffer, lens), &one),
        (|bench, case, lens| grouped(bench, case, "one buffer", in_one_buffer, lens), &many),
        (|bench, case, lens| grouped(bench, case, "own buffers", in_own_buffers, lens), &many),
        (each_alone, &many),
    ];
    bench.expect(layouts.len());
    for (layout, lens) in layouts {
        bench.case(&case, |bench, case| layout(bench, case, lens))?;
    }
    Ok(())
}

/// One optimizer for all tensors.
fn grouped(bench: &mut Bench, case: &Case, layout: &str, lay: Lay, lens: &[usize]) -> Result<()> {
    let gpu = bench.gpu.clone();
    let (params, grads) = (lay(&gpu, lens)?, lay(&gpu, lens)?);
    let mut contestants = Vec::new();
    for precision in [Precision::Native, Precision::Exact] {
        let groups = [ParamGroup { rule: RULE, lens: lens.to_vec() }];
        let mut optimizer = GpuGroupOptimizer::new(&gpu, &groups)?.with_precision(precision);
        let (params, grads) = (&params, &grads);
        let (name, bytes) = (format!("{precision}, {layout}"), step_bytes(case.elements));
        contestants.push(Contestant::new(name, &gpu, bytes, move |encoder| {
            Ok(optimizer.record(encoder, params, grads)?)
        }));
    }
    bench.compare(case, &mut contestants, &[Mode::Device, Mode::Queued])
}

/// An optimizer for each tensor, all recorded into one encoder.
fn each_alone(bench: &mut Bench, case: &Case, lens: &[usize]) -> Result<()> {
    let gpu = bench.gpu.clone();
    let (params, grads) = (in_own_buffers(&gpu, lens)?, in_own_buffers(&gpu, lens)?);
    let mut contestants = Vec::new();
    for precision in [Precision::Native, Precision::Exact] {
        let mut optimizers = Vec::new();
        for &len in lens {
            optimizers.push(GpuOptimizer::new(&gpu, RULE, len)?.with_precision(precision));
        }
        let (params, grads) = (&params, &grads);
        let name = format!("{precision}, an optimizer for each");
        contestants.push(Contestant::new(name, &gpu, step_bytes(case.elements), move |encoder| {
            for (optimizer, (params, grads)) in optimizers.iter_mut().zip(params.iter().zip(grads))
            {
                optimizer.record(encoder, params, grads)?;
            }
            Ok(())
        }));
    }
    bench.compare(case, &mut contestants, &[Mode::Device, Mode::Queued])
}
