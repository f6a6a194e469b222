//! Modules and optimizers in other threads: Burn queues work by thread.

use std::thread;

use wgpu_optim_burn::WgpuOptim;
use wgpu_optim_burn::wgpu_optim::{Adam, Precision};

use super::support::{Cpu, Net, assert_bits, gradients, initial, module_optim};

fn rule() -> Adam {
    Adam { learning_rate: 0.125, ..Adam::default() }
}

fn cpu(seed: u64, steps: u64) -> Vec<Vec<f32>> {
    let mut cpu = Cpu::new(rule(), &initial(seed));
    (1..=steps).for_each(|number| cpu.step(&gradients(number)));
    cpu.params
}

fn in_a_thread<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(run).join().expect("a thread that ends well"))
}

/// Made here, stepped there, and here again; the gradients come from a third.
#[test]
fn a_module_is_trained_in_several_threads() {
    let launched = WgpuOptim::with_precision(rule(), Precision::Exact).expect("a valid rule");
    let mut launched = launched.init();
    let mut at_once = module_optim(rule()).with_precision(Precision::Exact);
    let mut nets = [Net::new(10), Net::new(10)];
    for number in 1..=4 {
        let grads = in_a_thread(|| nets.each_ref().map(|net| net.grads(&gradients(number))));
        let step = || {
            let ([a, b], [of_a, of_b]) = (nets.clone(), grads);
            [launched.step(0.125, a, of_a), at_once.step(0.125, b, of_b).expect("a step")]
        };
        nets = if number % 2 == 1 { in_a_thread(step) } else { step() };
    }
    let expected = cpu(10, 4);
    assert_bits("WgpuOptim", &nets[0].values(), &expected);
    assert_bits("WgpuModuleOptim", &nets[1].values(), &expected);
}

#[test]
fn threads_have_optimizers_of_their_own() {
    let train = |seed| {
        let mut at_once = module_optim(rule()).with_precision(Precision::Exact);
        let mut net = Net::new(seed);
        for number in 1..=10 {
            let grads = net.grads(&gradients(number));
            net = at_once.step(0.125, net, grads).expect("a step");
        }
        net.values()
    };
    let [a, b] = thread::scope(|scope| {
        [11, 12].map(|seed| scope.spawn(move || train(seed))).map(|thread| thread.join())
    });
    assert_bits("the first", &a.expect("a thread that ends well"), &cpu(11, 10));
    assert_bits("the second", &b.expect("a thread that ends well"), &cpu(12, 10));
}

/// Clones of an optimizer share what has been uploaded, but not what one thread does with it.
#[test]
fn threads_have_clones_of_one_optimizer() {
    let optim = WgpuOptim::with_precision(rule(), Precision::Exact).expect("a valid rule");
    let train = |seed: u64, optim: WgpuOptim<Adam>| {
        let (mut optim, mut net) = (optim.init(), Net::new(seed));
        let rate = |number| if seed == 11 { 0.125 } else { 0.125 / number as f32 };
        let mut cpu = Cpu::new(rule(), &initial(seed));
        for number in 1..=10 {
            let grads = net.grads(&gradients(number));
            net = optim.step(f64::from(rate(number)), net, grads);
            for optim in &mut cpu.optims {
                optim.set_learning_rate(rate(number)).expect("a valid rate");
            }
            cpu.step(&gradients(number));
        }
        assert_bits(&format!("seed {seed}"), &net.values(), &cpu.params);
    };
    thread::scope(|scope| {
        for seed in [11, 12] {
            let optim = optim.clone();
            scope.spawn(move || train(seed, optim));
        }
    });
}
