//! Steps over rows on wgpu's noop device, which runs no kernel: refusals, and that a refused call
//! changes nothing.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use wgpu_optim::numerics::Real;
use wgpu_optim::rules::Square;
use wgpu_optim::{
    Adagrad, Adam, CpuError, CpuOptimizer, Gpu, GpuOptimizer, GpuVec, GradientGuard, NonFinite,
    RmsProp, RowsError, Rule, RuleError, Sgd, StepError, WeightDecay, wgpu,
};

fn noop(limits: wgpu::Limits) -> Gpu {
    let descriptor =
        wgpu::DeviceDescriptor { required_limits: limits, ..wgpu::DeviceDescriptor::default() };
    let (device, queue) = wgpu::Device::noop(&descriptor);
    Gpu::from_wgpu(device, queue)
}

fn gpu() -> Gpu {
    noop(wgpu::Limits::default())
}

/// Both engines refuse the same calls with the same messages.
#[test]
fn both_engines_give_the_same_messages() {
    let gpu = gpu();
    let mut optimizer = GpuOptimizer::new(&gpu, Adagrad::default(), 12).unwrap();
    let mut reference = CpuOptimizer::new(Adagrad::default(), 12).unwrap();
    let params = gpu.zeros(12).unwrap();
    let mut refused = |gradients: usize, indices: &[u32]| {
        let row_gradients = gpu.zeros(gradients).unwrap();
        let error = optimizer.step_rows(&params, &row_gradients, indices).unwrap_err();
        let on_cpu = reference.step_rows(&mut [0.0; 12], &vec![0.0; gradients], indices);
        assert_eq!(error.to_string(), on_cpu.unwrap_err().to_string());
        assert_eq!((optimizer.steps(), reference.steps()), (0, 0));
        error
    };
    assert_eq!(refused(6, &[0, 4]), RowsError::Index { at: 1, row: 4, rows: 4 }.into());
    for (gradients, indices) in [(5, 2), (10, 2), (3, 0), (13, 1)] {
        let expected = RowsError::Width { gradients, indices, len: 12 }.into();
        assert_eq!(refused(gradients, &vec![0; indices]), expected);
    }
    optimizer.step_rows(&params, &gpu.zeros(6).unwrap(), &[0, 3]).unwrap();
    assert_eq!(optimizer.steps(), 1);
}

#[test]
fn a_guard_that_scans_gradients_works_with_rows() {
    let gpu = gpu();
    let (params, grads) = (gpu.zeros(4).unwrap(), gpu.zeros(4).unwrap());
    for (non_finite, max_norm) in
        [(NonFinite::SkipElement, None), (NonFinite::Propagate, Some(1.0))]
    {
        let guard = GradientGuard { non_finite, max_norm };
        let optimizer = GpuOptimizer::new(&gpu, Adagrad::default(), 4).unwrap();
        let mut optimizer = optimizer.with_guard(guard).unwrap();
        optimizer.step_rows(&params, &grads, &[0]).unwrap();
        assert_eq!(optimizer.steps(), 1);
    }
}

#[test]
fn vectors_that_do_not_fit_the_step_are_refused() {
    let gpu = gpu();
    let mut optimizer = GpuOptimizer::new(&gpu, Adagrad::default(), 8).unwrap();
    let (params, grads) = (gpu.zeros(8).unwrap(), gpu.zeros(4).unwrap());
    let mut refused = |params: &GpuVec, grads: &GpuVec| {
        let error = optimizer.step_rows(params, grads, &[1]).unwrap_err();
        assert_eq!(optimizer.steps(), 0);
        error
    };
    let error = StepError::Length { vector: "params", found: 4, expected: 8 };
    assert_eq!(refused(&grads, &grads), error);
    let overlap = |byte| StepError::Overlap { first: "params", second: "row_gradients", byte };
    assert_eq!(refused(&params, &params.slice(4..8).unwrap()), overlap(16));
    let there = self::gpu().zeros(4).unwrap();
    assert_eq!(refused(&params, &there), StepError::ForeignDevice { vector: "row_gradients" });
    let gone = gpu.zeros(4).unwrap();
    gone.buffers().for_each(|(buffer, _)| buffer.destroy());
    assert!(matches!(refused(&params, &gone), StepError::ForeignBuffer { .. }));
    let mut encoder = gpu.device().create_command_encoder(&Default::default());
    optimizer.record_rows(&mut encoder, &params, &grads, &[1]).unwrap();
    gpu.queue().submit([encoder.finish()]);
    assert_eq!(optimizer.steps(), 1);
}

/// A step over rows binds a list of rows where a step over all elements binds its blocks.
#[test]
fn too_few_storage_buffers_are_named() {
    let limits = wgpu::Limits { max_storage_buffers_per_shader_stage: 4, ..Default::default() };
    let gpu = noop(limits);
    let limit = "max_storage_buffers_per_shader_stage";
    let expected = StepError::Limit { limit, needed: 5, allowed: 4 };
    assert_eq!(GpuOptimizer::new(&gpu, Adam::default(), 4).unwrap_err(), expected);
    let (params, grads) = (gpu.zeros(4).unwrap(), gpu.zeros(4).unwrap());
    let mut optimizer = GpuOptimizer::new(&gpu, Adagrad::default(), 4).unwrap();
    optimizer.step_rows(&params, &grads, &[0]).unwrap();
    optimizer.step(&params, &grads).unwrap();
}

/// The kernel of means needs eight invocations a row, and 64 partial sums of 16 bytes.
#[test]
fn workgroups_too_small_for_means_are_named() {
    let enough = wgpu::Limits::default();
    let few = wgpu::Limits { max_compute_invocations_per_workgroup: 7, ..enough.clone() };
    let narrow = wgpu::Limits { max_compute_workgroup_size_x: 7, ..enough.clone() };
    let small = wgpu::Limits { max_compute_workgroup_storage_size: 1008, ..enough };
    for (limits, limit, needed, allowed) in [
        (few, "max_compute_invocations_per_workgroup", 8, 7),
        (narrow, "max_compute_workgroup_size_x", 8, 7),
        (small, "max_compute_workgroup_storage_size", 1024, 1008),
    ] {
        let gpu = noop(limits);
        let (params, grads) = (gpu.zeros(12).unwrap(), gpu.zeros(2).unwrap());
        let mut optimizer = GpuOptimizer::row_wise(&gpu, Adagrad::default(), 6, 2).unwrap();
        let expected = StepError::Limit { limit, needed, allowed };
        assert_eq!(optimizer.step_rows(&params, &grads, &[3]), Err(expected));
        assert_eq!(optimizer.steps(), 0);
        let mut own = GpuOptimizer::new(&gpu, Adagrad::default(), 12).unwrap();
        own.step_rows(&params, &grads, &[3]).unwrap();
    }
}

/// A caller's own rule with the maximum number of state vectors, all of which rows can share.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Shares;

impl Rule for Shares {
    const NAME: &'static str = "shares";
    const STATE: &'static [&'static str] = &["a", "b", "c"];
    const SHADER: &'static str = "
        struct Hyper { unused: vec4<u32>, }
        fn update(hyper: Hyper, x: Real, gradient: Real, state: ptr<function, State>) -> Real {
            (*state).a = add((*state).a, square(gradient));
            (*state).b = add((*state).b, (*state).a);
            (*state).c = add((*state).c, (*state).b);
            return sub(x, gradient);
        }";

    type State<T: Real> = [T; 3];
    type Uniforms = [u32; 4];

    fn can_share(&self, _: usize) -> bool {
        true
    }

    fn initial_state(&self) -> [f32; 3] {
        [0.0; 3]
    }

    fn learning_rate(&self) -> f32 {
        1.0
    }

    fn set_learning_rate(&mut self, _: f32) {}

    fn uniforms_at(&self, _: u64, _: f64) -> [u32; 4] {
        [0; 4]
    }

    fn constants(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    fn update<T: Real>(
        &self,
        _: &[u32; 4],
        x: T,
        gradient: T,
        square: impl Square<T>,
        [a, b, c]: &mut [T; 3],
    ) -> T {
        *a = *a + square.of(gradient);
        *b = *b + *a;
        *c = *c + *b;
        x - gradient
    }
}

/// The list of 340 named rows has 1022 words, of the 1024 that a binding holds. Their shared state
/// has 1360 words.
#[test]
fn what_rows_share_fits_its_binding() {
    let limits = wgpu::Limits { max_storage_buffer_binding_size: 4096, ..Default::default() };
    let gpu = noop(limits);
    let (params, grads) = (gpu.zeros(800).unwrap(), gpu.zeros(680).unwrap());
    let mut optimizer = GpuOptimizer::row_wise(&gpu, Shares, 400, 2).unwrap();
    optimizer.step_rows(&params, &grads, &Vec::from_iter(0..340)).unwrap();
    assert_eq!(optimizer.steps(), 1);
}

/// Both engines refuse rows of another length than that of a row-wise optimizer.
#[test]
fn a_row_wise_optimizer_takes_rows_of_its_length_only() {
    let gpu = gpu();
    let mut optimizer = GpuOptimizer::row_wise(&gpu, Adagrad::default(), 6, 2).unwrap();
    let mut reference = CpuOptimizer::row_wise(Adagrad::default(), 6, 2).unwrap();
    assert_eq!((optimizer.state(0).len(), reference.state(0).len()), (6, 6));
    assert_eq!((optimizer.row_width(), reference.row_width()), (Some(2), Some(2)));
    let (params, mut host) = (gpu.zeros(12).unwrap(), [0.0; 12]);
    // Rows of 3 would fit the table.
    let error = RowsError::OtherWidth { found: 3, width: 2 };
    let refused = optimizer.step_rows(&params, &gpu.zeros(3).unwrap(), &[3]);
    assert_eq!(refused, Err(error.clone().into()));
    let refused = reference.step_rows(&mut host, &[0.0; 3], &[3]);
    assert_eq!(refused, Err(error.into()));
    assert_eq!((optimizer.steps(), reference.steps()), (0, 0));
    optimizer.step_rows(&params, &gpu.zeros(4).unwrap(), &[5, 0]).unwrap();
    reference.step_rows(&mut host, &[], &[]).unwrap();
    assert_eq!((optimizer.steps(), reference.steps()), (1, 1));

    let adam = GpuOptimizer::row_wise(&gpu, Adam::default(), 6, 2).unwrap();
    assert_eq!((adam.state(0).len(), adam.state(1).len()), (12, 6));
}

#[test]
fn rules_without_shared_state_cannot_be_row_wise() {
    let gpu = gpu();
    let decayed = Adagrad { weight_decay: WeightDecay::L2(0.1), ..Adagrad::default() };
    let centred = RmsProp { centered: true, ..RmsProp::default() };
    let refused = [
        GpuOptimizer::row_wise(&gpu, Sgd::default(), 6, 2).err(),
        GpuOptimizer::row_wise(&gpu, decayed, 6, 2).err(),
        GpuOptimizer::row_wise(&gpu, centred, 6, 2).err(),
    ];
    for (error, rule) in refused.into_iter().zip(["sgd", "adagrad", "rmsprop"]) {
        assert_eq!(error, Some(StepError::Rule(RuleError::NotRowWise { rule })));
    }
    let on_cpu = CpuOptimizer::row_wise(decayed, 6, 2).err();
    assert_eq!(on_cpu, Some(CpuError::Rule(RuleError::NotRowWise { rule: "adagrad" })));
    let no_width = GpuOptimizer::row_wise(&gpu, Adagrad::default(), 6, 0).err();
    assert_eq!(no_width, Some(RowsError::Empty.into()));
    let on_cpu = CpuOptimizer::row_wise(Adagrad::default(), 6, 0).err();
    assert_eq!(on_cpu, Some(RowsError::Empty.into()));
    assert!(CpuOptimizer::row_wise(Adagrad::default(), usize::MAX, 2).is_err());
    assert!(GpuOptimizer::row_wise(&gpu, Adagrad::default(), usize::MAX, 2).is_err());
}
