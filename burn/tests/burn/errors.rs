//! What cannot be stepped says so, changes nothing, and leaves the optimizer usable.

use std::panic::{AssertUnwindSafe, catch_unwind};

use burn::module::Param;
use burn::optim::GradientsParams;
use burn::tensor::{DType, Tensor};
use wgpu_optim_burn::wgpu_optim::{Adagrad, Adam, GroupError, Precision, Sgd, StepError};
use wgpu_optim_burn::{OptimError, WgpuModuleOptim, WgpuOptim};

use super::support::{
    Cpu, Net, another_device, assert_bits, each, gradients, initial, module_optim, shared,
};

/// What `run` panics with.
pub fn panic_message(run: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(run)).expect_err("a panic");
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => payload.downcast_ref::<&str>().copied().unwrap_or_default().to_owned(),
    }
}

#[test]
fn a_hyper_parameter_outside_its_domain() {
    let rule = Adagrad { epsilon: -1.0, ..Adagrad::default() };
    let errors = [WgpuOptim::new(rule).err(), WgpuModuleOptim::new(&shared().gpu, rule).err()];
    for error in errors {
        let error = error.expect("an invalid rule");
        assert!(matches!(error, OptimError::Rule(_)), "{error:?}");
        assert!(error.to_string().starts_with("epsilon"), "{error}");
    }
}

/// A step fails by `spoil`, which returns the rate, the module and its gradients, with an error that `check` knows; the steps before and behind are those of
/// the CPU engine.
pub fn fails_and_recovers(
    spoil: impl Fn(Net) -> (f64, Net, GradientsParams),
    check: impl Fn(&OptimError),
) {
    // Its step counts are in its bits.
    let rule = Adam { learning_rate: 0.125, ..Adam::default() };
    let mut optim = module_optim(rule).with_precision(Precision::Exact);
    let mut cpu = Cpu::new(rule, &initial(7));
    let net = Net::new(7);
    let grads = net.grads(&gradients(1));
    let net = optim.step(0.125, net, grads).expect("a step");
    cpu.step(&gradients(1));

    let (rate, spoilt, grads) = spoil(net.clone());
    let failed = optim.step(rate, spoilt, grads).expect_err("an error");
    check(&failed.error);

    assert_bits("behind a step that failed", &net.values(), &cpu.params);
    let grads = net.grads(&gradients(3));
    let net = optim.step(0.125, net, grads).expect("a step");
    cpu.step(&gradients(3));
    assert_bits("a step behind one that failed", &net.values(), &cpu.params);
}

#[test]
fn a_learning_rate_that_is_not_finite() {
    fails_and_recovers(
        |net| {
            let grads = net.grads(&gradients(2));
            (f64::NAN, net, grads)
        },
        |error| {
            assert!(matches!(error, OptimError::Rule(_)), "{error:?}");
            assert!(error.to_string().contains("learning_rate"), "{error}");
        },
    );
}

/// In Burn's own trait, it panics.
#[test]
fn a_negative_learning_rate_panics_in_burns_own_trait() {
    let mut optim = WgpuOptim::new(Sgd::default()).expect("a valid rule").init();
    let net = Net::new(7);
    let grads = net.grads(&gradients(1));
    let message = panic_message(|| drop(optim.step(-0.1, net, grads)));
    assert!(message.contains("learning_rate"), "{message}");
}

/// 1e-42 is subnormal in f32, and 1e-60 is 0.
#[test]
fn a_learning_rate_that_has_decayed_to_nothing_changes_no_parameter() {
    for (name, mut step) in each(Sgd::default(), Precision::Exact) {
        for rate in [1e-42, 1e-60, 0.0] {
            let net = Net::new(7);
            let grads = net.grads(&gradients(1));
            let net = step(rate.into(), net, grads);
            assert_bits(&format!("{name}, {rate:e}"), &net.values(), &initial(7));
        }
    }
}

/// The last parameter as f16; its step is asked for when those of the others have been.
fn half(net: Net) -> Net {
    let wide = Param::initialized(net.wide.id, net.wide.val().inner().cast(DType::F16));
    Net { wide: wide.map(|wide| Tensor::from_inner(wide).require_grad()), ..net }
}

const HALF: &str = "a tensor cannot be stepped, since it is not f32 on a wgpu device: \
                    the parameter is of type f16";

#[test]
fn a_tensor_of_another_type() {
    if !shared().device.supports_dtype(DType::F16) {
        return println!("This device has no f16");
    }
    let spoil = |net| {
        let net = half(net);
        let grads = net.grads(&gradients(2));
        (0.125, net, grads)
    };
    fails_and_recovers(spoil, |error| assert_eq!(error.to_string(), HALF));
}

#[test]
fn a_tensor_of_another_type_panics_in_burns_own_trait() {
    if !shared().device.supports_dtype(DType::F16) {
        return println!("This device has no f16");
    }
    let mut optim = WgpuOptim::new(Sgd::default()).expect("a valid rule").init();
    let net = half(Net::new(7));
    let grads = net.grads(&gradients(1));
    assert_eq!(panic_message(|| drop(optim.step(0.1, net, grads))), HALF);
}

#[test]
fn a_module_on_another_device() {
    let mut optim = module_optim(Sgd::default());
    let net = Net::on(another_device(), 7);
    let grads = net.grads(&gradients(1));
    let failed = optim.step(0.125, net, grads).expect_err("another device");
    let error = failed.error;
    let foreign = |error: &OptimError| {
        matches!(error, OptimError::Step(GroupError::Step(StepError::ForeignBuffer { .. })))
    };
    assert!(foreign(&error), "{error:?}");
    assert!(error.to_string().starts_with("a buffer is not usable on this device"), "{error}");
    assert_bits("a step that failed", &failed.module.values(), &initial(7));
    // The optimizer goes on.
    let net = Net::new(7);
    let grads = net.grads(&gradients(1));
    optim.step(0.125, net, grads).expect("a step");
}

/// Steps that Burn's runtime launches go wherever the tensors are: also from one device to another.
#[test]
fn one_optimizer_steps_modules_of_two_devices() {
    let rule = Sgd { learning_rate: 0.125, momentum: 0.5, ..Sgd::default() };
    let optim = WgpuOptim::with_precision(rule, Precision::Exact).expect("a valid rule");
    let mut optim = optim.init();
    let mut cpu = Cpu::new(rule, &initial(7));
    let mut nets = [Net::new(7), Net::on(another_device(), 7)];
    for number in 1..=2 {
        nets = nets.map(|net| {
            let grads = net.grads(&gradients(number));
            optim.step(0.125, net, grads)
        });
        cpu.step(&gradients(number));
    }
    for (device, net) in nets.iter().enumerate() {
        assert_bits(&format!("device {device}"), &net.values(), &cpu.params);
    }
}
