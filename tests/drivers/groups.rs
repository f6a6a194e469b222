//! Many tensors in one step: each has the bits that it would have alone.

use wgpu_optim::{
    AnyRule, Gpu, GpuGroupOptimizer, GpuOptimizer, GpuVec, ParamGroup, Precision, Rule, Sgd,
    with_rule,
};

use crate::Check;
use crate::driver::{Driver, POISON, USAGES, placed};
use crate::reference::{Reference, each_rule, values};

pub(crate) const CHECKS: &[Check] = &[
    ("groups: tensors of every length in every layout", every_place),
    ("groups: every rule, and state that only some groups use", every_rule),
    ("groups: each tensor has the bits of an optimizer of its own", alone),
    ("groups: limits so low that a step takes many dispatches", lowered_limits),
    ("groups: N steps in one encoder with N learning rates", learning_rates),
    ("groups: two pairs of lists alternately, and resuming", in_turn),
];

/// Lengths on both sides of a group of four, of a workgroup and of a block.
const LENS: [usize; 14] = [1, 2, 3, 4, 5, 31, 64, 511, 512, 513, 1000, 4095, 4097, 33_000];

/// Groups over `lens` with different hyper-parameters. Two of them have the same formula.
fn groups<R: Rule>(lens: &[usize]) -> Vec<ParamGroup<R>> {
    let examples = R::examples();
    let last = examples.len() - 1;
    let mut rules = [0, 0, last / 2, last].map(|index| examples[index]);
    for (number, rule) in (1_u8..).zip(&mut rules) {
        rule.set_learning_rate(rule.learning_rate() / f32::from(number));
    }
    let parts = lens.chunks(lens.len().div_ceil(rules.len())).map(<[usize]>::to_vec);
    rules.into_iter().zip(parts).map(|(rule, lens)| ParamGroup { rule, lens }).collect()
}

/// A run on a device and on the CPU engine.
struct Run<R: Rule> {
    params: Vec<GpuVec>,
    grads: Vec<GpuVec>,
    optimizer: GpuGroupOptimizer<R>,
    /// The state vectors that at least one group uses, in the optimizer's order.
    state_names: Vec<&'static str>,
    gradients: Vec<Vec<f32>>,
    references: Vec<Reference<R>>,
}

/// The values of each tensor of a list, different for each tensor.
pub(crate) fn hosts(lens: &[usize], seed: u32) -> Vec<Vec<f32>> {
    (seed..).zip(lens).map(|(seed, &len)| values(len, seed, 5)).collect()
}

impl<R: Rule> Run<R> {
    /// `lay` uploads a list of values.
    fn new(
        gpu: &Gpu,
        precision: Precision,
        groups: &[ParamGroup<R>],
        lay: impl Fn(&Gpu, &[Vec<f32>]) -> Vec<GpuVec>,
    ) -> Self {
        let lens: Vec<_> = groups.iter().flat_map(|group| group.lens.clone()).collect();
        let (hosts, gradients) = (hosts(&lens, 1), hosts(&lens, 1000));
        let rules = rules(groups);
        let used = |k: &usize| rules.iter().any(|rule| rule.uses_state(*k));
        Self {
            params: lay(gpu, &hosts),
            grads: lay(gpu, &gradients),
            optimizer: GpuGroupOptimizer::new(gpu, groups).unwrap().with_precision(precision),
            state_names: (0..R::STATE.len()).filter(used).map(|k| R::STATE[k]).collect(),
            gradients,
            references: rules
                .iter()
                .zip(&hosts)
                .map(|(r, host)| Reference::new(*r, host))
                .collect(),
        }
    }

    fn step(&mut self) {
        self.optimizer.step(&self.params, &self.grads).unwrap();
        self.step_references();
    }

    fn step_references(&mut self) {
        for (reference, gradient) in self.references.iter_mut().zip(&self.gradients) {
            reference.step(gradient);
        }
    }

    /// The vector with this name of a tensor.
    fn vector(&self, tensor: usize, name: &str) -> &GpuVec {
        match self.state_names.iter().position(|known| *known == name) {
            Some(vector) => self.optimizer.state(tensor, vector),
            None => &self.params[tensor],
        }
    }

    fn check(&self, driver: &Driver, gpu: &Gpu, what: &str) {
        for (index, reference) in self.references.iter().enumerate() {
            let (len, rule) = (reference.params.len(), reference.optimizer.rule());
            for (name, expected) in reference.vectors() {
                let what = format!("{what}, tensor {index} of {len} elements, {name}, {rule:?}");
                let found = self.vector(index, name).download_blocking(gpu).unwrap();
                driver.check_exact(&what, expected, &found);
            }
            let gradient = self.grads[index].download_blocking(gpu).unwrap();
            assert_eq!(gradient, self.gradients[index], "gradients are only read");
        }
    }
}

/// The rule of each tensor.
fn rules<R: Rule>(groups: &[ParamGroup<R>]) -> Vec<R> {
    groups.iter().flat_map(|group| group.lens.iter().map(|_| group.rule)).collect()
}

pub(crate) fn side_by_side(gpu: &Gpu, hosts: &[Vec<f32>]) -> Vec<GpuVec> {
    let hosts: Vec<&[f32]> = hosts.iter().map(Vec::as_slice).collect();
    gpu.upload_many(&hosts).unwrap()
}

fn separate(gpu: &Gpu, hosts: &[Vec<f32>]) -> Vec<GpuVec> {
    hosts.iter().map(|host| gpu.upload(host).unwrap()).collect()
}

/// Each vector in several buffers.
fn in_parts(gpu: &Gpu, hosts: &[Vec<f32>]) -> Vec<GpuVec> {
    let parts = |host: &Vec<f32>| {
        let parts: Vec<_> = host.chunks(700).map(|part| gpu.upload(part).unwrap()).collect();
        GpuVec::concatenate(parts).unwrap()
    };
    hosts.iter().map(parts).collect()
}

/// Where tensors start in a caller's buffer: at every offset modulo four, with gaps between them.
fn scattered(lens: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut next = 3;
    let place = |(index, len): (usize, usize)| {
        let start = next;
        next += len + 1 + index % 5;
        start
    };
    lens.enumerate().map(place).collect()
}

/// Views of one buffer, with poison between them.
fn views(gpu: &Gpu, hosts: &[Vec<f32>]) -> Vec<GpuVec> {
    let starts = scattered(hosts.iter().map(Vec::len));
    let end = starts[starts.len() - 1] + hosts[hosts.len() - 1].len() + 7;
    let mut content = vec![POISON; end];
    for (&start, host) in starts.iter().zip(hosts) {
        content[start..start + host.len()].copy_from_slice(host);
    }
    let whole = placed(gpu, &content, 0, 0, USAGES);
    let view = |(&start, host): (&usize, &Vec<f32>)| whole.slice(start..start + host.len());
    starts.iter().zip(hosts).map(|pair| view(pair).unwrap()).collect()
}

/// Asserts that nothing but the tensors was written.
fn check_poison(gpu: &Gpu, vectors: &[GpuVec]) {
    let (buffer, _) = vectors[0].buffers().next().unwrap();
    let whole = GpuVec::from_buffer(buffer, 0, (buffer.size() / 4) as usize).unwrap();
    let content = whole.download_blocking(gpu).unwrap();
    let mut free = vec![true; content.len()];
    for (start, len) in scattered(vectors.iter().map(GpuVec::len)).into_iter().zip(vectors) {
        free[start..start + len.len()].fill(false);
    }
    for (index, (value, free)) in content.iter().zip(free).enumerate() {
        assert!(!free || value.to_bits() == POISON.to_bits(), "element {index} was overwritten");
    }
}

pub(crate) type Lay = fn(&Gpu, &[Vec<f32>]) -> Vec<GpuVec>;

/// All layouts of tensors. The first two are in one buffer; the second is the caller's buffer with
/// poison between the tensors.
pub(crate) const LAYS: [(&str, Lay); 4] = [
    ("side by side", side_by_side),
    ("scattered over one buffer", views),
    ("in separate buffers", separate),
    ("in several buffers each", in_parts),
];

fn every_place(driver: &Driver) {
    for rule in each_rule() {
        with_rule!(rule, |rule| in_every_place(driver, rule));
    }
}

fn in_every_place<R: Rule>(driver: &Driver, _: R) {
    let gpu = driver.gpu();
    let groups = groups::<R>(&LENS);
    // All layouts with one rule, layouts in one buffer with the others: a kernel has a copy of the
    // update for each pair of buffers, so it takes longer to compile.
    let places = if R::NAME == "adagrad" { LAYS.len() } else { 2 };
    for &precision in driver.precisions() {
        for (what, lay) in LAYS.into_iter().take(places) {
            let mut run = Run::new(gpu, precision, &groups, lay);
            for _ in 0..3 {
                run.step();
            }
            run.check(driver, gpu, &format!("{what}, {precision}"));
        }
        let mut run = Run::new(gpu, precision, &groups, views);
        run.step();
        check_poison(gpu, &run.params);
        check_poison(gpu, &run.grads);
        if places < LAYS.len() {
            continue;
        }
        // With parameters and gradients in one buffer, the gradients are bound as read_write.
        let twice: Vec<_> = LENS.iter().chain(&LENS).copied().collect();
        for lay in [side_by_side, views] {
            let all = lay(gpu, &hosts(&twice, 1));
            let mut run = Run::new(gpu, precision, &groups, lay);
            (run.params, run.grads) = (all[..14].to_vec(), all[14..].to_vec());
            run.gradients = hosts(&twice, 1)[14..].to_vec();
            run.step();
            run.check(driver, gpu, &format!("in one buffer, {precision}"));
        }
    }
}

fn with_learning_rate<R: Rule>(mut rule: R, rate: f32) -> R {
    rule.set_learning_rate(rate);
    rule
}

/// Steps groups of two tensors each, and compares them with the reference.
fn step_groups<R: Rule>(driver: &Driver, rules: &[R]) {
    let gpu = driver.gpu();
    let groups: Vec<_> =
        rules.iter().map(|&rule| ParamGroup { rule, lens: vec![5, 513] }).collect();
    for &precision in driver.precisions() {
        let mut run = Run::new(gpu, precision, &groups, side_by_side);
        for _ in 0..3 {
            run.step();
        }
        run.check(driver, gpu, &format!("{precision}"));
    }
}

fn every_rule(driver: &Driver) {
    for rule in AnyRule::examples() {
        with_rule!(rule, |rule| step_groups(driver, &[rule, with_learning_rate(rule, 0.001)]));
    }
    let plain = Sgd { learning_rate: 0.1, ..Sgd::default() };
    step_groups(driver, &[plain, Sgd { momentum: 0.9, ..plain }, plain]);
}

fn alone(driver: &Driver) {
    for rule in each_rule() {
        with_rule!(rule, |rule| as_alone(driver, rule));
    }
}

fn as_alone<R: Rule>(driver: &Driver, _: R) {
    let gpu = driver.gpu();
    let groups = groups::<R>(&LENS);
    let mut run = Run::new(gpu, Precision::Native, &groups, side_by_side);
    let own = separate(gpu, &hosts(&LENS, 1));
    let mut optimizers: Vec<_> = rules(&groups)
        .into_iter()
        .zip(&own)
        .map(|(rule, own)| GpuOptimizer::new(gpu, rule, own.len()).unwrap())
        .collect();
    for _ in 0..2 {
        run.optimizer.step(&run.params, &run.grads).unwrap();
        for ((optimizer, own), grads) in optimizers.iter_mut().zip(&own).zip(&run.grads) {
            optimizer.step(own, grads).unwrap();
        }
    }
    for (index, (optimizer, own)) in optimizers.iter().zip(&own).enumerate() {
        let bits = |vector: &GpuVec| vector.download_blocking(gpu).unwrap();
        for (k, name) in optimizer.rule().state_names().into_iter().enumerate() {
            let of_all = bits(run.vector(index, name));
            driver.check_exact(name, &bits(optimizer.state(k)), &of_all);
        }
        driver.check_exact("params", &bits(own), &bits(&run.params[index]));
    }
}

fn lowered_limits(driver: &Driver) {
    for rule in each_rule() {
        with_rule!(rule, |rule| under_lowered_limits(driver, rule));
    }
}

fn under_lowered_limits<R: Rule>(driver: &Driver, _: R) {
    let groups = groups::<R>(&LENS);
    let used = (0..R::STATE.len()).filter(|k| groups.iter().any(|group| group.rule.uses_state(*k)));
    // The blocks, the state, and one buffer each for parameters and gradients.
    let storage_buffers = 3 + used.count() as u32;
    let gpu = driver.with_limits(|limits| {
        limits.max_storage_buffer_binding_size = 4096;
        limits.max_buffer_size = 64 << 10;
        limits.max_storage_buffers_per_shader_stage = storage_buffers;
        limits.max_compute_workgroups_per_dimension = 3;
        limits.max_compute_invocations_per_workgroup = 64;
        limits.max_compute_workgroup_size_x = 64;
        limits.max_compute_workgroup_size_y = 64;
    });
    for (what, lay) in [LAYS[0], LAYS[2], LAYS[3]] {
        let mut run = Run::new(&gpu, Precision::Exact, &groups, lay);
        for _ in 0..2 {
            run.step();
        }
        assert!(run.optimizer.dispatches(&run.params, &run.grads).unwrap() > 40);
        run.check(driver, &gpu, what);
    }
}

fn learning_rates(driver: &Driver) {
    for rule in each_rule() {
        with_rule!(rule, |rule| by_learning_rates(driver, rule));
    }
}

fn by_learning_rates<R: Rule>(driver: &Driver, _: R) {
    let gpu = driver.gpu();
    let mut run = Run::new(gpu, Precision::Exact, &groups::<R>(&LENS), side_by_side);
    let of_group = |group: usize| (LENS.len().div_ceil(4) * group)..;
    // Twice, so that the second round reuses the slots of the first.
    for _ in 0..2 {
        let mut encoder = gpu.device().create_command_encoder(&Default::default());
        for step in 1..=40_usize {
            let (group, rate) = (step % 4, 1.0 / step as f32);
            run.optimizer.set_learning_rate(group, rate).unwrap();
            run.optimizer.record(&mut encoder, &run.params, &run.grads).unwrap();
            let own = of_group(group).take(LENS.len().div_ceil(4)).take_while(|&i| i < LENS.len());
            for index in own {
                run.references[index].optimizer.set_learning_rate(rate).unwrap();
            }
            run.step_references();
        }
        gpu.queue().submit([encoder.finish()]);
        gpu.wait_blocking().unwrap();
    }
    run.check(driver, gpu, "80 steps");
}

fn in_turn(driver: &Driver) {
    for rule in each_rule() {
        with_rule!(rule, |rule| in_turn_of(driver, rule));
    }
}

fn in_turn_of<R: Rule>(driver: &Driver, _: R) {
    let gpu = driver.gpu();
    let groups = groups::<R>(&LENS);
    let mut run = Run::new(gpu, Precision::Exact, &groups, side_by_side);
    let negated = |gradients: &[Vec<f32>]| -> Vec<Vec<f32>> {
        gradients.iter().map(|gradient| gradient.iter().map(|value| -value).collect()).collect()
    };
    // The parameters stay the same, so only the gradients distinguish the pairs.
    let mut others = side_by_side(gpu, &negated(&run.gradients));
    for _ in 0..6 {
        run.step();
        std::mem::swap(&mut run.grads, &mut others);
        run.gradients = negated(&run.gradients);
    }
    run.optimizer.forget_bindings();
    run.step();
    // Another optimizer continues from the state of the first.
    let mut resumed =
        GpuGroupOptimizer::new(gpu, &groups).unwrap().with_precision(Precision::Exact);
    for tensor in 0..LENS.len() {
        for vector in 0..run.state_names.len() {
            let saved = run.optimizer.state(tensor, vector).download_blocking(gpu).unwrap();
            gpu.write(resumed.state(tensor, vector), &saved).unwrap();
        }
    }
    resumed.set_steps(run.optimizer.steps());
    run.optimizer = resumed;
    run.step();
    run.check(driver, gpu, "resumed");
}
