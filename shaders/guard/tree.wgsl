// The tree that ends a block of 4096: four partial sums and a tally of each of 64 invocations.

override with_norm: bool;

var<workgroup> sums: array<Real, workgroup_size>;
var<workgroup> tallies: array<vec4<u32>, workgroup_size>;

// A part of a tree over 64: eight values, `stride` apart, into the first.
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

// The whole block's, for invocation 0.
fn folded(lane: u32, sum: Real, tally: vec4<u32>) -> Partial {
    sums[lane] = sum;
    tallies[lane] = tally;
    // Three levels of the tree by eight invocations, three by one: fewer barriers than levels.
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
