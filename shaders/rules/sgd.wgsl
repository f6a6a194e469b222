// Gradient descent's update of four parameters at a time.
//
// `Hyper` mirrors `SgdUniforms`, and `update` the function of that name, in src/rules/sgd.rs: the
// same operations in the same order. With momentum one state vector: `momentum_buffer`.

struct Hyper {
    learning_rate: Scalar,
    weight_decay: Scalar,
    momentum: Scalar,
    gradient_share: Scalar,
}

override with_momentum: bool;
override nesterov: bool;
override l2_weight_decay: bool;
override decoupled_weight_decay: bool;
override maximize: bool;

fn update(hyper: Hyper, parameter: Real, gradient: Real, state: ptr<function, State>) -> Real {
    let learning_rate = splat(hyper.learning_rate);
    let weight_decay = splat(hyper.weight_decay);

    var x = parameter;
    var g = gradient;
    if (maximize) { g = negate(g); }
    if (l2_weight_decay) { g = add(g, mul(weight_decay, x)); }
    if (decoupled_weight_decay) { x = sub(x, mul(weight_decay, x)); }

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
    return sub(x, mul(learning_rate, g));
}
