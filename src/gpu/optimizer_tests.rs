use super::*;
use crate::{Adagrad, NonFinite};

/// Without a guard there is no pass before the step: one dispatch for an aligned vector of any
/// length.
#[test]
fn only_a_guard_that_scans_adds_dispatches() -> Result<(), Box<dyn std::error::Error>> {
    let gpu = Gpu::noop();
    let clip = Some(1.0);
    let counts = [
        (NonFinite::Propagate, None, [1, 1]),
        // A scan, a decision and the step; above 4096 elements, also a reduction of partials.
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
            assert_eq!(optimizer.core.kept_dispatches(), expected, "{non_finite:?}");
        }
    }
    Ok(())
}

/// Two hundred optimizers need few buffers, because small state and tables share them.
#[test]
#[allow(clippy::mutable_key_type, reason = "a buffer is known by what does not change")]
fn small_optimizers_share_buffers() -> Result<(), Box<dyn std::error::Error>> {
    let gpu = Gpu::noop();
    let (params, grads) = (gpu.zeros(64)?, gpu.zeros(64)?);
    let mut optimizers = Vec::new();
    for _ in 0..200 {
        let mut optimizer = GpuOptimizer::new(&gpu, Adagrad::default(), 64)?;
        optimizer.step(&params, &grads)?;
        optimizers.push(optimizer);
    }
    let buffers: std::collections::HashSet<_> = optimizers
        .iter()
        .flat_map(|optimizer| optimizer.state(0).buffers().map(|(buffer, _)| buffer.clone()))
        .collect();
    assert!(buffers.len() < 10, "{}", buffers.len());
    Ok(())
}
