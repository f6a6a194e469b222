//! Tensors as modules have them: without gradients, shared with a clone, read lazily, transposed.

use burn::module::{Module, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Tensor, TensorData};
use wgpu_optim_burn::wgpu_optim::{Adam, Precision, Sgd};
use wgpu_optim_burn::{WgpuModuleOptim, WgpuOptim};

use super::support::{
    Cpu, Net, Step, assert_bits, each, gradients, initial, like, module_optim, numbers, of_burn,
    shared, values,
};

const RULE: Adam = Adam {
    learning_rate: 0.125,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    epsilon_scale: wgpu_optim_burn::wgpu_optim::rules::EpsilonScale::Corrected,
    amsgrad: false,
    maximize: false,
    weight_decay: wgpu_optim_burn::wgpu_optim::WeightDecay::None,
};
const RATE: f64 = 0.125;

/// Adam's corrections know how many steps a parameter has taken.
#[test]
fn without_a_gradient_value_and_step_count_stay() {
    let mut cpu = Cpu::new(RULE, &initial(8));
    for number in 1..=4 {
        for (index, grads) in gradients(number).iter().enumerate() {
            if has_gradient(index, number) {
                cpu.step_one(index, grads);
            }
        }
    }
    for (name, mut step) in each(RULE, Precision::Exact) {
        let mut net = Net::new(8);
        for number in 1..=4 {
            let mut grads = net.grads(&gradients(number));
            if !has_gradient(1, number) {
                grads.remove::<1>(net.bias.id);
            }
            if !has_gradient(4, number) {
                grads.remove::<2>(net.wide.id);
            }
            net = step(RATE.into(), net, grads);
        }
        assert_bits(name, &net.values(), &cpu.params);
    }
}

/// `bias` has none in the first step, and `wide` none in the second and third.
fn has_gradient(index: usize, number: u64) -> bool {
    !(index == 1 && number == 1 || index == 4 && [2, 3].contains(&number))
}

#[test]
fn without_any_gradient_nothing_happens() {
    for (name, mut step) in each(RULE, Precision::Exact) {
        let net = step(RATE.into(), Net::new(8), GradientsParams::new());
        assert_bits(name, &net.values(), &initial(8));
    }
}

/// Gradients of 0 move nothing at first, and later what momentum moves.
#[test]
fn gradients_of_zero_are_gradients() {
    let zeros: Vec<Vec<f32>> = initial(8).iter().map(|x| vec![0.0; x.len()]).collect();
    let mut cpu = Cpu::new(RULE, &initial(8));
    for grads in [&zeros, &gradients(1).to_vec(), &zeros] {
        cpu.step(grads);
    }
    for (name, mut step) in each(RULE, Precision::Exact) {
        let mut net = Net::new(8);
        for grads in [&zeros, &gradients(1).to_vec(), &zeros] {
            let grads = net.grads(grads);
            net = step(RATE.into(), net, grads);
        }
        assert_bits(name, &net.values(), &cpu.params);
    }
}

fn count_launched() -> (WgpuOptim<Adam>, Step) {
    let optim = WgpuOptim::with_precision(RULE, Precision::Exact).expect("a valid rule");
    (optim.clone(), of_burn(optim.init()))
}

fn stepped(net: Net, step: &mut Step, number: u64) -> Net {
    let grads = net.grads(&gradients(number));
    step(RATE.into(), net, grads)
}

/// A parameter that a clone holds is copied once; state and what has been copied are the optimizer's.
#[test]
fn a_clone_of_the_module_stays_and_its_copies_are_counted() {
    let (counted, mut step) = count_launched();
    let net = stepped(Net::new(8), &mut step, 1);
    let before = net.values();
    assert_eq!(counted.copies(), 0, "nothing else held the parameters");
    let clone = net.clone();
    let net = stepped(stepped(net, &mut step, 2), &mut step, 3);
    let after = net.values();
    assert_eq!(counted.copies(), 5);
    assert_bits("the clone", &clone.values(), &before);
    let mut cpu = Cpu::new(RULE, &initial(8));
    (1..=3).for_each(|number| cpu.step(&gradients(number)));
    assert_bits("the module", &after, &cpu.params);
}

#[test]
fn a_clone_stays_where_all_is_submitted_at_once() {
    let mut optim = module_optim(RULE).with_precision(Precision::Exact);
    let mut step = |net: Net, number| {
        let grads = net.grads(&gradients(number));
        let net = optim.step(RATE, net, grads).expect("a step");
        (net, WgpuModuleOptim::copies(&optim))
    };
    let (net, copies) = step(Net::new(8), 1);
    let before = net.values();
    assert_eq!(copies, 0, "nothing else held the parameters");
    let clone = net.clone();
    let (net, copies) = step(net, 2);
    assert_eq!(copies, 5);
    let (net, copies) = step(net, 3);
    assert_eq!(copies, 5);
    assert_bits("the clone", &clone.values(), &before);
    let mut cpu = Cpu::new(RULE, &initial(8));
    (1..=3).for_each(|number| cpu.step(&gradients(number)));
    assert_bits("the module", &net.values(), &cpu.params);
}

/// What was computed from a parameter before a step, and is read behind it, knows the old value.
#[test]
fn lazy_reads_before_a_step_see_old_values() {
    let start = initial(8);
    for (name, mut step) in each(RULE, Precision::Exact) {
        let net = Net::new(8);
        let held = net.weight.val();
        let doubled = net.wide.val() * 2.0;
        let sum = net.bias.val().sum();
        let net = stepped(net, &mut step, 1);
        let (after, moved) = (net.wide.val() * 2.0, net.values());
        let twice = |values: &[f32]| values.iter().map(|x| 2.0 * x).collect::<Vec<f32>>();
        assert_bits(
            name,
            &[values(held), values(doubled), values(after)],
            &[start[0].clone(), twice(&start[4]), twice(&moved[4])],
        );
        let expected: f32 = start[1].iter().sum();
        assert!((values(sum)[0] - expected).abs() < 1e-6, "{name}: of three numbers below 1");
        assert!(moved[4] != start[4]);
    }
}

/// A module of one table.
#[derive(Module, Debug)]
struct Table {
    table: Param<Tensor<2>>,
}

fn table(values: &[f32], shape: [usize; 2]) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), shape), &shared().device)
}

/// Both optimizers with a table, whose gradients are `grads(number, table)`.
fn step_table(
    of: impl Fn() -> Tensor<2>,
    grads: impl Fn(u64, &Param<Tensor<2>>) -> Tensor<2>,
    expected: &[f32],
) {
    let mut launched =
        WgpuOptim::with_precision(RULE, Precision::Exact).expect("a valid rule").init();
    let mut at_once = module_optim(RULE).with_precision(Precision::Exact);
    for ours in [false, true] {
        let mut module = Table { table: Param::from_tensor(of()) };
        for number in 1..=3 {
            let mut all = GradientsParams::new();
            all.register(module.table.id, grads(number, &module.table));
            module = match ours {
                true => at_once.step(RATE, module, all).expect("a step"),
                false => launched.step(RATE, module, all),
            };
        }
        let name = if ours { "WgpuModuleOptim" } else { "WgpuOptim" };
        assert_bits(name, &[values(module.table.val())], &[expected.to_vec()]);
    }
}

/// The values of a transposed table, in its own order.
fn transposed(values: &[f32], [rows, columns]: [usize; 2]) -> Vec<f32> {
    (0..columns).flat_map(|c| (0..rows).map(move |r| values[r * columns + c])).collect()
}

fn cpu_table(start: &[f32], grads: impl Fn(u64, &[f32]) -> Vec<f32>) -> Vec<f32> {
    let mut cpu = Cpu::new(RULE, &[start.to_vec()]);
    for number in 1..=3 {
        let grads = grads(number, &cpu.params[0]);
        cpu.step_one(0, &grads);
    }
    cpu.params.remove(0)
}

#[test]
fn a_transposed_parameter() {
    let start = numbers(9, 33 * 34);
    let expected = cpu_table(&transposed(&start, [33, 34]), |number, _| numbers(number, 33 * 34));
    step_table(
        || table(&start, [33, 34]).transpose(),
        |number, param| like(param, &numbers(number, 33 * 34)),
        &expected,
    );
}

#[test]
fn a_transposed_gradient() {
    let start = numbers(9, 33 * 34);
    let expected = cpu_table(&start, |number, _| transposed(&numbers(number, 33 * 34), [33, 34]));
    step_table(
        || table(&start, [34, 33]),
        |number, _| table(&numbers(number, 33 * 34), [33, 34]).inner().transpose(),
        &expected,
    );
}

/// One number for all elements, as the gradient of a sum is.
#[test]
fn a_broadcast_gradient() {
    let start = numbers(9, 7 * 9);
    let expected = cpu_table(&start, |number, _| vec![numbers(number, 1)[0]; 7 * 9]);
    step_table(
        || table(&start, [7, 9]),
        |number, _| table(&numbers(number, 1), [1, 1]).inner().expand([7, 9]),
        &expected,
    );
}

/// Half the sum of squares has the parameter itself as its gradient.
#[test]
fn a_gradient_that_is_the_parameter() {
    let start = numbers(9, 7 * 9);
    let expected = cpu_table(&start, |_, params| params.to_vec());
    step_table(|| table(&start, [7, 9]), |_, param| param.val().inner(), &expected);
}

/// A part of a larger tensor, which keeps its values.
#[test]
fn a_slice_of_a_tensor() {
    let whole = numbers(9, 12 * 9);
    let expected = cpu_table(&whole[2 * 9..9 * 9], |number, _| numbers(number, 7 * 9));
    let held = table(&whole, [12, 9]);
    step_table(
        || held.clone().slice([2..9, 0..9]),
        |number, param| like(param, &numbers(number, 7 * 9)),
        &expected,
    );
    assert_bits("the whole", &[values(held)], &[whole]);
}

/// From a loss, backwards, on Burn's own ways.
#[test]
fn gradients_of_a_backward_pass() {
    let rule = Sgd { learning_rate: 0.125, ..Sgd::default() };
    let start = initial(8);
    for (name, mut step) in each(rule, Precision::Exact) {
        let net = Net::new(8);
        // d/dx of 2 x and of x^2 / 2 has no rounding.
        let loss = (net.weight.val() * 2.0).sum() + (net.bias.val() * net.bias.val() * 0.5).sum();
        let grads = GradientsParams::from_grads(loss.backward(), &net);
        let net = step(RATE.into(), net, grads);
        let mut expected = start.to_vec();
        expected[0].iter_mut().for_each(|x| *x -= 0.25);
        expected[1].iter_mut().for_each(|x| *x -= 0.125 * *x);
        assert_bits(name, &net.values(), &expected);
    }
}
