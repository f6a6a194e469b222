//! Parameter groups: rules and rates of their own.

use burn::grad_clipping::GradientClipping;
use burn::lr_scheduler::linear::LinearLrSchedulerConfig;
use burn::lr_scheduler::module_lr_scheduler::{ModuleLrScheduler, ModuleLrSchedulerConfig};
use burn::module::ParamGroup;
use wgpu_optim_burn::wgpu_optim::{Adagrad, Adam, Precision, Rule, Sgd};
use wgpu_optim_burn::{OptimError, WgpuOptim};

use super::support::{
    Cpu, Net, assert_bits, at_once, each, gradients, initial, module_optim, of_burn,
};

/// `bias` and `single`, numbers 1 and 3.
fn group() -> ParamGroup {
    ParamGroup::from_paths(vec!["bias", "single"])
}

fn in_group(index: usize) -> bool {
    [1, 3].contains(&index)
}

/// Rates that f32 has too: from 1/2 by 1/16 downwards, and from 1/4 by 1/64 in the group.
fn scheduler() -> ModuleLrScheduler {
    let linear = LinearLrSchedulerConfig::new;
    ModuleLrSchedulerConfig::new(linear(0.5, 0.25, 4).into())
        .with_group(group(), linear(0.25, 0.1875, 4))
        .init()
        .expect("valid schedules")
}

fn rate(index: usize, step: u64) -> f32 {
    let done = (step - 1) as f32;
    if in_group(index) { 0.25 - done / 64.0 } else { 0.5 - done / 16.0 }
}

#[test]
fn each_group_has_the_rate_of_its_scheduler() {
    let rule = Adam::default();
    let mut cpu = Cpu::new(rule, &initial(5));
    for number in 1..=4 {
        for (index, grads) in gradients(number).iter().enumerate() {
            cpu.optims[index].set_learning_rate(rate(index, number)).expect("a valid rate");
            cpu.step_one(index, grads);
        }
    }
    for (name, mut step) in each(rule, Precision::Exact) {
        let (mut net, mut scheduler) = (Net::new(5), scheduler());
        for number in 1..=4 {
            let grads = net.grads(&gradients(number));
            net = step(scheduler.step(), net, grads);
        }
        assert_bits(name, &net.values(), &cpu.params);
    }
}

/// Steps a net three times, and the CPU engine with one rule for the group and one for the rest.
fn compare(
    name: &str,
    mut step: super::support::Step,
    mut cpu: impl FnMut(usize, &[f32]) -> Vec<f32>,
) {
    let mut net = Net::new(5);
    let mut expected = Vec::new();
    for number in 1..=3 {
        let all = gradients(number);
        let grads = net.grads(&all);
        net = step(0.125.into(), net, grads);
        expected = all.iter().enumerate().map(|(index, grads)| cpu(index, grads)).collect();
    }
    assert_bits(name, &net.values(), &expected);
}

#[test]
fn burns_groups_have_rules_of_their_own() {
    let sgd = Sgd { learning_rate: 0.125, momentum: 0.9, ..Sgd::default() };
    let adagrad = Adagrad { learning_rate: 0.125, ..Adagrad::default() };
    let optim = WgpuOptim::with_precision(sgd, Precision::Exact).expect("a valid rule").init();
    let other = WgpuOptim::with_precision(adagrad, Precision::Exact).expect("a valid rule");
    let (mut base, mut special) = (Cpu::new(sgd, &initial(5)), Cpu::new(adagrad, &initial(5)));
    compare("Burn's groups", of_burn(optim.with_group(group(), other, None)), |index, grads| {
        if in_group(index) {
            special.step_one(index, grads);
            return special.params[index].clone();
        }
        base.step_one(index, grads);
        base.params[index].clone()
    });
}

#[test]
fn our_groups_have_hyper_parameters_of_their_own() {
    let rule = Adam { learning_rate: 0.125, ..Adam::default() };
    let other = Adam { beta1: 0.5, epsilon: 0.01, ..rule };
    let optim = module_optim(rule).with_precision(Precision::Exact);
    let optim = optim.with_group(group(), other).expect("the same vectors");
    let (mut base, mut special) = (Cpu::new(rule, &initial(5)), Cpu::new(other, &initial(5)));
    compare("our groups", at_once(optim), |index, grads| {
        let cpu = if in_group(index) { &mut special } else { &mut base };
        cpu.step_one(index, grads);
        cpu.params[index].clone()
    });
}

#[test]
fn a_group_of_other_vectors_is_an_error() {
    let amsgrad = Adam { amsgrad: true, ..Adam::default() };
    let error = module_optim(Adam::default()).with_group(group(), amsgrad).err();
    let (expected, found) = (Adam::default().state_names(), amsgrad.state_names());
    assert_eq!(error, Some(OptimError::State { expected, found }));
}

/// Burn clips each tensor by itself, ahead of the optimizer.
#[test]
fn burns_clipping_comes_first() {
    let rule = Sgd { learning_rate: 0.125, ..Sgd::default() };
    let optim = WgpuOptim::with_precision(rule, Precision::Exact).expect("a valid rule").init();
    let mut cpu = Cpu::new(rule, &initial(5));
    let optim = optim.with_grad_clipping(GradientClipping::Value(0.25));
    compare("clipping by value", of_burn(optim), |index, grads| {
        let clipped: Vec<f32> = grads.iter().map(|grad| grad.clamp(-0.25, 0.25)).collect();
        cpu.step_one(index, &clipped);
        cpu.params[index].clone()
    });
}
