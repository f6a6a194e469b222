// AdaDelta's update of four parameters at a time.
//
// Twin: `AdaDelta::update` in src/rules/adadelta.rs, with the same operations in the same order.
// Mirror: `AdaDeltaUniforms` in src/rules/adadelta.rs. State vectors: `square_average` and
// `delta_average`.

struct Hyper {
    learning_rate: Scalar,
    weight_decay: Scalar,
    rho: Scalar,
    share: Scalar,
    epsilon: Scalar,
    padding_a: Scalar,
    padding_b: Scalar,
    padding_c: Scalar,
}

fn update(hyper: Hyper, parameter: Real, gradient: Real, state: ptr<function, State>) -> Real {
    let rho = splat(hyper.rho);
    let share = splat(hyper.share);
    let epsilon = splat(hyper.epsilon);

    let seen = decayed(hyper.weight_decay, parameter, gradient);
    let g = seen.g;

    let v = add(mul(rho, (*state).square_average), mul(share, square(g)));
    let u = (*state).delta_average;
    let ratio = div(square_root(add(u, epsilon)), square_root(add(v, epsilon)));
    let delta = mul(ratio, g);
    (*state).square_average = v;
    (*state).delta_average = add(mul(rho, u), mul(share, mul(delta, delta)));
    return sub(seen.x, mul(splat(hyper.learning_rate), delta));
}
