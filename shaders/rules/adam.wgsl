// Adam's update of four parameters at a time.
//
// Twin: `Adam::update` in src/rules/adam.rs, with the same operations in the same order. Mirror:
// `AdamUniforms` in src/rules/adam.rs. State vectors: `gradient_average` and `square_average`; with
// AMSGrad also `largest_square_average`.

struct Hyper {
    learning_rate: Scalar,
    weight_decay: Scalar,
    beta1: Scalar,
    share1: Scalar,
    beta2: Scalar,
    share2: Scalar,
    epsilon: Scalar,
    padding: Scalar,
}

override amsgrad: bool;

fn update(hyper: Hyper, parameter: Real, gradient: Real, state: ptr<function, State>) -> Real {
    let seen = decayed(hyper.weight_decay, parameter, gradient);
    let g = seen.g;

    let m = add(mul(splat(hyper.beta1), (*state).gradient_average), mul(splat(hyper.share1), g));
    let v =
        add(mul(splat(hyper.beta2), (*state).square_average), mul(splat(hyper.share2), square(g)));
    (*state).gradient_average = m;
    (*state).square_average = v;
    var largest = v;
    if (amsgrad) {
        largest = maximum((*state).largest_square_average, v);
        (*state).largest_square_average = largest;
    }
    let root = add(square_root(largest), splat(hyper.epsilon));
    return sub(seen.x, div(mul(splat(hyper.learning_rate), m), root));
}
