// Gradient descent's update of four parameters at a time.
//
// Twin: `Sgd::update` in src/rules/sgd.rs, with the same operations in the same order. Mirror:
// `SgdUniforms` in src/rules/sgd.rs. State vector, with momentum only: `momentum_buffer`.

struct Hyper {
    learning_rate: Scalar,
    weight_decay: Scalar,
    momentum: Scalar,
    gradient_share: Scalar,
}

override with_momentum: bool;
override nesterov: bool;

fn update(hyper: Hyper, parameter: Real, gradient: Real, state: ptr<function, State>) -> Real {
    let seen = decayed(hyper.weight_decay, parameter, gradient);
    var g = seen.g;

    if (with_momentum) {
        let momentum = splat(hyper.momentum);
        let share = splat(hyper.gradient_share);
        let buffer = add(mul(momentum, (*state).momentum_buffer), mul(share, g));
        (*state).momentum_buffer = buffer;
        if (nesterov) {
            g = add(g, mul(momentum, buffer));
        } else {
            g = buffer;
        }
    }
    return sub(seen.x, mul(splat(hyper.learning_rate), g));
}
