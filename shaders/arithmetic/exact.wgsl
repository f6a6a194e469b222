// Exact binary32 arithmetic in u32 operations.
//
// Value representation: Real is four IEEE 754 binary32 bit patterns, Scalar is one.
//
// Accuracy: every function gives the exact result rounded once, to nearest, ties to even.
// Subnormals are kept in operands and results, infinities and signed zeros are those of IEEE 754,
// and every NaN result is 0x7fc00000.
//
// Hardware: the bits of a result depend on u32 and i32 arithmetic only. f32 appears in two places.
//   1. Conversion of an integer of at most 24 significant bits, which WGSL defines to be exact.
//   2. Guesses of a quotient or a root, from normal numbers only, which an integer remainder then
//      corrects. A guess may be wrong by many ULP, and its arithmetic may round in any direction,
//      flush subnormals, or be fused.
//
// The code has no branches, because software devices run several invocations in lockstep and
// execute both sides of a branch. For any operands, no shift amount exceeds 31.

alias Real = vec4<u32>;
alias Scalar = u32;

const SIGN_BIT = vec4<u32>(0x80000000u);
const MAGNITUDE_BITS = vec4<u32>(0x7fffffffu);
const INFINITY_BITS = vec4<u32>(0x7f800000u);
const NAN_BITS = vec4<u32>(0x7fc00000u);
const FRACTION_BITS = vec4<u32>(0x007fffffu);
const HIDDEN_BIT = vec4<u32>(0x00800000u); // also the smallest normal magnitude
const FRACTION_WIDTH = vec4<u32>(23u);
const ZERO = vec4<u32>(0u);
const ONE = vec4<u32>(1u);

fn splat(a: Scalar) -> Real { return Real(a); }
fn from_bits(a: vec4<u32>) -> Real { return a; }
fn to_bits(a: Real) -> vec4<u32> { return a; }

fn negate(a: Real) -> Real {
    return select(a ^ SIGN_BIT, NAN_BITS, (a & MAGNITUDE_BITS) > INFINITY_BITS);
}

// Maps numbers to integers in the same order: -infinity is the smallest, and -0 is below +0.
fn ordered(a: vec4<u32>) -> vec4<i32> {
    let sign = bitcast<vec4<u32>>(bitcast<vec4<i32>>(a) >> vec4<u32>(31u)); // all ones or none
    return bitcast<vec4<i32>>(a ^ (sign >> ONE));
}

// The larger of two. NaN if either is NaN; +0 is larger than -0.
fn maximum(a: Real, b: Real) -> Real {
    let larger = select(b, a, ordered(a) > ordered(b));
    return select(larger, NAN_BITS, max(a & MAGNITUDE_BITS, b & MAGNITUDE_BITS) > INFINITY_BITS);
}

// The hardware's approximation of a quotient. It may be wrong by 28 ULP in `div`, and by far more
// in `square_root`.
fn quotient_guess(numerator: vec4<f32>, denominator: vec4<f32>) -> vec4<f32> {
    return numerator / denominator;
}

// The hardware's approximation of a square root. It may be wrong by 29 ULP.
fn root_guess(radicand: vec4<f32>) -> vec4<f32> {
    return sqrt(radicand);
}

// Normalizes a subnormal magnitude: gives it the leading one of normal numbers and a matching
// exponent field. The field is then below 1, a signed number in the top 9 bits. The conversion is
// exact (23 bits and 7 zeros). Its value is magnitude * 2^7, but the pattern stands for
// magnitude * 2^-149, so the field is lowered by 156. Zero gets field -156 and fraction 0: this is
// small enough that products with a finite number round to 0 and quotients by it overflow.
fn with_leading_one(magnitude: vec4<u32>) -> vec4<u32> {
    let scaled = bitcast<vec4<u32>>(vec4<f32>(vec4<i32>(magnitude << vec4<u32>(7u))));
    return select(magnitude, scaled - vec4<u32>(156u << 23u), magnitude < HIDDEN_BIT);
}

// The exponent field of what `with_leading_one` returns.
fn signed_field(normal: vec4<u32>) -> vec4<i32> {
    return vec4<i32>(normal) >> FRACTION_WIDTH;
}

// Rounds a product or quotient to a magnitude. `significand` is below 2^30. Its last bit is sticky:
// it stands for all bits below it. Its bit 28 is the hidden bit at exponent field 1 - `deficit`.
// `carry` is 1 where bit 29 is set, else 0.
//
// `extra` is the number of bits to drop in addition to 5: one for the carry, or as many as raise
// the field to 1, for a subnormal result. It is limited to 26: then the significand is less than
// half of 2^31, so the result is 0, as it should be. The hidden bit of a normal result adds 1 to
// the field, and so does rounding up to the next power of two.
fn round_to_magnitude(significand: vec4<u32>, deficit: vec4<i32>, carry: vec4<u32>) -> vec4<u32> {
    let extra = max(vec4<i32>(carry), deficit);
    let dropped = vec4<u32>(min(extra, vec4<i32>(26))) + vec4<u32>(5u);
    let odd = (significand >> dropped) & ONE;
    let below_half = MAGNITUDE_BITS >> (vec4<u32>(32u) - dropped); // 2^(dropped - 1) - 1
    let rounded = (significand + odd + below_half) >> dropped;
    // The field is at most 383, so the sum does not wrap. A sum above infinity has overflowed.
    return min((vec4<u32>(extra - deficit) << FRACTION_WIDTH) + rounded, INFINITY_BITS);
}

fn add(a: Real, b: Real) -> Real {
    let magnitude_a = a & MAGNITUDE_BITS;
    let magnitude_b = b & MAGNITUDE_BITS;
    let large = max(magnitude_a, magnitude_b);
    let small = min(magnitude_a, magnitude_b);
    // A subnormal has the scale of exponent field 1 and no hidden bit.
    let field_large = max(large >> FRACTION_WIDTH, ONE);
    let field_small = max(small >> FRACTION_WIDTH, ONE);
    // 24 bits of significand and 6 more. A distance of up to 6 loses no bits. For larger distances,
    // the leading bit of the total is at 28 or above, so the sticky bit 0 stays below the rounding
    // bit.
    let significand_large = (large - ((field_large - ONE) << FRACTION_WIDTH)) << vec4<u32>(6u);
    let significand_small = (small - ((field_small - ONE) << FRACTION_WIDTH)) << vec4<u32>(6u);
    let distance = min(field_large - field_small, vec4<u32>(31u));
    let shifted = significand_small >> distance;
    let lost = significand_small - (shifted << distance);
    let aligned = shifted | min(lost, ONE);
    let subtracting = ((a ^ b) & SIGN_BIT) != ZERO;
    // The total is below 2^31.
    let total = select(significand_large + aligned, significand_large - aligned, subtracting);

    // Move the leading bit to bit 30, but stop at exponent field 0: there the sum is subnormal, and
    // exact.
    let scale = min(countLeadingZeros(total) - ONE, field_large);
    let scaled = total << scale;
    let odd = (scaled >> vec4<u32>(7u)) & ONE;
    let rounded = (scaled + odd + vec4<u32>(63u)) >> vec4<u32>(7u);
    let finite = min(((field_large - scale) << FRACTION_WIDTH) + rounded, INFINITY_BITS);
    let magnitude = select(finite, INFINITY_BITS, large >= INFINITY_BITS);

    let sign = select(b, a, magnitude_a > magnitude_b) & SIGN_BIT;
    // Operands that cancel give +0. Two zeros of the same sign keep it.
    let signed = select(magnitude | sign, a & b & SIGN_BIT, total == ZERO);
    // NaN for a NaN operand, and for infinities that cancel (total is 0).
    return select(signed, NAN_BITS, large - min(total, ONE) >= INFINITY_BITS);
}

fn sub(a: Real, b: Real) -> Real {
    return add(a, b ^ SIGN_BIT);
}

fn mul(a: Real, b: Real) -> Real {
    let magnitude_a = a & MAGNITUDE_BITS;
    let magnitude_b = b & MAGNITUDE_BITS;
    let normal_a = with_leading_one(magnitude_a);
    let normal_b = with_leading_one(magnitude_b);
    let deficit = vec4<i32>(128) - signed_field(normal_a) - signed_field(normal_b);

    // Split the significands into halves of 12 bits. Their product is
    // high * 2^24 + (high_a * low_b + low_a * high_b) * 2^12 + low.
    let low_half = vec4<u32>(0xfffu);
    let high_a = ((normal_a & FRACTION_BITS) | HIDDEN_BIT) >> vec4<u32>(12u);
    let high_b = ((normal_b & FRACTION_BITS) | HIDDEN_BIT) >> vec4<u32>(12u);
    let low_a = normal_a & low_half;
    let low_b = normal_b & low_half;
    let low = low_a * low_b;
    let middle = high_a * low_b + low_a * high_b + (low >> vec4<u32>(12u)); // below 2^25
    let high = high_a * high_b;
    // The product divided by 2^22, in [2^24, 2^26), and whether any lower bit is set.
    let leading = (high << vec4<u32>(2u)) + (middle >> vec4<u32>(10u));
    let sticky = min((middle & vec4<u32>(0x3ffu)) | (low & low_half), ONE);
    let carry = leading >> vec4<u32>(25u);
    let finite = round_to_magnitude((leading << vec4<u32>(4u)) | sticky, deficit, carry);

    let large = max(magnitude_a, magnitude_b);
    let small = min(magnitude_a, magnitude_b);
    let magnitude = select(finite, INFINITY_BITS, large >= INFINITY_BITS);
    // NaN for a NaN operand, and for infinity times zero (small is 0).
    return select(
        magnitude | ((a ^ b) & SIGN_BIT), NAN_BITS, large - min(small, ONE) >= INFINITY_BITS);
}

fn div(a: Real, b: Real) -> Real {
    let magnitude_a = a & MAGNITUDE_BITS;
    let magnitude_b = b & MAGNITUDE_BITS;
    let normal_a = with_leading_one(magnitude_a);
    let normal_b = with_leading_one(magnitude_b);
    let fraction_a = normal_a & FRACTION_BITS;
    let fraction_b = normal_b & FRACTION_BITS;
    // If a's significand is the smaller one, double it, so that the quotient is in [1, 2).
    let doubled = (fraction_a - fraction_b) >> vec4<u32>(31u); // 1 or 0
    let deficit =
        signed_field(normal_b) - signed_field(normal_a) + vec4<i32>(doubled) - vec4<i32>(126);
    let numerator = (fraction_a | HIDDEN_BIT) << doubled;
    let denominator = fraction_b | HIDDEN_BIT;

    // The goal is floor(numerator * 2^24 / denominator), in [2^24, 2^25): the significand and a
    // rounding bit. numerator_f32 is numerator * 2^24.
    let numerator_f32 =
        bitcast<vec4<f32>>(fraction_a + (doubled << FRACTION_WIDTH) + vec4<u32>(0x57000000u));
    let reciprocal =
        quotient_guess(vec4<f32>(1.0), bitcast<vec4<f32>>(fraction_b | vec4<u32>(0x4b000000u)));
    let guess = vec4<u32>(vec4<i32>(numerator_f32 * reciprocal));
    // A reciprocal that is wrong by n ULP is wrong by a factor of at most 1 + n 2^-23, and the
    // product by 2^-23 more, so the guess is wrong by at most 4 n + 5. For n <= 28 that is less
    // than 120, and the remainder is less than 120 * 2^24 < 2^31. Computed modulo 2^32, it is
    // therefore exact, with its sign.
    let remainder = (numerator << vec4<u32>(24u)) - guess * denominator;
    // The error of the guess, remainder / denominator, to within 0.01. Subtracting a half and
    // rounding down leaves nearly / denominator in (0.49, 1.51), so one correction remains, by 0 or
    // 1.
    let error = vec4<f32>(vec4<i32>(remainder)) * reciprocal;
    // The argument of i32(), which truncates, is positive.
    let correction = vec4<u32>(vec4<i32>(error + vec4<f32>(127.5)) - vec4<i32>(128));
    let nearly = remainder - correction * denominator;
    let excess = nearly - denominator; // as a signed number in (-denominator, denominator)
    let quotient = guess + correction + ONE - (excess >> vec4<u32>(31u));
    let sticky = min(min(nearly, excess), ONE); // a negative excess is a large number here
    // Division by 0 gives fields up to 537. 301 is enough to overflow, and does not wrap in the
    // pattern.
    let finite = round_to_magnitude(
        (quotient << vec4<u32>(4u)) | sticky, max(deficit, vec4<i32>(-300)), ZERO);

    // 0 / b and infinity / b are a, apart from the sign. a / infinity is 0. a / 0 has overflowed
    // above.
    let a_is_special = magnitude_a - ONE >= INFINITY_BITS - ONE; // 0, infinity, NaN
    let magnitude =
        select(select(finite, ZERO, magnitude_b >= INFINITY_BITS), magnitude_a, a_is_special);
    let invalid = a_is_special & (magnitude_a == magnitude_b); // 0 / 0, infinity / infinity
    let is_nan = invalid | (max(magnitude_a, magnitude_b) > INFINITY_BITS);
    return select(magnitude | ((a ^ b) & SIGN_BIT), NAN_BITS, is_nan);
}

fn square_root(a: Real) -> Real {
    let magnitude = a & MAGNITUDE_BITS;
    let normal = with_leading_one(magnitude);
    // The radicand is scaled by an even power of two into [1, 4). An even exponent field means an
    // odd exponent.
    let scaled = (normal & vec4<u32>(0x00ffffffu)) ^ HIDDEN_BIT;
    let radicand = bitcast<vec4<f32>>(scaled + vec4<u32>(0x3f800000u));
    let significand = ((normal & FRACTION_BITS) | HIDDEN_BIT) << (scaled >> FRACTION_WIDTH);

    // The goal is sqrt(significand * 2^23), in [2^23, 2^24), rounded to the nearest integer. There
    // are no ties, because (r + 1/2)^2 is not an integer.
    let root_f32 = root_guess(radicand);
    let guess = vec4<i32>(root_f32 * vec4<f32>(8388608.0));
    // If the root is wrong by n ULP, the guess is wrong by at most 2 n + 1 (2 n because an ULP
    // above 2 is twice as large). For n <= 29 that is less than 60, and the remainder is less than
    // 60 * (2 * 2^24 + 180) < 2^31. Computed modulo 2^32, it is therefore exact, with its sign.
    let remainder = vec4<i32>(significand << FRACTION_WIDTH) - guess * guess;
    // The error of the guess, remainder / (2 * guess), to within 0.01. Rounding it down leaves a
    // difference between the root and nearly in (-0.01, 1.01), so one correction remains, by 0 or
    // 1.
    let error = vec4<f32>(remainder) * quotient_guess(vec4<f32>(0x1p-24), root_f32);
    // The argument of i32(), which truncates, is positive.
    let correction = vec4<i32>(error + vec4<f32>(64.0)) - vec4<i32>(64);
    let nearly = guess + correction;
    let remaining = remainder - correction * (guess + nearly); // significand * 2^23 - nearly^2
    // The root exceeds nearly + 1/2 exactly where remaining > nearly.
    let root = vec4<u32>(nearly) + (vec4<u32>(nearly - remaining) >> vec4<u32>(31u));
    // The hidden bit of the root adds 1 to the exponent field.
    let field = ((normal + vec4<u32>(0x3f800000u)) >> vec4<u32>(24u)) - ONE;
    let finite = (field << FRACTION_WIDTH) + root;

    let unchanged = (magnitude == ZERO) | (a == INFINITY_BITS);
    // As u32, the NaNs and everything negative are above +infinity.
    return select(
        select(finite, a, unchanged), NAN_BITS, (a > INFINITY_BITS) & (magnitude != ZERO));
}
