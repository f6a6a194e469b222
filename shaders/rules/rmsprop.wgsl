// RMSProp's update of four parameters at a time.
//
// Twin: `RmsProp::update` in src/rules/rmsprop.rs, with the same operations in the same order.
// Mirror: `RmsPropUniforms` in src/rules/rmsprop.rs. State vectors: `square_average`; if centered
// also `gradient_average`; with momentum also `momentum_buffer`.

struct Hyper {
    learning_rate: Scalar,
    weight_decay: Scalar,
    smoothing: Scalar,
    share: Scalar,
    epsilon: Scalar,
    momentum: Scalar,
    padding_a: Scalar,
    padding_b: Scalar,
}

override epsilon_outside_root: bool;
override centered: bool;
override with_momentum: bool;

fn update(hyper: Hyper, parameter: Real, gradient: Real, state: ptr<function, State>) -> Real {
    let learning_rate = splat(hyper.learning_rate);
    let smoothing = splat(hyper.smoothing);
    let share = splat(hyper.share);
    let epsilon = splat(hyper.epsilon);

    let seen = decayed(hyper.weight_decay, parameter, gradient);
    let g = seen.g;

    let v = add(mul(smoothing, (*state).square_average), mul(share, square(g)));
    (*state).square_average = v;
    var deviation = v;
    if (centered) {
        let a = add(mul(smoothing, (*state).gradient_average), mul(share, g));
        (*state).gradient_average = a;
        deviation = maximum(sub(v, mul(a, a)), from_bits(vec4<u32>()));
    }
    var root: Real;
    if (epsilon_outside_root) {
        root = add(square_root(deviation), epsilon);
    } else {
        root = square_root(add(deviation, epsilon));
    }

    if (with_momentum) {
        let momentum = splat(hyper.momentum);
        let buffer = add(mul(momentum, (*state).momentum_buffer), div(g, root));
        (*state).momentum_buffer = buffer;
        return sub(seen.x, mul(learning_rate, buffer));
    }
    return sub(seen.x, div(mul(learning_rate, g), root));
}
