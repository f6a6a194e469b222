//! Refusals on wgpu's noop device, and that a refused call changes nothing. The noop device stores
//! buffers and validates calls, but runs no kernel.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use wgpu_optim::{
    Adagrad, AnyRule, DownloadError, Gpu, GpuOptimizer, GpuVec, GradientGuard, GuardReport,
    NonFinite, Rule, RuleError, StepError, VectorError, wgpu, with_rule,
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

fn buffer(gpu: &Gpu, size: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
    let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
    gpu.device().create_buffer(&descriptor)
}

const ALL: wgpu::BufferUsages = wgpu::BufferUsages::STORAGE
    .union(wgpu::BufferUsages::COPY_SRC)
    .union(wgpu::BufferUsages::COPY_DST);

#[test]
fn views_are_checked_where_they_are_made() {
    let gpu = gpu();
    let theirs = buffer(&gpu, 64, ALL);
    assert_eq!(GpuVec::from_buffer(&theirs, 0, 0), Err(VectorError::Empty));
    assert_eq!(GpuVec::from_buffer(&theirs, 6, 1), Err(VectorError::Misaligned { offset: 6 }));
    let past = VectorError::OutOfRange { start: 8, end: 17, available: 16 };
    assert_eq!(GpuVec::from_buffer(&theirs, 32, 9), Err(past));
    let huge = GpuVec::from_buffer(&theirs, u64::MAX - 3, usize::MAX).unwrap_err();
    assert!(matches!(huge, VectorError::OutOfRange { .. }));
    let plain = buffer(&gpu, 64, wgpu::BufferUsages::COPY_DST);
    let missing = wgpu::BufferUsages::STORAGE;
    assert_eq!(GpuVec::from_buffer(plain, 0, 4), Err(VectorError::MissingUsage { missing }));
    assert_eq!(GpuVec::from_buffer(theirs, 32, 8).unwrap().len(), 8);
    assert_eq!(gpu.upload(&[]), Err(VectorError::Empty));
    assert_eq!(GpuVec::concatenate([]), Err(VectorError::Empty));
}

#[test]
fn slices_share_memory_and_are_checked() {
    let gpu = gpu();
    let vector = gpu.upload(&[1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
    let slice = vector.slice(1..4).unwrap();
    gpu.write(&slice, &[20.0, 30.0, 40.0]).unwrap();
    assert_eq!(vector.download_blocking(&gpu).unwrap(), [1.0, 20.0, 30.0, 40.0, 5.0]);
    let past = VectorError::OutOfRange { start: 3, end: 6, available: 5 };
    assert_eq!(vector.slice(3..6), Err(past));
    assert_eq!(vector.slice(2..2), Err(VectorError::Empty));
    let short = gpu.write(&slice, &[1.0]);
    assert_eq!(short, Err(VectorError::Length { found: 1, expected: 3 }));
}

#[test]
fn vectors_larger_than_a_buffer_are_split() {
    let gpu = noop(wgpu::Limits { max_buffer_size: 1000, ..wgpu::Limits::default() });
    let host: Vec<f32> = (0..600_u16).map(f32::from).collect();
    let vector = gpu.upload(&host).unwrap();
    // 1000 bytes hold 62 groups of four.
    let sizes: Vec<_> = vector.buffers().map(|(_, bytes)| bytes).collect();
    assert_eq!(sizes, [0..992, 0..992, 0..416]);
    assert_eq!(vector.download_blocking(&gpu).unwrap(), host);
    let middle = vector.slice(240..260).unwrap();
    assert_eq!(middle.download_blocking(&gpu).unwrap(), host[240..260]);
    let error = gpu.zeros(600).and_then(|_| GpuVec::concatenate([]));
    assert_eq!(error, Err(VectorError::Empty));
}

#[test]
fn an_initial_accumulator_fills_the_state() {
    let gpu = gpu();
    let rule = Adagrad { initial_accumulator: 0.1, ..Adagrad::default() };
    let optimizer = GpuOptimizer::new(&gpu, rule, 7).unwrap();
    assert_eq!(optimizer.state(0).download_blocking(&gpu).unwrap(), [0.1; 7]);
}

/// For every choice of formula: the state starts at the rule's values, no state vector may be
/// passed as parameters or gradients, and a device that cannot bind the state is refused.
#[test]
fn the_state_of_every_rule_is_checked() {
    for rule in AnyRule::examples() {
        with_rule!(rule, |rule| state_of(rule));
    }
}

fn state_of<R: Rule>(rule: R) {
    let gpu = gpu();
    let mut optimizer = GpuOptimizer::new(&gpu, rule, 7).unwrap();
    let (params, grads) = (gpu.zeros(7).unwrap(), gpu.zeros(7).unwrap());
    let initial = rule.initial_state();
    let initial = initial.as_ref().iter().enumerate().filter(|(k, _)| rule.uses_state(*k));
    let names = rule.state_names();
    assert_eq!(optimizer.state_count(), names.len());
    for (k, (&name, (_, &value))) in names.iter().zip(initial).enumerate() {
        let state = optimizer.state(k).clone();
        assert_eq!(state.download_blocking(&gpu).unwrap(), [value; 7], "{name}, {rule:?}");
        // State may share its buffer with that of other optimizers.
        let byte = state.buffers().next().unwrap().1.start;
        let overlap = |first| StepError::Overlap { first, second: name, byte };
        assert_eq!(optimizer.step(&params, &state), Err(overlap("grads")));
        assert_eq!(optimizer.step(&state, &grads), Err(overlap("params")));
    }
    assert_eq!(optimizer.steps(), 0);
    optimizer.step(&params, &grads).unwrap();

    // Blocks, parameters and gradients, besides the state.
    let needed = 3 + names.len() as u64;
    let few = wgpu::Limits {
        max_storage_buffers_per_shader_stage: needed as u32 - 1,
        ..wgpu::Limits::default()
    };
    let error = GpuOptimizer::new(&noop(few), rule, 4).unwrap_err();
    let limit = "max_storage_buffers_per_shader_stage";
    assert_eq!(error, StepError::Limit { limit, needed, allowed: needed - 1 }, "{rule:?}");
}

#[test]
fn hyper_parameters_are_checked_when_an_optimizer_is_made() {
    let gpu = gpu();
    let rule = Adagrad { epsilon: -1.0, ..Adagrad::default() };
    let error = GpuOptimizer::new(&gpu, rule, 4).unwrap_err();
    let expected = RuleError::NotFiniteOrNegative { parameter: "epsilon", value: -1.0 };
    assert_eq!(error, StepError::Rule(expected));
    let mut optimizer = GpuOptimizer::new(&gpu, Adagrad::default(), 4).unwrap();
    optimizer.set_learning_rate(f32::INFINITY).unwrap_err();
    assert_eq!(*optimizer.rule(), Adagrad::default());
    optimizer.set_learning_rate(0.5).unwrap();
    assert_eq!(optimizer.rule().learning_rate, 0.5);
    let none = GpuOptimizer::new(&gpu, Adagrad::default(), 0).unwrap_err();
    assert_eq!(none, StepError::State(VectorError::Empty));
}

/// After each refusal, the same optimizer still steps.
#[test]
fn a_refused_step_changes_nothing() {
    let gpu = gpu();
    let mut optimizer = GpuOptimizer::new(&gpu, Adagrad::default(), 8).unwrap();
    let (params, grads) = (gpu.zeros(8).unwrap(), gpu.zeros(8).unwrap());
    let short = gpu.zeros(7).unwrap();
    let expected = StepError::Length { vector: "grads", found: 7, expected: 8 };
    assert_eq!(optimizer.step(&params, &short), Err(expected));
    let expected = StepError::Length { vector: "params", found: 7, expected: 8 };
    assert_eq!(optimizer.step(&short, &grads), Err(expected));

    let arena = buffer(&gpu, 256, ALL);
    let view = |offset| GpuVec::from_buffer(&arena, offset, 8).unwrap();
    let expected = StepError::Overlap { first: "params", second: "grads", byte: 60 };
    assert_eq!(optimizer.step(&view(32), &view(60)), Err(expected));
    let expected = StepError::Overlap { first: "params", second: "grads", byte: 0 };
    assert_eq!(optimizer.step(&view(0), &view(0)), Err(expected));
    let state = optimizer.state(0).clone();
    let expected = StepError::Overlap { first: "grads", second: "accumulator", byte: 0 };
    assert_eq!(optimizer.step(&params, &state), Err(expected));
    let half = gpu.zeros(4).unwrap();
    let twice = GpuVec::concatenate([half.clone(), half]).unwrap();
    let expected = StepError::Overlap { first: "params", second: "params", byte: 0 };
    assert_eq!(optimizer.step(&twice, &grads), Err(expected));

    let mut encoder = gpu.device().create_command_encoder(&Default::default());
    assert!(optimizer.record(&mut encoder, &params, &short).is_err());
    assert_eq!(optimizer.steps(), 0);
    optimizer.step(&params, &grads).unwrap();
    optimizer.step(&view(0), &view(32)).unwrap();
    optimizer.record(&mut encoder, &params, &grads).unwrap();
    assert_eq!(optimizer.steps(), 3);
}

/// Two noop devices give their buffers the same numbers. A vector knows its device.
#[test]
fn a_vector_of_another_instance_is_refused_even_if_the_numbers_agree() {
    let (here, there) = (gpu(), gpu());
    let vectors = |gpu: &Gpu| (gpu.zeros(8).unwrap(), gpu.zeros(8).unwrap());
    let ((params, grads), (_, foreign)) = (vectors(&here), vectors(&there));
    let mut optimizer = GpuOptimizer::new(&here, Adagrad::default(), 8).unwrap();
    optimizer.step(&params, &grads).unwrap();
    let expected = StepError::ForeignDevice { vector: "grads" };
    assert_eq!(optimizer.step(&params, &foreign), Err(expected));
    assert_eq!(foreign.download_blocking(&here), Err(DownloadError::ForeignDevice));
    assert_eq!(here.write(&foreign, &[0.0; 8]), Err(VectorError::ForeignDevice));
    // Two wrappers of one device are the same device.
    let again = Gpu::from_wgpu(here.device().clone(), here.queue().clone());
    optimizer.step(&params, &again.zeros(8).unwrap()).unwrap();
    assert_eq!(optimizer.steps(), 2);
}

#[test]
fn usage_flags_are_named() {
    let gpu = gpu();
    let only_storage = buffer(&gpu, 32, wgpu::BufferUsages::STORAGE);
    let vector = GpuVec::from_buffer(only_storage, 0, 8).unwrap();
    let missing = wgpu::BufferUsages::COPY_SRC;
    assert_eq!(vector.download_blocking(&gpu), Err(DownloadError::MissingUsage { missing }));
    let missing = wgpu::BufferUsages::COPY_DST;
    assert_eq!(gpu.write(&vector, &[0.0; 8]), Err(VectorError::MissingUsage { missing }));
    assert_eq!(gpu.fill(&vector, 1.0), Err(VectorError::MissingUsage { missing }));
}

#[test]
fn limits_that_are_too_low_are_named() {
    let few = wgpu::Limits { max_storage_buffers_per_shader_stage: 3, ..wgpu::Limits::default() };
    let error = GpuOptimizer::new(&noop(few), Adagrad::default(), 4).unwrap_err();
    let limit = "max_storage_buffers_per_shader_stage";
    assert_eq!(error, StepError::Limit { limit, needed: 4, allowed: 3 });
    let small = wgpu::Limits { max_storage_buffer_binding_size: 128, ..wgpu::Limits::default() };
    let error = GpuOptimizer::new(&noop(small), Adagrad::default(), 4).unwrap_err();
    let limit = "max_storage_buffer_binding_size";
    assert_eq!(error, StepError::Limit { limit, needed: 272, allowed: 128 });
}

/// wgpu silently drops commands for a lost device. No call of ours panics, and each reports the
/// loss. A call that only records reports it after at most 128 calls.
#[test]
fn a_lost_device_is_an_error_and_never_a_panic() {
    let gpu = gpu();
    // Each wrapper of the device finds the loss by itself.
    let again = || Gpu::from_wgpu(gpu.device().clone(), gpu.queue().clone());
    let (params, grads) = (gpu.upload(&[1.0; 4]).unwrap(), gpu.upload(&[1.0; 4]).unwrap());
    let optimizer = |gpu: &Gpu| {
        let mut optimizer = GpuOptimizer::new(gpu, Adagrad::default(), 4).unwrap();
        optimizer.step(&params, &grads).unwrap();
        optimizer
    };
    let [mut stepped, mut recorded] = [optimizer(&again()), optimizer(&again())];
    let handles = [(); 5].map(|()| again());
    assert!(!gpu.is_lost());
    gpu.device().destroy();
    assert_eq!(stepped.step(&params, &grads), Err(StepError::DeviceLost));
    let noticed = (0..128).any(|_| {
        let mut encoder = gpu.device().create_command_encoder(&Default::default());
        recorded.record(&mut encoder, &params, &grads) == Err(StepError::DeviceLost)
    });
    assert!(noticed);
    assert_eq!(params.download_blocking(&handles[0]), Err(DownloadError::DeviceLost));
    assert_eq!(handles[1].upload(&[1.0; 4]), Err(VectorError::DeviceLost));
    assert_eq!(handles[2].write(&params, &[1.0; 4]), Err(VectorError::DeviceLost));
    assert_eq!(handles[3].wait_blocking(), Err(DownloadError::DeviceLost));
    assert!(handles[4].is_lost());
    for rate in 1..100_u8 {
        stepped.set_learning_rate(rate.into()).unwrap();
        assert_eq!(stepped.step(&params, &grads), Err(StepError::DeviceLost));
    }
    assert_eq!(stepped.steps(), 1);
}

/// A fault of the caller's buffer, not of the device.
#[test]
fn an_invalid_buffer_is_refused_and_the_device_stays_usable() {
    let gpu = gpu();
    let scope = gpu.device().push_error_scope(wgpu::ErrorFilter::Validation);
    // Larger than any buffer of this device may be.
    let invalid = buffer(&gpu, 1 << 40, ALL);
    assert!(pollster::block_on(scope.pop()).is_some());
    let view = GpuVec::from_buffer(&invalid, 0, 8).unwrap();
    let mut optimizer = GpuOptimizer::new(&gpu, Adagrad::default(), 8).unwrap();
    let (params, grads) = (gpu.zeros(8).unwrap(), gpu.zeros(8).unwrap());
    for (params, grads) in [(&view, &grads), (&params, &view)] {
        let error = optimizer.step(params, grads).unwrap_err();
        assert!(matches!(error, StepError::ForeignBuffer { .. }), "{error}");
    }
    assert!(matches!(gpu.write(&view, &[0.0; 8]), Err(VectorError::Rejected { .. })));
    assert!(matches!(view.download_blocking(&gpu), Err(DownloadError::Rejected { .. })));
    assert!(!gpu.is_lost());
    optimizer.step(&params, &grads).unwrap();
    assert_eq!(optimizer.steps(), 1);
}

/// A vector larger than any device's memory is refused before the first buffer is created.
#[test]
fn a_vector_that_no_device_can_hold_is_refused_at_once() {
    let gpu = noop(wgpu::Limits { max_buffer_size: 1 << 20, ..wgpu::Limits::default() });
    let start = std::time::Instant::now();
    let all = VectorError::OutOfMemory { bytes: u64::MAX };
    assert_eq!(gpu.zeros(usize::MAX), Err(all.clone()));
    let many = VectorError::OutOfMemory { bytes: 4 << 43 };
    assert_eq!(gpu.zeros(1 << 43), Err(many));
    let error = GpuOptimizer::new(&gpu, Adagrad::default(), usize::MAX).unwrap_err();
    assert_eq!(error, StepError::State(all));
    assert!(start.elapsed().as_secs_f64() < 1.0);
}

/// A buffer whose number this instance has never assigned.
#[test]
fn a_view_of_another_instance_is_an_error_and_never_a_panic() {
    let (here, there) = (gpu(), gpu());
    let foreign: Vec<_> = (0..300).map(|_| buffer(&there, 64, ALL)).collect();
    let view = GpuVec::from_buffer(&foreign[299], 0, 16).unwrap();
    assert!(matches!(here.write(&view, &[0.0; 16]), Err(VectorError::Rejected { .. })));
    assert!(matches!(view.download_blocking(&here), Err(DownloadError::Rejected { .. })));
    let mut optimizer = GpuOptimizer::new(&here, Adagrad::default(), 16).unwrap();
    let grads = here.zeros(16).unwrap();
    let error = optimizer.step(&view, &grads).unwrap_err();
    assert!(matches!(error, StepError::ForeignBuffer { .. }), "{error}");
    let params = here.zeros(16).unwrap();
    let mut encoder = there.device().create_command_encoder(&Default::default());
    assert!(optimizer.record(&mut encoder, &params, &grads).is_err());
    assert_eq!(optimizer.steps(), 0);
}

#[test]
fn a_fill_that_is_refused_writes_nothing() {
    let gpu = gpu();
    let ours = gpu.zeros(20 << 20).unwrap();
    let theirs = buffer(&gpu, 64, wgpu::BufferUsages::STORAGE);
    let both =
        GpuVec::concatenate([ours.clone(), GpuVec::from_buffer(theirs, 0, 16).unwrap()]).unwrap();
    let missing = wgpu::BufferUsages::COPY_DST;
    assert_eq!(gpu.fill(&both, 7.0), Err(VectorError::MissingUsage { missing }));
    assert_eq!(ours.slice(0..4).unwrap().download_blocking(&gpu).unwrap(), [0.0; 4]);
    // A fill that takes several transfers reaches the end.
    gpu.fill(&ours, 7.0).unwrap();
    let end = ours.slice((20 << 20) - 2..20 << 20).unwrap();
    assert_eq!(end.download_blocking(&gpu).unwrap(), [7.0; 2]);
}

#[test]
fn limits_that_leave_no_uniforms_are_an_error() {
    let none = wgpu::Limits {
        max_dynamic_uniform_buffers_per_pipeline_layout: 0,
        ..wgpu::Limits::default()
    };
    let gpu = noop(none);
    let (params, grads) = (gpu.zeros(4).unwrap(), gpu.zeros(4).unwrap());
    let mut optimizer = GpuOptimizer::new(&gpu, Adagrad::default(), 4).unwrap();
    assert!(matches!(optimizer.step(&params, &grads), Err(StepError::Rejected { .. })));
}

/// Handles can be sent to other threads and shared between them.
#[test]
fn handles_are_send_and_sync() {
    fn check<T: Send + Sync>() {}
    check::<Gpu>();
    check::<GpuVec>();
    check::<GpuOptimizer<Adagrad>>();
    check::<StepError>();
}

/// A refusal names its reason. A device that cannot run a guard still steps without one.
#[test]
fn a_guard_is_checked_where_it_is_set() {
    let gpu = gpu();
    let guard = GradientGuard { max_norm: Some(-1.0), ..GradientGuard::default() };
    let wrong = RuleError::NotFiniteOrNotPositive { parameter: "max_norm", value: -1.0 };
    let make = |gpu: &Gpu| GpuOptimizer::new(gpu, Adagrad::default(), 10_000).unwrap();
    let error = make(&gpu).with_guard(guard).unwrap_err();
    assert_eq!(error, StepError::Rule(wrong));
    let skip = GradientGuard { non_finite: NonFinite::SkipStep, max_norm: None };
    // A guard needs one buffer more than Adagrad's three vectors and their blocks, and a third bind
    // group.
    let few = wgpu::Limits { max_storage_buffers_per_shader_stage: 4, ..wgpu::Limits::default() };
    let error = make(&noop(few)).with_guard(skip).unwrap_err();
    let limit = "max_storage_buffers_per_shader_stage";
    assert_eq!(error, StepError::Limit { limit, needed: 5, allowed: 4 });
    let two = noop(wgpu::Limits { max_bind_groups: 2, ..wgpu::Limits::default() });
    let error = make(&two).with_guard(skip).unwrap_err();
    assert_eq!(error, StepError::Limit { limit: "max_bind_groups", needed: 3, allowed: 2 });
    // The default guard needs neither.
    let mut optimizer = make(&two).with_guard(GradientGuard::default()).unwrap();
    optimizer.step(&two.zeros(10_000).unwrap(), &two.zeros(10_000).unwrap()).unwrap();
    assert_eq!(optimizer.report_blocking(), Ok(GuardReport::default()));
}

#[test]
fn a_guarded_step_that_is_refused_changes_nothing() {
    let gpu = gpu();
    let guard = GradientGuard { non_finite: NonFinite::Report, max_norm: Some(1.0) };
    let optimizer = GpuOptimizer::new(&gpu, Adagrad::default(), 10_000).unwrap();
    let mut optimizer = optimizer.with_guard(guard).unwrap();
    assert_eq!(*optimizer.guard(), guard);
    let (params, grads) = (gpu.zeros(10_000).unwrap(), gpu.zeros(10_000).unwrap());
    let error = optimizer.step(&params, &gpu.zeros(9_999).unwrap()).unwrap_err();
    assert!(matches!(error, StepError::Length { .. }));
    assert_eq!(optimizer.steps(), 0);
    optimizer.step(&params, &grads).unwrap();
    assert_eq!(optimizer.steps(), 1);
    // The noop device runs nothing, so the report is still the initial one.
    assert_eq!(optimizer.check_gradients_blocking(), Ok(GuardReport::default()));
    optimizer.clear_report().unwrap();
}
