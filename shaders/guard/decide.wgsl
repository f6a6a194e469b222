// Decides whether the step is skipped or scaled, and updates the report, in one invocation. Twin:
// `GradientGuard::decide` in src/step/guard.rs. Mirror: `Policy` in src/gpu/guard/outcome.rs.
//
// Shapes: partials: 1, that of all tensors.

struct Policy {
    max_norm: u32,  // the bits of an f32
    with_norm: u32, // 1: the norm is limited
    skip_step: u32, // 1: a gradient or norm that is not finite skips the step
    padding: u32,
}

@group(0) @binding(0) var<uniform> policy: Policy;
@group(0) @binding(1) var<storage, read> partials: array<Partial>;
@group(0) @binding(2) var<storage, read_write> outcome: Outcome;

const nan_bits: u32 = 0x7fc00000u;

@compute @workgroup_size(1)
fn decide() {
    let whole = partials[0];
    var finite = whole.tally.x == 0u && whole.tally.y == 0u;
    if (!finite && all(outcome.first == vec2<u32>(no_index))) { outcome.first = whole.tally.zw; }
    let low = outcome.non_finite.x + whole.tally.x;
    let carry = select(0u, 1u, low < whole.tally.x);
    outcome.non_finite = vec2<u32>(low, outcome.non_finite.y + whole.tally.y + carry);

    outcome.clip = 0u;
    if (policy.with_norm != 0u) {
        // Native arithmetic promises nothing for NaN and infinity, so these are handled by their
        // bits.
        let sum = whole.sum & magnitude_bits;
        var norm = select(infinity_bits, nan_bits, sum > infinity_bits);
        var scale = select(0u, nan_bits, sum > infinity_bits);
        if (sum < infinity_bits) {
            let root = square_root(from_bits(vec4<u32>(sum)));
            norm = to_bits(root).x;
            scale = to_bits(div(from_bits(vec4<u32>(policy.max_norm)), root)).x;
        }
        outcome.norm = norm;
        // For numbers that are not negative, the bits have the order of the numbers, with NaN above
        // all.
        if (norm > policy.max_norm) {
            outcome.clip = 1u;
            outcome.scale = scale;
        }
        finite = finite && norm < infinity_bits;
    }
    outcome.skip = select(0u, 1u, !finite && policy.skip_step != 0u);
    let skipped = outcome.skipped.x + outcome.skip;
    outcome.skipped.y += select(0u, 1u, skipped < outcome.skip);
    outcome.skipped.x = skipped;
}
