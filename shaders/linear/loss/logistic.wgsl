// The logistic loss of four predictions, which are log-odds, for labels 0 and 1. Twin:
// `Loss::Logistic` in src/linear/loss.rs. Twin: `exp_negative` in src/numerics/elementary.rs, which
// explains the constants.

fn constant(bits: u32) -> Real { return from_bits(vec4<u32>(bits)); }

fn magnitude(a: Real) -> vec4<u32> { return to_bits(a) & vec4<u32>(0x7fffffffu); }

// exp(-a) for `a` of at least 0; NaN stays NaN.
fn exp_negative(argument: Real) -> Real {
    let largest = vec4<u32>(0x42ae0000u); // 87
    let bits = to_bits(argument);
    let beyond = bits > largest & bits <= vec4<u32>(0x7f800000u);
    let a = from_bits(select(bits, largest, beyond));
    // n is the integer part of t. It is below 2^24, so it is a shift of the significand.
    let t = to_bits(add(mul(a, constant(0x3fb8aa3bu)), constant(0x3f000000u)));
    let fraction = (t & vec4<u32>(0x007fffffu)) | vec4<u32>(0x00800000u);
    let shift = min(vec4<u32>(150u) - (t >> vec4<u32>(23u)), vec4<u32>(31u));
    let n = fraction >> shift;
    let whole = from_bits(bitcast<vec4<u32>>(vec4<f32>(n)));
    let high = sub(a, mul(whole, constant(0x3f318000u)));
    let u = negate(sub(high, mul(whole, constant(0xb95e8083u))));
    var sum = constant(0x39500d01u);
    sum = add(mul(sum, u), constant(0x3ab60b61u));
    sum = add(mul(sum, u), constant(0x3c088889u));
    sum = add(mul(sum, u), constant(0x3d2aaaabu));
    sum = add(mul(sum, u), constant(0x3e2aaaabu));
    sum = add(mul(sum, u), constant(0x3f000000u));
    sum = add(mul(sum, u), constant(0x3f800000u));
    sum = add(mul(sum, u), constant(0x3f800000u));
    return mul(sum, from_bits((vec4<u32>(127u) - n) << vec4<u32>(23u)));
}

// ln(1 + e) for `e` from 0 to 1.
fn log_one_plus(e: Real) -> Real {
    let z = div(e, add(constant(0x40000000u), e));
    let square = mul(z, z);
    var sum = constant(0x3e088889u);
    sum = add(mul(sum, square), constant(0x3e1d89d9u));
    sum = add(mul(sum, square), constant(0x3e3a2e8cu));
    sum = add(mul(sum, square), constant(0x3e638e39u));
    sum = add(mul(sum, square), constant(0x3e924925u));
    sum = add(mul(sum, square), constant(0x3ecccccdu));
    sum = add(mul(sum, square), constant(0x3f2aaaabu));
    sum = add(mul(sum, square), constant(0x40000000u));
    return mul(sum, z);
}

// Which labels are 1.
fn is_second(label: Real) -> vec4<bool> { return magnitude(label) != vec4<u32>(); }

fn derivative(prediction: Real, label: Real) -> Real {
    let e = exp_negative(from_bits(magnitude(prediction)));
    let one = constant(0x3f800000u);
    let negative = to_bits(prediction) >= vec4<u32>(0x80000000u);
    let size = div(select(e, one, negative == is_second(label)), add(one, e));
    return select(size, negate(size), is_second(label));
}

fn term(prediction: Real, label: Real) -> Real {
    let e = exp_negative(from_bits(magnitude(prediction)));
    let wrong = select(prediction, negate(prediction), is_second(label));
    let positive = to_bits(wrong) < vec4<u32>(0x80000000u);
    let linear = select(constant(0u), wrong, positive);
    return add(linear, log_one_plus(e));
}
