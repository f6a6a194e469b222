//! Records, through Burn's own recorder: an optimizer that was saved and loaded goes on with the bits of
//! one that never was.

use burn::module::Module;
use burn::optim::{ModuleOptimizer, OptimizerRecord};
use wgpu_optim_burn::wgpu_optim::{AdaDelta, Adagrad, Adam, Precision, RmsProp, Rule, Sgd};
use wgpu_optim_burn::{OptimError, WgpuModuleOptim, WgpuOptim};

use super::support::{Net, Step, assert_bits, gradients, module_optim, of_burn};

const RATE: f64 = 0.125;

fn launched<R: Rule>(rule: R) -> ModuleOptimizer {
    WgpuOptim::with_precision(rule, Precision::Exact).expect("a valid rule").init()
}

fn at_once<R: Rule>(rule: R) -> WgpuModuleOptim<R> {
    module_optim(rule).with_precision(Precision::Exact)
}

/// Through the bytes of a file.
fn recorded(record: OptimizerRecord) -> OptimizerRecord {
    let bytes = record.into_bytes().expect("a record is bytes");
    OptimizerRecord::from_bytes(bytes).expect("and back")
}

/// Steps a net by both optimizers, saves and loads each, and steps on; also each from the other's record.
fn resumes<R: Rule>(rule: R) {
    let (mut burns, mut ours) = (launched(rule), at_once(rule));
    let mut net = [Net::new(4), Net::new(4)];
    for number in 1..=3 {
        net = step(net, number, &mut burns, &mut ours);
    }
    let records = [recorded(burns.to_record()), recorded(ours.to_record())];
    let lens = records.each_ref().map(OptimizerRecord::len);
    assert_eq!(lens, [5 * rule.state_names().len(); 2], "{rule:?}: tensors in a record");
    // The parameters of the two nets have ids of their own.
    let [of_burns, of_ours] = records;
    let mut loaded = (launched(rule).load_record(of_burns), at_once(rule).load_record(of_ours));
    let mut crossed = {
        let (a, b) = (recorded(ours.to_record()), recorded(burns.to_record()));
        (launched(rule).load_record(a), at_once(rule).load_record(b))
    };
    let mut of_loaded = net.clone();
    let [a, b] = net.clone();
    let mut of_crossed = [b, a];
    for number in 4..=5 {
        net = step(net, number, &mut burns, &mut ours);
        of_loaded = step(of_loaded, number, &mut loaded.0, &mut loaded.1);
        of_crossed = step(of_crossed, number, &mut crossed.0, &mut crossed.1);
    }
    let expected = net[0].values();
    for (what, net) in [("never saved", &net), ("loaded", &of_loaded), ("crossed", &of_crossed)] {
        for net in net {
            assert_bits(&format!("{rule:?}, {what}"), &net.values(), &expected);
        }
    }
}

fn step<R: Rule>(
    [a, b]: [Net; 2],
    number: u64,
    burns: &mut ModuleOptimizer,
    ours: &mut WgpuModuleOptim<R>,
) -> [Net; 2] {
    let grads = gradients(number);
    let (of_a, of_b) = (a.grads(&grads), b.grads(&grads));
    [burns.step(RATE, a, of_a), ours.step(RATE, b, of_b).expect("a step")]
}

/// Without state vectors, and with a dampening that knows the first step.
#[test]
fn of_sgd() {
    resumes(Sgd::default());
    resumes(Sgd { momentum: 0.5, dampening: 0.25, ..Sgd::default() });
}

/// With a rate that knows the number of the step.
#[test]
fn of_adagrad() {
    resumes(Adagrad { learning_rate_decay: 0.25, initial_accumulator: 0.1, ..Adagrad::default() });
}

#[test]
fn of_rmsprop() {
    resumes(RmsProp::default());
    resumes(RmsProp { centered: true, momentum: 0.5, ..RmsProp::default() });
}

#[test]
fn of_adadelta() {
    resumes(AdaDelta::default());
}

#[test]
fn of_adam() {
    resumes(Adam::default());
    resumes(Adam { amsgrad: true, ..Adam::default() });
}

/// A record is of the moment it was made, whenever it is written: Burn writes checkpoints in a thread of
/// its own, while training goes on.
#[test]
fn are_not_changed_by_steps_behind_them() {
    let rule = Adam::default();
    let (mut burns, mut ours) = (launched(rule), at_once(rule));
    let nets = step([Net::new(4), Net::new(4)], 1, &mut burns, &mut ours);
    let before = [burns.to_record(), ours.to_record()].map(|record| record.into_bytes());
    let records = [burns.to_record(), ours.to_record()];
    let nets = step(nets, 2, &mut burns, &mut ours);
    let _ = nets.each_ref().map(Net::values);
    for (record, before) in records.into_iter().zip(before) {
        assert!(record.into_bytes().expect("bytes")[..] == before.expect("bytes")[..]);
    }
}

/// The same of a module's record.
fn modules_record_stays(mut step: Step) {
    let net = Net::new(4);
    let grads = net.grads(&gradients(1));
    let net = step(RATE.into(), net, grads);
    let before = net.values();
    let record = net.clone().into_record();
    let grads = net.grads(&gradients(2));
    let net = step(RATE.into(), net, grads);
    assert!(net.values() != before);
    assert_bits("the record", &Net::new(1).load_record(record).values(), &before);
}

#[test]
fn of_modules_are_not_changed_by_launched_steps() {
    modules_record_stays(of_burn(launched(Sgd::default())));
}

#[test]
fn of_modules_are_not_changed_by_steps_at_once() {
    modules_record_stays(super::support::at_once(at_once(Sgd::default())));
}

#[test]
fn of_modules_are_not_changed_by_burns_own_steps() {
    modules_record_stays(of_burn(burn::optim::SgdConfig::new().init()));
}

/// The record of Adam without AMSGrad has no largest averages.
#[test]
fn of_other_vectors_are_an_error() {
    let amsgrad = Adam { amsgrad: true, ..Adam::default() };
    let (expected, found) = (amsgrad.state_names(), Adam::default().state_names());
    let mut plain = at_once(Adam::default());
    let net = Net::new(4);
    let grads = net.grads(&gradients(1));
    let net = plain.step(RATE, net, grads).expect("a step");
    let before = net.values();
    let record = || recorded(plain.to_record());

    let mut other = at_once(amsgrad).load_record(record());
    let grads = net.grads(&gradients(2));
    let failed = other.step(RATE, net, grads).expect_err("another rule's state");
    assert_eq!(failed.error, OptimError::State { expected, found });
    assert_eq!(
        failed.to_string(),
        "the rule has the state vectors [\"gradient_average\", \"square_average\", \
         \"largest_square_average\"], but the state has [\"gradient_average\", \"square_average\"]"
    );
    assert_bits("a step that failed", &failed.module.values(), &before);

    // The same record suits the rule that wrote it.
    let net = failed.module;
    let mut right = at_once(Adam::default()).load_record(record());
    let (of_right, of_plain) = (net.grads(&gradients(2)), net.grads(&gradients(2)));
    let resumed = right.step(RATE, net.clone(), of_right).expect("a step");
    let net = plain.step(RATE, net, of_plain).expect("a step");
    assert_bits("the right rule", &resumed.values(), &net.values());
}

/// Burn's trait has no way to return an error: it panics with the same message.
#[test]
fn of_other_vectors_panic_in_burns_own_trait() {
    let mut plain = launched(Adam::default());
    let net = Net::new(4);
    let grads = net.grads(&gradients(1));
    let net = plain.step(RATE, net, grads);
    let mut other =
        launched(Adam { amsgrad: true, ..Adam::default() }).load_record(plain.to_record());
    let grads = net.grads(&gradients(2));
    let message = super::errors::panic_message(|| drop(other.step(RATE, net, grads)));
    assert!(message.starts_with("the rule has the state vectors"), "{message}");
}
