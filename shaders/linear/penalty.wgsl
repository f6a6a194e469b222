// Adds the penalty's gradient, l1 * sign(w) + l2 * w, to the gradient of weights, but not of the
// bias. Twin: `Penalty::add` in src/linear/penalty.rs.

fn penalized(gradient: Real, weights: Real, is_weight: vec4<bool>) -> Real {
    var sum = gradient;
    if (job.l2 != Scalar()) { sum = add(sum, mul(splat(job.l2), weights)); }
    if (job.l1 != Scalar()) {
        let bits = to_bits(weights);
        let zero = (bits & vec4<u32>(0x7fffffffu)) == vec4<u32>();
        let sign =
            select((bits & vec4<u32>(0x80000000u)) | vec4<u32>(0x3f800000u), vec4<u32>(), zero);
        sum = add(sum, mul(splat(job.l1), from_bits(sign)));
    }
    return select(gradient, sum, is_weight);
}

// Which columns of a group of four are weights. The last column is the bias.
fn weights_in(column: u32) -> vec4<bool> {
    return vec4<u32>(4u * column) + vec4<u32>(1u, 2u, 3u, 4u) < vec4<u32>(job.columns);
}
