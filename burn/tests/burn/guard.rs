//! The guard over the gradients of all parameters together.

use burn::optim::GradientsParams;
use wgpu_optim_burn::wgpu_optim::{
    Adam, CpuGroupOptimizer, GradientGuard, GuardReport, NonFinite, ParamGroup, Precision, Sgd,
    TensorGradient,
};

use super::support::{LENS, Net, assert_bits, gradients, initial, like, module_optim};

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

/// Both engines over the same gradients; `None` is a parameter without.
fn compare(guard: GradientGuard, steps: &[[Option<Vec<f32>>; 5]]) -> GuardReport {
    let groups = [ParamGroup { rule: RULE, lens: LENS.to_vec() }];
    let mut cpu = CpuGroupOptimizer::new(&groups).expect("a valid rule");
    cpu = cpu.with_guard(guard).expect("a valid guard");
    let optim = module_optim(RULE).with_precision(Precision::Exact);
    let mut optim = optim.with_guard(guard).expect("a valid guard");
    let (mut net, mut params) = (Net::new(6), initial(6));
    for step in steps {
        let mixed = step.each_ref().map(|grads| match grads {
            Some(grads) => TensorGradient::Dense(&grads[..]),
            None => TensorGradient::Missing,
        });
        let mut slices = params.each_mut().map(|params| &mut params[..]);
        cpu.step_mixed(&mut slices, &mixed).expect("a step");
        let grads = given(&net, step);
        net = optim.step(f64::from(RULE.learning_rate), net, grads).expect("a step");
        assert_bits(&format!("{guard:?}"), &net.values(), &params);
    }
    let report = optim.report_blocking().expect("a report");
    assert_eq!(report, cpu.report());
    report
}

fn given(net: &Net, all: &[Option<Vec<f32>>; 5]) -> GradientsParams {
    let zeros = LENS.map(|len| vec![0.0; len]);
    let mut grads = net.grads(&zeros);
    let [weight, bias, kernel, single, wide] = all;
    let params = [(&net.weight, weight), (&net.wide, wide)];
    params.iter().for_each(|(param, grad)| set(&mut grads, param, grad));
    let params = [(&net.bias, bias), (&net.single, single)];
    params.iter().for_each(|(param, grad)| set(&mut grads, param, grad));
    set(&mut grads, &net.kernel, kernel);
    grads
}

fn set<const D: usize>(
    grads: &mut GradientsParams,
    param: &burn::module::Param<burn::tensor::Tensor<D>>,
    values: &Option<Vec<f32>>,
) {
    let _ = grads.remove::<D>(param.id);
    if let Some(values) = values {
        grads.register(param.id, like(param, values));
    }
}

fn all(step: u64) -> [Option<Vec<f32>>; 5] {
    gradients(step).map(Some)
}

/// The norm of 1,160 numbers in -1..1 is some 19.7: clipped to 1, all are a twentieth.
#[test]
fn the_global_norm_is_clipped_as_on_the_cpu() {
    let guard = GradientGuard { max_norm: Some(1.0), ..GradientGuard::default() };
    let report = compare(guard, &[all(1), all(2), all(3)]);
    let norm = report.norm.expect("a norm");
    assert!((18.0..22.0).contains(&norm), "{norm}");
}

#[test]
fn a_norm_below_the_largest_is_left_alone() {
    let guard = GradientGuard { max_norm: Some(1000.0), ..GradientGuard::default() };
    compare(guard, &[all(1), all(2)]);
}

/// The norm is of the gradients that there are.
#[test]
fn a_missing_gradient_is_not_in_the_norm() {
    let guard = GradientGuard { max_norm: Some(1.0), ..GradientGuard::default() };
    let mut step = all(2);
    (step[0], step[4]) = (None, None);
    let report = compare(guard, &[all(1), step]);
    let norm = report.norm.expect("a norm");
    assert!((5.0..7.0).contains(&norm), "{norm}");
}

fn with_nan() -> [Option<Vec<f32>>; 5] {
    let mut step = gradients(2);
    step[2][17] = f32::NAN;
    step[4][1024] = f32::INFINITY;
    step.map(Some)
}

#[test]
fn a_step_with_nan_is_skipped() {
    let guard = GradientGuard { non_finite: NonFinite::SkipStep, max_norm: Some(1.0) };
    let report = compare(guard, &[all(1), with_nan(), all(3)]);
    let first = Some((LENS[0] + LENS[1] + 17) as u64);
    assert_eq!((report.non_finite, report.first, report.skipped_steps), (2, first, 1));
}

#[test]
fn an_element_with_nan_is_skipped_alone() {
    let guard = GradientGuard { non_finite: NonFinite::SkipElement, max_norm: None };
    let report = compare(guard, &[all(1), with_nan(), all(3)]);
    assert_eq!((report.non_finite, report.skipped_steps), (2, 0));
}

/// In native precision too, the bits stay.
#[test]
fn a_skipped_step_leaves_the_modules_bits() {
    let guard = GradientGuard { non_finite: NonFinite::SkipStep, max_norm: None };
    let rule = Sgd { momentum: 0.9, ..Sgd::default() };
    let mut optim = module_optim(rule).with_guard(guard).expect("a valid guard");
    let net = Net::new(6);
    let grads = given(&net, &with_nan());
    let net = optim.step(0.1, net, grads).expect("a step that is skipped");
    assert_bits("a skipped step", &net.values(), &initial(6));
    assert_eq!(optim.report_blocking().expect("a report").skipped_steps, 1);
}

#[test]
fn a_norm_outside_its_domain_is_an_error() {
    for max_norm in [0.0, -1.0, f32::NAN] {
        let guard = GradientGuard { max_norm: Some(max_norm), ..GradientGuard::default() };
        let error = module_optim(RULE).with_guard(guard).err().expect("an invalid guard");
        assert!(error.to_string().contains("max_norm"), "{error}");
    }
}
