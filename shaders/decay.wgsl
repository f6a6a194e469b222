// The parameter and gradient that a rule uses: negates the gradient if `maximize`, then applies
// weight decay. Twin: `WeightDecay::apply` in src/rules/options.rs.

override maximize: bool = false;
override l2_weight_decay: bool = false;
override decoupled_weight_decay: bool = false;

struct Decayed {
    x: Real,
    g: Real,
}

fn decayed(weight_decay: Scalar, parameter: Real, gradient: Real) -> Decayed {
    let decay = splat(weight_decay);
    var x = parameter;
    var g = gradient;
    if (maximize) { g = negate(g); }
    if (l2_weight_decay) { g = add(g, mul(decay, x)); }
    if (decoupled_weight_decay) { x = sub(x, mul(decay, x)); }
    return Decayed(x, g);
}
