//! Native steps against the exact result, by the bound that looks at each step's inputs.

use wgpu_optim::numerics::{Errors, StepBound, StepInput};
use wgpu_optim::{Adagrad, EpsilonPlacement, GpuOptimizer, Rule, WeightDecay};

use crate::Check;
use crate::driver::Driver;
use crate::reference::{values, variants};

pub(crate) const CHECKS: &[Check] = &[("native steps within the derived bound", within_the_bound)];

const LEN: usize = 1 << 14;
const STEPS: u32 = 20;

fn bound(rule: &Adagrad) -> StepBound {
    let bound = match rule.epsilon_placement {
        EpsilonPlacement::InsideRoot => StepBound::EPSILON_INSIDE,
        EpsilonPlacement::OutsideRoot => StepBound::EPSILON_OUTSIDE,
    };
    match rule.weight_decay {
        WeightDecay::None => bound,
        WeightDecay::L2(_) => bound.with_l2(),
        WeightDecay::Decoupled(_) => bound.with_decoupled(),
    }
}

/// After each of several steps, parameters and accumulators lie within the accumulated bound of
/// the trajectory in double precision, for every choice of formula.
fn within_the_bound(driver: &Driver) {
    let gpu = driver.gpu();
    for rule in variants() {
        let host = values(LEN, 11, 20);
        let (params, grads) = (gpu.upload(&host).unwrap(), gpu.zeros(LEN).unwrap());
        let mut optimizer = GpuOptimizer::new(gpu, rule, LEN).unwrap();
        let start =
            |&x: &f32| (f64::from(x), f64::from(rule.initial_accumulator), Errors::default());
        let mut exact: Vec<(f64, f64, Errors)> = host.iter().map(start).collect();
        for step in 1..=STEPS {
            let gradient = values(LEN, 200 + step, 10);
            gpu.write(&grads, &gradient).unwrap();
            optimizer.step(&params, &grads).unwrap();
            let uniforms = rule.uniforms(u64::from(step));
            let device_params = params.download_blocking(gpu).unwrap();
            let device_state = optimizer.state(0).download_blocking(gpu).unwrap();
            for (index, (x, s, errors)) in exact.iter_mut().enumerate() {
                let g = gradient[index];
                let input = StepInput {
                    parameter: *x,
                    gradient: if rule.maximize { -g } else { g },
                    accumulator: *s,
                    learning_rate: uniforms.learning_rate,
                    epsilon: uniforms.epsilon,
                    weight_decay: uniforms.weight_decay,
                };
                let Some(allowed) = bound(&rule).accumulate(&input, *errors) else {
                    panic!("{input:?} is outside the bound's domain");
                };
                let mut state = [*s];
                *x = rule.update(&uniforms, *x, f64::from(g), &mut state);
                (*s, *errors) = (state[0], allowed);
                let x_error = (f64::from(device_params[index]) - *x).abs();
                let s_error = (f64::from(device_state[index]) - *s).abs();
                assert!(
                    x_error <= errors.parameter && s_error <= errors.accumulator,
                    "element {index}, step {step}, {rule:?} on {}: x is off by {x_error:e}, \
                     s by {s_error:e}, allowed {errors:?}",
                    driver.name
                );
            }
        }
    }
}
