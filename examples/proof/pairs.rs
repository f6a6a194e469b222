//! Pairs of operands: random bit patterns, and families of cases that are hard to round.

use crate::random::{Random, fill_pairs};

/// A family of pairs.
pub(crate) type Family = fn(&mut Random) -> (u32, u32);

/// All families. Batches cycle through them.
pub(crate) const FAMILIES: [Family; 16] = [
    any_patterns,
    nearby_exponents,
    cancellation,
    halfway_sum,
    halfway_product,
    nearly_halfway_product,
    nearly_halfway_quotient,
    exact_quotient,
    product_near_underflow,
    quotient_near_underflow,
    product_near_overflow,
    quotient_near_overflow,
    sum_near_overflow,
    subnormal_operand,
    powers_of_two,
    special_operands,
];

/// Bits of a fraction. A significand has one more, the hidden bit.
const FRACTION_WIDTH: u32 = 23;
const HIDDEN_BIT: u32 = 1 << FRACTION_WIDTH;
const FRACTION_BITS: u32 = HIDDEN_BIT - 1;
const MAGNITUDE_BITS: u32 = 0x7fff_ffff;
/// The exponent field of the largest finite numbers.
const LARGEST_FIELD: i32 = 254;
const BIAS: i32 = 127;

/// Fills in batch `batch` of the pairs of `seed`.
pub(crate) fn fill_batch(seed: u64, batch: u64, left: &mut [u32], right: &mut [u32]) {
    let family = FAMILIES[(batch % FAMILIES.len() as u64) as usize];
    fill_pairs(seed ^ (batch << 16), left, right, family);
}

/// Every exponent field and sign with eight fractions at edges: 2^12 patterns, which form 2^24
/// pairs.
pub(crate) fn class_patterns() -> Vec<u32> {
    let edges = [0, 1, 2, 0x3f_ffff, 0x40_0000, 0x40_0001, FRACTION_BITS - 1, FRACTION_BITS];
    let fields = (0..512).map(|field| field << FRACTION_WIDTH); // with the sign above
    fields.flat_map(|field| edges.map(|fraction| field | fraction)).collect()
}

fn any_patterns(random: &mut Random) -> (u32, u32) {
    (random.bits(), random.bits())
}

fn nearby_exponents(random: &mut Random) -> (u32, u32) {
    let field = random.between(1, LARGEST_FIELD);
    let other = field + random.between(-32, 32);
    (number(random, field), number(random, other))
}

/// Magnitudes that differ in a few last bits, or in any number of them.
fn cancellation(random: &mut Random) -> (u32, u32) {
    let field = random.between(-10, LARGEST_FIELD);
    let a = number(random, field);
    let distance = if random.coin() {
        random.between(-4, 4)
    } else {
        random.between(-(1 << 24), 1 << 24) >> random.below(24)
    };
    let b = (a & MAGNITUDE_BITS).wrapping_add_signed(distance) & MAGNITUDE_BITS;
    (a, b | random.sign())
}

/// The smaller operand is half an ULP of the larger one, or close to it, or its last set bit is
/// half an ULP.
fn halfway_sum(random: &mut Random) -> (u32, u32) {
    let field = random.between(1, LARGEST_FIELD);
    let distance = if random.coin() { random.between(23, 26) } else { random.between(1, 26) };
    let significand = match random.below(4) {
        0 => HIDDEN_BIT,
        1 => HIDDEN_BIT.wrapping_add_signed(random.between(-1, 1)),
        2 => {
            // Set the bit of half an ULP of the larger operand, and clear all bits below it.
            let half = 1 << (distance - 1).min(23);
            ((random.bits() | half) & !(half - 1)) | HIDDEN_BIT
        }
        _ => significand(random),
    };
    (number(random, field), pack(random.sign(), field - distance, significand))
}

/// Products of 25 or 26 significant bits: halfway between two numbers, or exact.
fn halfway_product(random: &mut Random) -> (u32, u32) {
    let width = random.between(1, 24).cast_unsigned();
    let other_width = (25 - width + (random.bits() & 1)).min(24);
    let p = odd_of_width(random, width) << (24 - width);
    let q = odd_of_width(random, other_width) << (24 - other_width);
    let field = random.between(1, LARGEST_FIELD);
    let product = if random.coin() { random.between(-30, 2) } else { random.between(3, 253) };
    let other = (product - field + BIAS).clamp(-22, LARGEST_FIELD);
    (pack(random.sign(), field, p), pack(random.sign(), other, q))
}

/// The last bits of the product of the significands are within 2 of one half.
fn nearly_halfway_product(random: &mut Random) -> (u32, u32) {
    let a = significand(random) | 1;
    let width = FRACTION_WIDTH + (random.bits() & 1);
    let target = (1_u32 << (width - 1)).wrapping_add_signed(random.between(-2, 2));
    let b = inverse(a).wrapping_mul(target) & ((1 << width) - 1);
    let field = random.between(40, 200);
    let other = random.between(140 - field, 290 - field).clamp(1, LARGEST_FIELD);
    (pack(random.sign(), field, a), pack(random.sign(), other, b | HIDDEN_BIT))
}

/// numerator * 2^24 = quotient * denominator + r, with r from -3 to 3. The quotient is nearly exact
/// in 25 bits, so it is nearly exact or nearly halfway in 24.
fn nearly_halfway_quotient(random: &mut Random) -> (u32, u32) {
    let denominator = significand(random) | 1;
    let r = random.between(-3, 3);
    let low = inverse(denominator).wrapping_mul(r.wrapping_neg().cast_unsigned());
    let quotient = i64::from((low & 0xff_ffff) | 0x100_0000);
    let numerator = (quotient * i64::from(denominator) + i64::from(r)) >> 24; // 24 or 25 bits
    let numerator = if numerator >> 24 == 0 { numerator } else { numerator >> 1 } as u32;
    let field = random.between(30, 220);
    let other = random.between(field - 100, field + 100).clamp(1, LARGEST_FIELD);
    (pack(random.sign(), field, numerator), pack(random.sign(), other, denominator))
}

/// A quotient with few bits.
fn exact_quotient(random: &mut Random) -> (u32, u32) {
    let width = random.between(1, 23).cast_unsigned();
    let quotient = odd_of_width(random, width);
    let denominator = (random.bits() & ((1 << (24 - width)) - 1)) | 1;
    let field = random.between(-22, LARGEST_FIELD);
    let other = random.between(-22, LARGEST_FIELD);
    (
        pack(random.sign(), field, with_hidden_bit(quotient * denominator)),
        pack(random.sign(), other, with_hidden_bit(denominator)),
    )
}

fn product_near_underflow(random: &mut Random) -> (u32, u32) {
    let field = random.between(-22, LARGEST_FIELD);
    let other = BIAS - field + random.between(-27, 3);
    (number(random, field), number(random, other.max(-23)))
}

fn quotient_near_underflow(random: &mut Random) -> (u32, u32) {
    let field = random.between(-22, LARGEST_FIELD);
    let numerator = (field - BIAS + random.between(-27, 3)).max(-23);
    // A power of two does not change the numerator's bits, which gives ties among the subnormals.
    let denominator = if random.below(4) == 0 { HIDDEN_BIT } else { significand(random) };
    (number(random, numerator), pack(random.sign(), field, denominator))
}

fn product_near_overflow(random: &mut Random) -> (u32, u32) {
    let field = random.between(100, LARGEST_FIELD);
    let other = BIAS - field + random.between(251, 257);
    (number(random, field), number(random, other.max(1)))
}

fn quotient_near_overflow(random: &mut Random) -> (u32, u32) {
    let field = random.between(-22, 130);
    let numerator = field - BIAS + random.between(251, 257);
    (number(random, numerator.max(1)), number(random, field))
}

fn sum_near_overflow(random: &mut Random) -> (u32, u32) {
    let fields = [random.between(250, LARGEST_FIELD), random.between(229, LARGEST_FIELD)];
    (number(random, fields[0]), number(random, fields[1]))
}

/// A subnormal of any width, paired with another one or with a number of any exponent.
fn subnormal_operand(random: &mut Random) -> (u32, u32) {
    let a = ((random.bits() & FRACTION_BITS) >> random.below(24)) | random.sign();
    let b = if random.coin() {
        ((random.bits() & MAGNITUDE_BITS) >> random.below(32)) | random.sign()
    } else {
        let field = random.between(-22, LARGEST_FIELD);
        number(random, field)
    };
    either_order(random, a, b)
}

/// A power of two, possibly subnormal, or a number close to one, paired with another or with any
/// pattern.
fn powers_of_two(random: &mut Random) -> (u32, u32) {
    let mut power = || {
        let exact = pack(0, random.between(-22, LARGEST_FIELD), HIDDEN_BIT);
        exact.wrapping_add_signed(random.between(-2, 2)) & MAGNITUDE_BITS | random.sign()
    };
    let (a, b) = (power(), power());
    let b = if random.coin() { b } else { random.bits() };
    either_order(random, a, b)
}

/// Zero, infinity, NaNs of both kinds, and the ends of the ranges, paired with each other or with
/// any pattern.
fn special_operands(random: &mut Random) -> (u32, u32) {
    const SPECIAL: [u32; 11] = [
        0,
        1,
        FRACTION_BITS,
        HIDDEN_BIT,
        0x3f80_0000, // 1
        0x7f7f_ffff, // the largest finite number
        0x7f80_0000, // infinity
        0x7f80_0001, // signalling NaNs
        0x7fbf_ffff,
        0x7fc0_0000, // quiet NaNs
        0x7fff_ffff,
    ];
    let a = random.one_of(&SPECIAL) | random.sign();
    let b = if random.coin() { random.one_of(&SPECIAL) | random.sign() } else { random.bits() };
    either_order(random, a, b)
}

fn either_order(random: &mut Random, a: u32, b: u32) -> (u32, u32) {
    if random.coin() { (a, b) } else { (b, a) }
}

/// A number of either sign, with a significand from [`significand`].
fn number(random: &mut Random, field: i32) -> u32 {
    let significand = significand(random);
    pack(random.sign(), field, significand)
}

/// 24 bits with the hidden bit set: dense, sparse, a run of ones, or near a power of two. Such
/// patterns are hard to round.
pub(crate) fn significand(random: &mut Random) -> u32 {
    let bit = |random: &mut Random| 1_u32 << random.below(24);
    let fraction = match random.below(8) {
        0..=3 => random.bits(),
        4 => bit(random) | bit(random) | bit(random),
        5 => !(bit(random) | bit(random)),
        6 => bit(random).wrapping_neg().wrapping_add_signed(random.between(-2, 2)),
        _ => random.between(-3, 3).cast_unsigned(),
    };
    (fraction & FRACTION_BITS) | HIDDEN_BIT
}

/// The bit pattern of a number. A field below 1 makes it subnormal, and truncates its last bits.
pub(crate) fn pack(sign: u32, field: i32, significand: u32) -> u32 {
    let magnitude = if field >= 1 {
        (field.min(LARGEST_FIELD).cast_unsigned() << FRACTION_WIDTH) | (significand & FRACTION_BITS)
    } else {
        significand.checked_shr((1 - field).cast_unsigned()).unwrap_or(0)
    };
    sign | magnitude
}

/// An odd number of exactly this many bits.
fn odd_of_width(random: &mut Random, width: u32) -> u32 {
    (random.bits() & ((1 << width) - 1)) | (1 << (width - 1)) | 1
}

/// Shifts `value` until the hidden bit is set. It is positive and has at most 24 bits.
fn with_hidden_bit(value: u32) -> u32 {
    value << (value.leading_zeros() - 8)
}

/// The inverse of an odd number modulo 2^32, by Newton's iteration: the number of correct bits is
/// 3, then 6, and so on.
fn inverse(odd: u32) -> u32 {
    (0..4).fold(odd, |x, _| x.wrapping_mul(2_u32.wrapping_sub(odd.wrapping_mul(x))))
}
