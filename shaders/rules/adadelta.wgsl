// AdaDelta's update of four parameters at a time.
//
// `Hyper` mirrors `AdaDeltaUniforms`, and `update` the function of that name, in
// src/rules/adadelta.rs: the same operations in the same order. Two state vectors:
// `square_average`, `delta_average`.

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

override l2_weight_decay: bool;
override decoupled_weight_decay: bool;
override maximize: bool;

fn update(hyper: Hyper, parameter: Real, gradient: Real, state: ptr<function, State>) -> Real {
    let learning_rate = splat(hyper.learning_rate);
    let weight_decay = splat(hyper.weight_decay);
    let rho = splat(hyper.rho);
    let share = splat(hyper.share);
    let epsilon = splat(hyper.epsilon);

    var x = parameter;
    var g = gradient;
    if (maximize) { g = negate(g); }
    if (l2_weight_decay) { g = add(g, mul(weight_decay, x)); }
    if (decoupled_weight_decay) { x = sub(x, mul(weight_decay, x)); }

    let v = add(mul(rho, (*state).square_average), mul(share, square(g)));
    let u = (*state).delta_average;
    let ratio = div(square_root(add(u, epsilon)), square_root(add(v, epsilon)));
    let delta = mul(ratio, g);
    (*state).square_average = v;
    (*state).delta_average = add(mul(rho, u), mul(share, mul(delta, delta)));
    return sub(x, mul(learning_rate, delta));
}
