//! What a guard over the gradients costs beside the same step without.

use wgpu_optim::{GpuOptimizer, GradientGuard, NonFinite, Precision};

use super::{RULE, step_bytes};
use crate::Result;
use crate::device::check_room;
use crate::timing::{Bench, Case, Contestant, Mode};
use crate::traffic::values;

const SIZES: [usize; 2] = [1 << 20, 1 << 24];
const QUICK_SIZES: [usize; 1] = [1 << 16];
/// The guards of benches/step.rs.
const GUARDS: [(&str, NonFinite, Option<f32>); 5] = [
    ("no guard", NonFinite::Propagate, None),
    ("skip element", NonFinite::SkipElement, None),
    ("skip step", NonFinite::SkipStep, None),
    ("clip", NonFinite::Propagate, Some(1.0)),
    ("clip, skip element", NonFinite::SkipElement, Some(1.0)),
];

pub(super) fn measure(bench: &mut Bench) -> Result<()> {
    let sizes = if bench.quick { &QUICK_SIZES[..] } else { &SIZES };
    bench.expect(sizes.len());
    for &len in sizes {
        bench.case(&Case::new("one tensor", len), guards)?;
    }
    Ok(())
}

fn guards(bench: &mut Bench, case: &Case) -> Result<()> {
    let (gpu, len) = (bench.gpu.clone(), case.elements);
    check_room(&gpu, 3 * 4 * len as u64)?;
    let host = values(len);
    let (params, grads) = (gpu.upload(&host)?, gpu.upload(&host)?);
    let state = [gpu.zeros(len)?];
    let mut contestants = Vec::new();
    for precision in [Precision::Native, Precision::Exact] {
        for (guard, non_finite, max_norm) in GUARDS {
            let mut optimizer = GpuOptimizer::over_state(&gpu, RULE, len, &state)?
                .with_precision(precision)
                .with_guard(GradientGuard { non_finite, max_norm })?;
            let (params, grads) = (&params, &grads);
            let name = format!("{precision}, {guard}");
            contestants.push(Contestant::new(name, &gpu, step_bytes(len), move |encoder| {
                Ok(optimizer.record(encoder, params, grads)?)
            }));
        }
    }
    bench.compare(case, &mut contestants, &[Mode::Device, Mode::Queued])
}
