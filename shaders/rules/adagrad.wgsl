// Adagrad's update of four parameters at a time.
//
// Twin: `Adagrad::update` in src/rules/adagrad.rs, with the same operations in the same order.
// Mirror: `AdagradUniforms` in src/rules/adagrad.rs. State vector: `accumulator`.

struct Hyper {
    learning_rate: Scalar,
    epsilon: Scalar,
    weight_decay: Scalar,
    padding: Scalar,
}

override epsilon_outside_root: bool;

fn update(hyper: Hyper, parameter: Real, gradient: Real, state: ptr<function, State>) -> Real {
    let epsilon = splat(hyper.epsilon);

    let seen = decayed(hyper.weight_decay, parameter, gradient);
    let g = seen.g;

    let s = add((*state).accumulator, square(g));
    (*state).accumulator = s;
    var root: Real;
    if (epsilon_outside_root) {
        root = add(square_root(s), epsilon);
    } else {
        root = square_root(add(s, epsilon));
    }
    return sub(seen.x, div(mul(splat(hyper.learning_rate), g), root));
}
