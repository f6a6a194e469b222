//! Held state, which the caller owns: steps have the bits of an optimizer with its own state.

use wgpu_optim::gpu::{GpuStepper, PortableStep, TensorStep};
use wgpu_optim::step::ParamGroup;
use wgpu_optim::wgpu;
use wgpu_optim::{
    Adam, CpuGroupOptimizer, CpuOptimizer, Gpu, GpuGroupOptimizer, GpuOptimizer, GpuVec,
    GradientGuard, GroupError, KernelShape, NonFinite, Precision, Rule, TensorGradient,
    TensorsError, with_rule,
};

use crate::Check;
use crate::driver::{Driver, POISON, USAGES};
use crate::reference::{each_rule, values};

pub(crate) const CHECKS: &[Check] = &[
    ("held: parameters, gradients and state in one buffer, at any offset", one_buffer),
    ("held: each tensor with its own rate and step count, some left out", rates_and_counts),
    ("held: a guard over tensors whose state is held", guarded),
    ("held: tensors that share a gradient, or parts of one", shared_gradients),
    ("held: what does not fit is refused and changes nothing", refused),
    ("held: a step as WGSL that the host launches", portable),
];

/// Vectors with these values in one buffer, one after the other with poison between them, and that
/// buffer.
fn in_one_buffer(gpu: &Gpu, vectors: &[Vec<f32>], gap: usize) -> (Vec<GpuVec>, wgpu::Buffer) {
    let mut content = vec![POISON; gap];
    let mut starts = Vec::new();
    for vector in vectors {
        starts.push(content.len());
        content.extend_from_slice(vector);
        content.resize(content.len() + gap, POISON);
    }
    let buffer = gpu.device().create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: 4 * content.len() as u64,
        usage: USAGES,
        mapped_at_creation: false,
    });
    let whole = GpuVec::from_buffer(&buffer, 0, content.len()).unwrap();
    gpu.write(&whole, &content).unwrap();
    let view = |(start, vector): (&usize, &Vec<f32>)| {
        GpuVec::from_buffer(&buffer, 4 * *start as u64, vector.len()).unwrap()
    };
    (starts.iter().zip(vectors).map(view).collect(), buffer)
}

/// A rule's state vectors with their initial values.
fn initial<R: Rule>(rule: &R, len: usize) -> Vec<Vec<f32>> {
    let first = rule.initial_state();
    let used = (0..R::STATE.len()).filter(|&k| rule.uses_state(k));
    used.map(|k| vec![first.as_ref()[k]; len]).collect()
}

fn one_buffer(driver: &Driver) {
    fn check<R: Rule>(driver: &Driver, rule: R) {
        let gpu = driver.gpu();
        for (len, gap) in [(1, 1), (7, 3), (513, 5), (4096, 64)] {
            let (host, gradient) = (values(len, 3, 5), values(len, 4, 5));
            let mut all = vec![host.clone(), gradient.clone()];
            all.extend(initial(&rule, len));
            let (vectors, buffer) = in_one_buffer(gpu, &all, gap);
            let (params, grads, state) = (&vectors[0], &vectors[1], &vectors[2..]);
            let optimizer = GpuOptimizer::over_state(gpu, rule, len, state).unwrap();
            let mut optimizer = optimizer.with_precision(Precision::Exact);
            let mut reference = CpuOptimizer::new(rule, len).unwrap();
            let mut expected = host;
            for _ in 0..3 {
                optimizer.step(params, grads).unwrap();
                reference.step(&mut expected, &gradient).unwrap();
            }
            let what = format!("{len} elements, {rule:?}");
            driver.check_exact(&what, &expected, &params.download_blocking(gpu).unwrap());
            for (index, vector) in state.iter().enumerate() {
                let found = vector.download_blocking(gpu).unwrap();
                driver.check_exact(&what, reference.state(index), &found);
            }
            let whole = GpuVec::from_buffer(&buffer, 0, buffer.size() as usize / 4).unwrap();
            let whole = whole.download_blocking(gpu).unwrap();
            let poison = whole.iter().filter(|value| value.to_bits() == POISON.to_bits()).count();
            assert_eq!(poison, gap * (all.len() + 1), "{what}: poison was overwritten");
        }
    }
    for rule in each_rule() {
        with_rule!(rule, |rule| check(driver, rule));
    }
}

const LENS: [usize; 4] = [5, 64, 1000, 4097];

fn rates_and_counts(driver: &Driver) {
    let gpu = driver.gpu();
    for rule in Adam::examples() {
        let hosts: Vec<_> = LENS.iter().map(|&len| values(len, 7, 5)).collect();
        let gradients: Vec<_> = LENS.iter().map(|&len| values(len, 9, 5)).collect();
        let upload = |host: &Vec<f32>| gpu.upload(host).unwrap();
        let params: Vec<_> = hosts.iter().map(upload).collect();
        let grads: Vec<_> = gradients.iter().map(upload).collect();
        let state: Vec<Vec<GpuVec>> =
            LENS.iter().map(|&len| initial(&rule, len).iter().map(upload).collect()).collect();
        let mut expected = hosts.clone();
        let reference = |&len: &usize| CpuOptimizer::new(rule, len).unwrap();
        let mut references: Vec<_> = LENS.iter().map(reference).collect();
        let mut stepper = GpuStepper::new(gpu).unwrap().with_precision(Precision::Exact);
        // Tensor k is stepped in every round except number k, with its own learning rate.
        for round in 0..6 {
            let chosen: Vec<_> = (0..LENS.len()).filter(|&tensor| tensor != round).collect();
            let mut steps = Vec::new();
            for &tensor in &chosen {
                let rate = 0.01 * (tensor + 1) as f32 / (round + 1) as f32;
                let own = &mut references[tensor];
                own.set_learning_rate(rate).unwrap();
                own.step(&mut expected[tensor], &gradients[tensor]).unwrap();
                steps.push(TensorStep {
                    rule,
                    learning_rate: f64::from(rate),
                    step: own.steps(),
                    state: state[tensor].clone(),
                });
            }
            let pick = |list: &[GpuVec]| -> Vec<_> {
                chosen.iter().map(|&tensor| list[tensor].clone()).collect()
            };
            stepper.step(&steps, &pick(&params), &pick(&grads)).unwrap();
        }
        for (tensor, reference) in references.iter().enumerate() {
            let what = format!("tensor {tensor}, {rule:?}");
            let found = params[tensor].download_blocking(gpu).unwrap();
            driver.check_exact(&what, &expected[tensor], &found);
            for (index, vector) in state[tensor].iter().enumerate() {
                let found = vector.download_blocking(gpu).unwrap();
                driver.check_exact(&what, reference.state(index), &found);
            }
        }
    }
}

fn guarded(driver: &Driver) {
    let gpu = driver.gpu();
    let rule = Adam::default();
    let guard = GradientGuard { max_norm: Some(0.5), non_finite: NonFinite::SkipStep };
    let hosts: Vec<_> = LENS.iter().map(|&len| values(len, 7, 5)).collect();
    let gradients: Vec<_> = LENS.iter().map(|&len| values(len, 9, 5)).collect();
    let (params, grads) = (super::groups::side_by_side(gpu, &hosts), gradients.clone());
    let state: Vec<Vec<GpuVec>> =
        LENS.iter().map(|&len| gpu.zeros_many(&[len; 2]).unwrap()).collect();
    let group = ParamGroup { rule, lens: LENS.to_vec() };
    let mut reference = CpuGroupOptimizer::new(&[group]).unwrap().with_guard(guard).unwrap();
    let stepper = GpuStepper::new(gpu).unwrap().with_precision(Precision::Exact);
    let mut stepper = stepper.with_guard(guard).unwrap();
    let mut expected = hosts.clone();
    for round in 1..4 {
        // In the second round the last gradient of the last tensor is not finite.
        let mut grads = grads.clone();
        if round == 2 {
            *grads[3].last_mut().unwrap() = f32::NAN;
        }
        let mut slices: Vec<&mut [f32]> = expected.iter_mut().map(Vec::as_mut_slice).collect();
        let host: Vec<&[f32]> = grads.iter().map(Vec::as_slice).collect();
        reference.step(&mut slices, &host).unwrap();
        let step = |state: &Vec<GpuVec>| TensorStep {
            rule,
            learning_rate: f64::from(rule.learning_rate),
            step: round,
            state: state.clone(),
        };
        let steps: Vec<_> = state.iter().map(step).collect();
        stepper.step(&steps, &params, &super::groups::side_by_side(gpu, &grads)).unwrap();
    }
    for (tensor, expected) in expected.iter().enumerate() {
        let found = params[tensor].download_blocking(gpu).unwrap();
        driver.check_exact(&format!("tensor {tensor}"), expected, &found);
    }
    assert_eq!(stepper.report_blocking().unwrap(), reference.report());
}

fn refused(driver: &Driver) {
    let gpu = driver.gpu();
    let (params, grads) = (gpu.zeros_many(&[8, 8]).unwrap(), gpu.zeros_many(&[8, 8]).unwrap());
    let step = |state: Vec<GpuVec>| TensorStep {
        rule: Adam::default(),
        learning_rate: 0.1,
        step: 1,
        state,
    };
    let state = |len| gpu.zeros_many(&[len; 2]).unwrap();
    let mut stepper = GpuStepper::new(gpu).unwrap();
    let mut step_with = |steps: &[TensorStep<Adam>]| stepper.step(steps, &params, &grads);
    let few = step_with(&[step(state(8)), step(state(8)[..1].to_vec())]);
    let expected = TensorsError::State { tensor: 1, found: 1, expected: 2 };
    assert_eq!(few, Err(GroupError::Tensors(expected)));
    let short = step_with(&[step(state(8)), step(state(7))]);
    assert!(matches!(short, Err(GroupError::Tensors(TensorsError::Length { found: 7, .. }))));
    let shared = state(8);
    let twice = step_with(&[step(shared.clone()), step(shared)]);
    assert!(matches!(twice, Err(GroupError::Overlap { .. })), "{twice:?}");
    let wrong = TensorStep { learning_rate: -1.0, ..step(state(8)) };
    let negative = step_with(&[step(state(8)), wrong]);
    assert!(matches!(negative, Err(GroupError::Tensors(TensorsError::Rule { group: 1, .. }))));
    assert_eq!(step_with(&[step(state(8)), step(state(8))]), Ok(()));
    assert!((1..=2).contains(&stepper.dispatches()), "{} dispatches", stepper.dispatches());
    assert_eq!(stepper.step(&[], &[], &[]), Ok(()), "a step of no tensors");
    let rows = TensorGradient::Rows { gradients: &grads[0], indices: &[0] };
    let mixed = stepper.step_mixed(&[step(state(8))], &params[..1], &[rows]);
    assert_eq!(mixed, Err(GroupError::Tensors(TensorsError::HeldRows)));
}

/// As a sum of two parameters has them: both have its gradient. The guard's norm counts it twice.
fn shared_gradients(driver: &Driver) {
    let gpu = driver.gpu();
    let lens = [1000, 1000, 700];
    let hosts = lens.map(|len| values(len, 3, 5));
    let gradient = values(1000, 4, 5);
    let params: Vec<_> = hosts.iter().map(|host| gpu.upload(host).unwrap()).collect();
    let shared = gpu.upload(&gradient).unwrap();
    let grads = [shared.clone(), shared.clone(), shared.slice(300..1000).unwrap()];
    let guard = GradientGuard { max_norm: Some(1.0), ..GradientGuard::default() };
    let group = [ParamGroup { rule: Adam::default(), lens: lens.to_vec() }];
    let optimizer = GpuGroupOptimizer::new(gpu, &group).unwrap().with_guard(guard).unwrap();
    let mut optimizer = optimizer.with_precision(Precision::Exact);
    let mut reference = CpuGroupOptimizer::new(&group).unwrap().with_guard(guard).unwrap();
    let mut expected = hosts;
    for _ in 0..3 {
        optimizer.step(&params, &grads).unwrap();
        let mut slices = expected.each_mut().map(|host| &mut host[..]);
        reference.step(&mut slices, &[&gradient, &gradient, &gradient[300..]]).unwrap();
    }
    for (tensor, (params, expected)) in params.iter().zip(&expected).enumerate() {
        let found = params.download_blocking(gpu).unwrap();
        driver.check_exact(&format!("tensor {tensor}"), expected, &found);
    }
    assert_eq!(optimizer.report_blocking().unwrap().norm, reference.report().norm);
}

fn portable(driver: &Driver) {
    fn check<R: Rule>(driver: &Driver, rule: R) {
        let gpu = driver.gpu();
        let shapes = [KernelShape::default(), KernelShape::new(8, 64), KernelShape::new(32, 3)];
        for ((len, quads), shape) in
            [(4096, true), (1022, true), (1023, false)].into_iter().zip(shapes)
        {
            let kernel = PortableStep::new(&rule, Precision::Exact, quads, shape);
            let (host, gradient) = (values(len, 3, 5), values(len, 4, 5));
            let mut hosts = vec![host.clone(), gradient.clone()];
            hosts.extend(initial(&rule, len));
            // Vectors of our own are padded to 16 bytes.
            let vectors: Vec<_> = hosts.iter().map(|host| gpu.upload(host).unwrap()).collect();
            let job = PortableStep::job(&rule, f64::from(rule.learning_rate()), 1, len as u32);
            launch(gpu, &kernel, &job, &vectors, len);
            let mut reference = CpuOptimizer::new(rule, len).unwrap();
            let mut expected = host;
            reference.step(&mut expected, &gradient).unwrap();
            let what = format!("{len} elements, quads {quads}, {rule:?}");
            driver.check_exact(&what, &expected, &vectors[0].download_blocking(gpu).unwrap());
            for (index, vector) in vectors[2..].iter().enumerate() {
                let found = vector.download_blocking(gpu).unwrap();
                driver.check_exact(&what, reference.state(index), &found);
            }
        }
    }
    for rule in each_rule() {
        with_rule!(rule, |rule| check(driver, rule));
    }
}

/// Launches a step as a host would that knows only the documentation of [`PortableStep`].
fn launch(gpu: &Gpu, kernel: &PortableStep, job: &[u8], vectors: &[GpuVec], len: usize) {
    let device = gpu.device();
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: None,
        source: wgpu::ShaderSource::Wgsl(kernel.wgsl.as_str().into()),
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: None,
        layout: None,
        module: &module,
        entry_point: Some(kernel.entry),
        compilation_options: wgpu::PipelineCompilationOptions {
            constants: &kernel.constants,
            ..Default::default()
        },
        cache: None,
    });
    let job_buffer = device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: job.len() as u64,
        usage: USAGES,
        mapped_at_creation: false,
    });
    gpu.queue().write_buffer(&job_buffer, 0, job);
    let mut entries =
        vec![wgpu::BindGroupEntry { binding: 0, resource: job_buffer.as_entire_binding() }];
    for (binding, vector) in (1..).zip(vectors) {
        let (buffer, bytes) = vector.buffers().next().unwrap();
        let size = wgpu::BufferSize::new((bytes.end - bytes.start).next_multiple_of(16));
        let resource = wgpu::BufferBinding { buffer, offset: bytes.start, size };
        let resource = wgpu::BindingResource::Buffer(resource);
        entries.push(wgpu::BindGroupEntry { binding, resource });
    }
    let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &pipeline.get_bind_group_layout(0),
        entries: &entries,
    });
    let mut encoder = device.create_command_encoder(&Default::default());
    let mut pass = encoder.begin_compute_pass(&Default::default());
    pass.set_pipeline(&pipeline);
    pass.set_bind_group(0, &bind_group, &[]);
    let [x, y] = kernel.workgroups(len as u32, 2);
    pass.dispatch_workgroups(x, y, 1);
    drop(pass);
    gpu.queue().submit([encoder.finish()]);
}
