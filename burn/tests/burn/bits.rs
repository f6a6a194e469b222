//! Exact precision has the bits of the CPU engine; native precision has the same bits either way.

use burn::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use wgpu_optim_burn::wgpu_optim::{AdaDelta, Adagrad, Adam, Precision, RmsProp, Rule, Sgd};

use super::support::{Cpu, Net, Step, assert_bits, each, gradients, initial};

const STEPS: u64 = 4;

/// Some of a rule's choices of formula: the first, the last, and those between at a distance.
fn some<R: Rule>() -> Vec<R> {
    let all = R::examples();
    let last = all.len() - 1;
    (0..=last).filter(|&index| index % 4 == 0 || index == last).map(|index| all[index]).collect()
}

/// The rates of the steps: the rule's own, then half of it, and so on.
fn rate<R: Rule>(rule: &R, step: u64) -> f32 {
    rule.learning_rate() / step as f32
}

fn run<R: Rule>(rule: &R, mut step: Step) -> Vec<Vec<f32>> {
    let mut net = Net::new(1);
    for number in 1..=STEPS {
        let grads = net.grads(&gradients(number));
        net = step(ModuleLearningRate::from(f64::from(rate(rule, number))), net, grads);
    }
    net.values()
}

fn exact<R: Rule>() {
    for rule in some::<R>() {
        let mut cpu = Cpu::new(rule, &initial(1));
        for number in 1..=STEPS {
            for optim in &mut cpu.optims {
                optim.set_learning_rate(rate(&rule, number)).expect("a valid rate");
            }
            cpu.step(&gradients(number));
        }
        for (name, step) in each(rule, Precision::Exact) {
            assert_bits(&format!("{name}, {rule:?}"), &run(&rule, step), &cpu.params);
        }
    }
}

/// All run the rule's own WGSL, which a driver compiles to the same arithmetic wherever it is called
/// from. WGSL does not promise so, but each driver that is tested here keeps it.
fn native<R: Rule>() {
    for rule in some::<R>().into_iter().take(2) {
        let [(_, launched), others @ ..] = each(rule, Precision::Native);
        let launched = run(&rule, launched);
        for (name, step) in others {
            assert_bits(&format!("{name}, {rule:?}"), &run(&rule, step), &launched);
        }
    }
}

macro_rules! rules {
    ($($name:ident: $Rule:ty;)+) => {
        mod exact_precision_has_the_bits_of_the_cpu_engine {
            $(#[test] fn $name() { super::exact::<$Rule>(); })+
            use super::*;
        }
        mod native_precision_has_the_same_bits_either_way {
            $(#[test] fn $name() { super::native::<$Rule>(); })+
            use super::*;
        }
    };
}

rules! {
    sgd: Sgd;
    adagrad: Adagrad;
    rmsprop: RmsProp;
    adadelta: AdaDelta;
    adam: Adam;
}
