use super::*;
use crate::{Adagrad, NonFinite};

/// No guard and no pass before the step: one dispatch for an aligned vector of any length.
#[test]
fn only_a_guard_that_scans_adds_dispatches() -> Result<(), Box<dyn std::error::Error>> {
    let (device, queue) = wgpu::Device::noop(&wgpu::DeviceDescriptor::default());
    let gpu = Gpu::from_wgpu(device, queue);
    let clip = Some(1.0);
    let counts = [
        (NonFinite::Propagate, None, [1, 1]),
        // A scan and a decision; past 4096 elements a reduction of their partials.
        (NonFinite::SkipElement, None, [3, 4]),
        (NonFinite::SkipStep, None, [3, 4]),
        (NonFinite::Propagate, clip, [3, 4]),
    ];
    for (non_finite, max_norm, expected) in counts {
        for (len, expected) in [4096, 4097].into_iter().zip(expected) {
            let (params, grads) = (gpu.zeros(len)?, gpu.zeros(len)?);
            let mut optimizer = GpuOptimizer::new(&gpu, Adagrad::default(), len)?;
            if non_finite != NonFinite::Propagate || max_norm.is_some() {
                optimizer = optimizer.with_guard(GradientGuard { non_finite, max_norm })?;
            }
            optimizer.step(&params, &grads)?;
            assert_eq!(optimizer.bindings[0].dispatches.len(), expected, "{non_finite:?}");
        }
    }
    Ok(())
}
