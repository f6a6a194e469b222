//! Property tests: lengths, offsets and hyper-parameters drawn at random.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use wgpu_optim::{Adagrad, EpsilonPlacement, GpuOptimizer, GpuVec, WeightDecay, wgpu};

use crate::Check;
use crate::driver::Driver;
use crate::reference::{Reference, values};

pub(crate) const CHECKS: &[Check] =
    &[("any length, offset and hyper-parameters agree with the CPU engine", any_step)];

fn rules() -> impl Strategy<Value = Adagrad> {
    let rate = prop_oneof![Just(0.0_f32), 1e-6_f32..10.0];
    let epsilon = prop_oneof![Just(f32::MIN_POSITIVE), 1e-10_f32..1e-2, 0.1_f32..10.0];
    let placement =
        prop_oneof![Just(EpsilonPlacement::InsideRoot), Just(EpsilonPlacement::OutsideRoot)];
    let decay = prop_oneof![
        Just(WeightDecay::None),
        (0.0_f32..1.0).prop_map(WeightDecay::L2),
        (0.0_f32..1.0).prop_map(WeightDecay::Decoupled),
    ];
    let initial = prop_oneof![Just(0.0_f32), 1e-3_f32..10.0];
    (rate, epsilon, placement, initial, 0.0_f32..1.0, decay, any::<bool>()).prop_map(
        |(learning_rate, epsilon, epsilon_placement, initial, decay, weight_decay, maximize)| {
            Adagrad {
                learning_rate,
                epsilon,
                epsilon_placement,
                initial_accumulator: initial,
                learning_rate_decay: decay,
                weight_decay,
                maximize,
            }
        },
    )
}

fn any_step(driver: &Driver) {
    let gpu = driver.gpu();
    let cases = (rules(), 1_usize..3000, 0_usize..64, 0_usize..64, any::<u32>());
    // Each new combination of choices compiles a kernel; there are twelve times two.
    let mut runner =
        TestRunner::new(Config { cases: 64, failure_persistence: None, ..Config::default() });
    let result = runner.run(&cases, |(rule, len, params_at, grads_at, seed)| {
        let rule = driver.bounded(rule);
        let (host, gradient) = (values(len, seed, 15), values(len, seed ^ 1, 15));
        let view = |host: &[f32], at: usize| {
            let buffer = gpu.device().create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size: 4 * (at + len) as u64,
                usage: wgpu::BufferUsages::STORAGE
                    | wgpu::BufferUsages::COPY_SRC
                    | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            let vector = GpuVec::from_buffer(buffer, 4 * at as u64, len).unwrap();
            gpu.write(&vector, host).unwrap();
            vector
        };
        let (params, grads) = (view(&host, params_at), view(&gradient, grads_at));
        let mut optimizer = GpuOptimizer::new(gpu, rule, len).unwrap();
        let mut reference = Reference::new(rule, &host);
        optimizer.step(&params, &grads).unwrap();
        reference.step(&gradient);
        let what = format!("{len} elements at {params_at} and {grads_at}, {rule:?}");
        let stepped = params.download_blocking(gpu).unwrap();
        driver.check_params(&what, &reference.params, &stepped, &host);
        let state = optimizer.state(0).download_blocking(gpu).unwrap();
        driver.check_state(&what, reference.optimizer.state(0), &state);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
