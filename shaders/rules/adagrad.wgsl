// Adagrad's update of four parameters at a time.
//
// `Hyper` mirrors `AdagradUniforms`, and `update` the function of that name, in
// src/rules/adagrad.rs: the same operations in the same order. One state vector: `accumulator`.

struct Hyper {
    learning_rate: Scalar,
    epsilon: Scalar,
    weight_decay: Scalar,
    padding: Scalar,
}

override epsilon_outside_root: bool;
override l2_weight_decay: bool;
override decoupled_weight_decay: bool;
override maximize: bool;

fn update(hyper: Hyper, parameter: Real, gradient: Real, state: ptr<function, State>) -> Real {
    let learning_rate = splat(hyper.learning_rate);
    let epsilon = splat(hyper.epsilon);
    let weight_decay = splat(hyper.weight_decay);

    var x = parameter;
    var g = gradient;
    if (maximize) { g = negate(g); }
    if (l2_weight_decay) { g = add(g, mul(weight_decay, x)); }
    if (decoupled_weight_decay) { x = sub(x, mul(weight_decay, x)); }

    let s = add((*state).accumulator, square(g));
    (*state).accumulator = s;
    var root: Real;
    if (epsilon_outside_root) {
        root = add(square_root(s), epsilon);
    } else {
        root = square_root(add(s, epsilon));
    }
    return sub(x, div(mul(learning_rate, g), root));
}
