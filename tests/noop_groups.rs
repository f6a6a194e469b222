//! An optimizer over groups of tensors on wgpu's noop device, which runs no kernel: refusals, that
//! a refused call changes nothing, and how many dispatches a step takes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use wgpu_optim::{
    Adagrad, EpsilonPlacement, Gpu, GpuGroupOptimizer, GpuVec, GroupError, ParamGroup, RuleError,
    StepError, TensorName, TensorsError, VectorError, wgpu,
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

fn group(lens: &[usize]) -> ParamGroup<Adagrad> {
    ParamGroup { rule: Adagrad::default(), lens: lens.to_vec() }
}

fn params(index: usize) -> TensorName {
    TensorName { list: "params", index }
}

fn grads(index: usize) -> TensorName {
    TensorName { list: "grads", index }
}

#[test]
fn groups_are_checked_when_an_optimizer_is_made() {
    let gpu = gpu();
    let new = |groups: &[ParamGroup<Adagrad>]| GpuGroupOptimizer::new(&gpu, groups).map(|_| ());
    assert_eq!(new(&[]), Err(GroupError::Tensors(TensorsError::Empty)));
    assert_eq!(new(&[group(&[]), group(&[])]), Err(GroupError::Tensors(TensorsError::Empty)));
    let empty = new(&[group(&[3]), group(&[4, 0])]);
    assert_eq!(empty, Err(GroupError::Tensors(TensorsError::EmptyTensor { tensor: 2 })));
    let rule = Adagrad { epsilon: -1.0, ..Adagrad::default() };
    let error = RuleError::NotFiniteOrNegative { parameter: "epsilon", value: -1.0 };
    let wrong = new(&[group(&[3]), ParamGroup { rule, lens: vec![3] }]);
    assert_eq!(wrong, Err(GroupError::Tensors(TensorsError::Rule { group: 1, error })));
    new(&[group(&[]), group(&[1])]).unwrap();
}

#[test]
fn limits_that_are_too_low_are_named() {
    let limits = wgpu::Limits {
        max_storage_buffers_per_shader_stage: 3,
        max_uniform_buffer_binding_size: 1024,
        ..wgpu::Limits::default()
    };
    let limit = "max_storage_buffers_per_shader_stage";
    let expected = StepError::Limit { limit, needed: 4, allowed: 3 };
    let error = GpuGroupOptimizer::new(&noop(limits.clone()), &[group(&[3])]).unwrap_err();
    assert_eq!(error, GroupError::Step(expected));
    // 16 bytes a group.
    let limits = wgpu::Limits { max_storage_buffers_per_shader_stage: 4, ..limits };
    let gpu = noop(limits);
    GpuGroupOptimizer::new(&gpu, &vec![group(&[3]); 64]).unwrap();
    let limit = "max_uniform_buffer_binding_size";
    let expected = StepError::Limit { limit, needed: 1280, allowed: 1024 };
    let error = GpuGroupOptimizer::new(&gpu, &vec![group(&[3]); 65]).unwrap_err();
    assert_eq!(error, GroupError::Step(expected));
}

#[test]
fn learning_rates_are_set_by_group() {
    let mut optimizer = GpuGroupOptimizer::new(&gpu(), &[group(&[3]), group(&[4])]).unwrap();
    optimizer.set_learning_rate(1, 0.5).unwrap();
    let error = optimizer.set_learning_rate(2, 0.5);
    assert_eq!(error, Err(GroupError::Tensors(TensorsError::NoGroup { group: 2, groups: 2 })));
    let error = optimizer.set_learning_rate(1, -1.0);
    assert!(
        matches!(error, Err(GroupError::Tensors(TensorsError::Rule { group: 1, .. }))),
        "{error:?}"
    );
    assert_eq!((optimizer.rule(0).learning_rate, optimizer.rule(1).learning_rate), (0.01, 0.5));
}

/// After each refusal, the same optimizer still steps.
#[test]
fn a_refused_step_changes_nothing() {
    let gpu = gpu();
    let lens = [8, 5, 4];
    let mut optimizer =
        GpuGroupOptimizer::new(&gpu, &[group(&lens[..1]), group(&lens[1..])]).unwrap();
    let (p, g) = (gpu.zeros_many(&lens).unwrap(), gpu.zeros_many(&lens).unwrap());
    let mut refused = |p: &[GpuVec], g: &[GpuVec]| {
        let error = optimizer.step(p, g).unwrap_err();
        assert_eq!(optimizer.steps(), 0);
        error
    };
    let with = |list: &[GpuVec], index: usize, vector: &GpuVec| {
        let mut list = list.to_vec();
        list[index] = vector.clone();
        list
    };

    let expected =
        GroupError::Tensors(TensorsError::Count { list: "grads", found: 2, expected: 3 });
    assert_eq!(refused(&p, &g[..2]), expected);
    let expected =
        GroupError::Tensors(TensorsError::Length { tensor: params(2), found: 5, expected: 4 });
    assert_eq!(refused(&with(&p, 2, &p[1]), &g), expected);

    let there = self::gpu().zeros(5).unwrap();
    assert_eq!(refused(&p, &with(&g, 1, &there)), GroupError::ForeignDevice { tensor: grads(1) });

    let overlap = |first, second, byte| GroupError::Overlap { first, second, byte };
    assert_eq!(refused(&p, &p), overlap(params(0), grads(0), 0));
    // Elements 3 to 7 of the first tensor's 8.
    let within = p[0].slice(3..8).unwrap();
    assert_eq!(refused(&with(&p, 1, &within), &g), overlap(params(0), params(1), 12));
    let half = gpu.zeros(4).unwrap();
    let twice = GpuVec::concatenate([half.clone(), half]).unwrap();
    assert_eq!(refused(&with(&p, 0, &twice), &g), overlap(params(0), params(0), 0));

    let own = GpuGroupOptimizer::new(&gpu, &[group(&lens)]).unwrap();
    let state: Vec<_> = (0..3).map(|tensor| own.state(tensor, 0).clone()).collect();
    let mut own = own;
    let own_state = TensorName { list: "accumulator", index: 0 };
    let byte = state[0].buffers().next().unwrap().1.start;
    let expected = GroupError::Overlap { first: grads(0), second: own_state, byte };
    assert_eq!(own.step(&p, &with(&g, 0, &state[0])), Err(expected));
    // Gradients are only read, so they may overlap each other, but nothing that is written.
    let part = g[0].slice(3..8).unwrap();
    let mut ours = GpuGroupOptimizer::new(&gpu, &[group(&lens)]).unwrap();
    ours.step(&p, &with(&g, 1, &part)).unwrap();
    let expected = overlap(grads(0), own_state, byte);
    let all = GpuVec::concatenate([state[0].clone()]).unwrap();
    assert_eq!(own.step(&p, &with(&with(&g, 0, &all), 1, &part)), Err(expected));
    // A long gradient, then a short one, then what is written: the first reaches into the last.
    let memory = gpu.zeros(20).unwrap();
    let [long, short, written] = [0..8, 1..6, 7..11].map(|range| memory.slice(range).unwrap());
    let (reached, g) = (with(&p, 2, &written), with(&with(&g, 0, &long), 1, &short));
    assert_eq!(ours.step(&reached, &g), Err(overlap(params(2), grads(0), 28)));
    let g = gpu.zeros_many(&lens).unwrap();
    // The state of another optimizer is a vector like any other.
    optimizer.step(&p, &state).unwrap();
    optimizer.step(&p, &g).unwrap();
    assert_eq!(optimizer.steps(), 2);
}

#[test]
fn a_destroyed_buffer_is_an_error() {
    let gpu = gpu();
    let mut optimizer = GpuGroupOptimizer::new(&gpu, &[group(&[4, 4])]).unwrap();
    let (p, g) = (gpu.zeros_many(&[4, 4]).unwrap(), gpu.zeros_many(&[4, 4]).unwrap());
    let gone = gpu.zeros(4).unwrap();
    gone.buffers().for_each(|(buffer, _)| buffer.destroy());
    let error = optimizer.step(&p, &[g[0].clone(), gone]).unwrap_err();
    assert!(matches!(error, GroupError::Step(StepError::ForeignBuffer { .. })), "{error}");
    optimizer.step(&p, &g).unwrap();
}

/// Tensors that are views of two buffers take one dispatch. Tensors in their own buffers take as
/// many as the limit on bindings requires.
#[test]
fn how_many_dispatches_a_step_takes() {
    let gpu = gpu();
    let lens: Vec<usize> = (1..=100).collect();
    let mut optimizer = GpuGroupOptimizer::new(&gpu, &[group(&lens)]).unwrap();
    let (p, g) = (gpu.zeros_many(&lens).unwrap(), gpu.zeros_many(&lens).unwrap());
    assert_eq!(optimizer.dispatches(&p, &g), Ok(1));
    // The default limits bind 8 storage buffers: table, state, and 3 tensors with their gradients.
    let own: Vec<_> = lens.iter().map(|&len| gpu.zeros(len).unwrap()).collect();
    let own_grads: Vec<_> = lens.iter().map(|&len| gpu.zeros(len).unwrap()).collect();
    assert_eq!(optimizer.dispatches(&own, &own_grads), Ok(34));
    assert_eq!(optimizer.dispatches(&own, &g), Ok(20));
    // This device binds 32 storage buffers, but only 28 buffers of all kinds together, the default.
    let max_storage_buffers_per_shader_stage = 32;
    let wide = noop(wgpu::Limits { max_storage_buffers_per_shader_stage, ..Default::default() });
    let zeros = || lens.iter().map(|&len| wide.zeros(len).unwrap()).collect::<Vec<_>>();
    let mut on_wide = GpuGroupOptimizer::new(&wide, &[group(&lens)]).unwrap();
    // 25 windows hold 12 tensors with their gradients.
    assert_eq!(on_wide.dispatches(&zeros(), &zeros()), Ok(9));
    // Choices of formula are compiled into the kernel; numbers are not.
    let placed = Adagrad { epsilon_placement: EpsilonPlacement::OutsideRoot, ..Adagrad::default() };
    let rules = [
        Adagrad::default(),
        Adagrad { learning_rate: 2.0, epsilon: 1.0, ..Adagrad::default() },
        placed,
        Adagrad { learning_rate: 3.0, ..placed },
    ];
    let groups: Vec<_> = rules
        .iter()
        .zip(lens.chunks(25))
        .map(|(&rule, lens)| ParamGroup { rule, lens: lens.to_vec() })
        .collect();
    let mut optimizer = GpuGroupOptimizer::new(&gpu, &groups).unwrap();
    assert_eq!(optimizer.dispatches(&p, &g), Ok(2));
}

#[test]
fn many_vectors_share_few_buffers() {
    let gpu = noop(wgpu::Limits { max_buffer_size: 64, ..wgpu::Limits::default() });
    let hosts: Vec<Vec<f32>> = [1, 9, 4, 20_u16]
        .iter()
        .map(|&len| (0..len).map(|index| f32::from(index + 100 * len)).collect())
        .collect();
    let slices: Vec<&[f32]> = hosts.iter().map(Vec::as_slice).collect();
    let vectors = gpu.upload_many(&slices).unwrap();
    for (vector, host) in vectors.iter().zip(&hosts) {
        assert_eq!(vector.download_blocking(&gpu).unwrap(), *host);
    }
    // A buffer holds 16 elements, and every vector starts at a multiple of 16 bytes.
    let bytes = |vector: &GpuVec| -> Vec<(u64, u64)> {
        vector.buffers().map(|(_, bytes)| (bytes.start, bytes.end)).collect()
    };
    let ranges: Vec<_> = vectors.iter().map(bytes).collect();
    assert_eq!(ranges, [vec![(0, 4)], vec![(16, 52)], vec![(0, 16)], vec![(16, 64), (0, 32)]]);
    assert_eq!(gpu.upload_many(&[]), Err(VectorError::Empty));
    assert_eq!(gpu.zeros_many(&[4, 0]), Err(VectorError::Empty));
    let zeros = gpu.zeros_many(&[3, 2]).unwrap();
    assert_eq!(zeros[1].download_blocking(&gpu).unwrap(), [0.0; 2]);
}

/// The state of each tensor starts at the values of its group's rule.
#[test]
fn state_starts_at_the_values_of_each_group() {
    let initial = |initial_accumulator| Adagrad { initial_accumulator, ..Adagrad::default() };
    let groups = [(0.5, vec![3, 5]), (0.0, vec![2]), (0.25, vec![1])]
        .map(|(value, lens)| ParamGroup { rule: initial(value), lens });
    let gpu = gpu();
    let optimizer = GpuGroupOptimizer::new(&gpu, &groups).unwrap();
    let state = |tensor| optimizer.state(tensor, 0).download_blocking(&gpu).unwrap();
    assert_eq!([state(0), state(1)].concat(), [0.5; 8]);
    assert_eq!((state(2), state(3)), (vec![0.0; 2], vec![0.25]));
}
