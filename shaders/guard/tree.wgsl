// The tree that completes a block of 4096: adds four partial sums and a tally from each of 64
// invocations.

override with_norm: bool;

var<workgroup> sums: array<Real, workgroup_size>;
var<workgroup> tallies: array<vec4<u32>, workgroup_size>;

// Adds eight values, `stride` apart, into the first: a part of a tree over 64 values.
fn fold(first: u32, stride: u32) {
    for (var half = 4u; half > 0u; half /= 2u) {
        for (var k = 0u; k < half; k++) {
            let here = first + stride * k;
            let there = here + stride * half;
            if (with_norm) { sums[here] = add(sums[here], sums[there]); }
            tallies[here] = join(tallies[here], tallies[there]);
        }
    }
}

// The partial of the whole block, in invocation 0.
fn folded(lane: u32, sum: Real, tally: vec4<u32>) -> Partial {
    sums[lane] = sum;
    tallies[lane] = tally;
    // Eight invocations compute three levels of the tree, and one computes the other three. This
    // needs fewer barriers than one per level.
    workgroupBarrier();
    if (lane < 8u) { fold(lane, 8u); }
    workgroupBarrier();
    if (lane > 0u) { return Partial(); }
    fold(0u, 1u);
    var total = sums[0];
    total = add(total, total.zwzw);
    total = add(total, total.yyyy);
    return Partial(tallies[0], to_bits(total).x);
}
