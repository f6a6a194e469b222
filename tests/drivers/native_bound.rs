//! Native steps against the exact trajectory, within the bound of running error analysis.

use wgpu_optim::numerics::{Running, Wgsl};
use wgpu_optim::rules::{OwnSquare, StateElement};
use wgpu_optim::{AnyRule, GpuOptimizer, Rule, with_rule};

use crate::Check;
use crate::driver::Driver;
use crate::reference::values;

pub(crate) const CHECKS: &[Check] = &[("native steps within the derived bound", within_the_bound)];

const LEN: usize = 1 << 12;
const STEPS: u32 = 20;

/// For every choice of formula of every rule, parameters and state lie within the accumulated bound
/// of the trajectory in double precision after each step.
fn within_the_bound(driver: &Driver) {
    for rule in AnyRule::examples() {
        with_rule!(rule, |rule| trajectory(driver, rule));
    }
}

fn trajectory<R: Rule>(driver: &Driver, rule: R) {
    let gpu = driver.gpu();
    let host = values(LEN, 11, 20);
    let (params, grads) = (gpu.upload(&host).unwrap(), gpu.zeros(LEN).unwrap());
    let mut optimizer = GpuOptimizer::new(gpu, rule, LEN).unwrap();
    let initial = rule.initial_state();
    let input = Running::<Wgsl>::input;
    let mut exact: Vec<_> = host
        .iter()
        .map(|&x| (input(x), R::State::from_fn(|k| input(initial.as_ref()[k]))))
        .collect();
    let mut bounded = 0;
    for step in 1..=STEPS {
        let gradient = values(LEN, 200 + step, 10);
        gpu.write(&grads, &gradient).unwrap();
        optimizer.step(&params, &grads).unwrap();
        let uniforms = rule.uniforms(u64::from(step));
        let device: Vec<Vec<f32>> = [&params]
            .into_iter()
            .chain((0..optimizer.state_count()).map(|k| optimizer.state(k)))
            .map(|vector| vector.download_blocking(gpu).unwrap())
            .collect();
        for (index, (x, state)) in exact.iter_mut().enumerate() {
            *x = rule.update(&uniforms, *x, input(gradient[index]), OwnSquare, state);
            let used = (0..).zip(state.as_ref()).filter(|(k, _)| rule.uses_state(*k));
            let expected = [*x].into_iter().chain(used.map(|(_, &value)| value));
            for (vector, expected) in device.iter().zip(expected) {
                let Some(allowed) = expected.error() else { continue };
                bounded += 1;
                let off = (f64::from(vector[index]) - expected.value()).abs();
                assert!(
                    off <= allowed,
                    "element {index}, step {step}, {rule:?} on {}: off by {off:e}, \
                     {expected:?}",
                    driver.name
                );
            }
        }
    }
    let all = LEN * STEPS as usize * (1 + optimizer.state_count());
    assert!(bounded > all / 10 * 9, "{rule:?}: {bounded} of {all} have a bound");
}
