// Looks at a piece of the gradients before the step: for each block of 4096 elements, counted
// over the whole vector, what is not finite, and the sum of squares in the canonical order: value
// i of a block belongs to partial sum i % 256, then a tree. 64 invocations a block, four partial
// sums each. Twin: src/cpu/scan.rs.
//
// A block that the piece does not end is carried on by the next one, from where it is: a partial
// sum adds its values in ascending order, so it may stop anywhere. `carried` has two halves, so
// that a dispatch never reads what it writes.
//
// Shapes: gradients `piece.len` elements (load.wgsl, load_unaligned.wgsl); carried 2 x 64;
// partials one a block of the whole vector. `Piece` mirrors the struct of that name in
// src/gpu/guard/pieces.rs.

struct Piece {
    first_block: u32, // number of the block that the piece starts in
    begin: u32,       // where in that block it starts
    len: u32,         // how many elements it has
    start: u32,       // where in its binding it starts
    half: u32,        // the half of `carried` that it reads
    last: u32,        // 1: the vector ends with it
    padding_a: u32,
    padding_b: u32,
}

// An invocation's part of a block.
struct Lane {
    sum: vec4<u32>,
    count: u32,
    first: u32,
}

@group(0) @binding(0) var<uniform> piece: Piece;
@group(0) @binding(2) var<storage, read_write> carried: array<Lane, 128>;
@group(0) @binding(3) var<storage, read_write> partials: array<Partial>;

override with_norm: bool;
override only_finite: bool;

var<workgroup> sums: array<Real, workgroup_size>;
var<workgroup> counts: array<u32, workgroup_size>;
var<workgroup> firsts: array<u32, workgroup_size>;

// A part of a tree over 64: eight values, `stride` apart, into the first.
fn fold(first: u32, stride: u32) {
    for (var half = 4u; half > 0u; half /= 2u) {
        for (var k = 0u; k < half; k++) {
            let here = first + stride * k;
            let there = here + stride * half;
            if (with_norm) { sums[here] = add(sums[here], sums[there]); }
            counts[here] += counts[there];
            firsts[here] = min(firsts[here], firsts[there]);
        }
    }
}

@compute @workgroup_size(workgroup_size)
fn scan(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let number = group.y * groups.x + group.x;
    let block = number * block_size;
    let piece_end = piece.begin + piece.len;
    if (block >= piece_end) { return; }
    let begin = max(block, piece.begin);
    let end = min(block + block_size, piece_end);

    var sum = from_bits(vec4<u32>());
    var count = 0u;
    var first = no_index;
    if (block < piece.begin) {
        let before = carried[piece.half * workgroup_size + lane];
        sum = from_bits(before.sum);
        count = before.count;
        first = before.first;
    }
    for (var at = block + 4u * lane; at < end; at += lane_count) {
        var bits = load(at, begin, end);
        let bad = (bits & vec4<u32>(infinity_bits)) == vec4<u32>(infinity_bits);
        if (any(bad)) {
            let found = select(vec4<u32>(), vec4<u32>(1u), bad);
            count += found.x + found.y + found.z + found.w;
            let place = select(select(select(3u, 2u, bad.z), 1u, bad.y), 0u, bad.x);
            first = min(first, at - block + place);
            if (only_finite) { bits = select(bits, vec4<u32>(), bad); }
        }
        if (with_norm) {
            let value = from_bits(bits);
            sum = add(sum, mul(value, value));
        }
    }
    if (end < block + block_size && piece.last == 0u) {
        let half = 1u - piece.half;
        carried[half * workgroup_size + lane] = Lane(to_bits(sum), count, first);
        return;
    }

    sums[lane] = sum;
    counts[lane] = count;
    firsts[lane] = first;
    // Three levels of the tree by eight invocations, three by one: fewer barriers than levels.
    workgroupBarrier();
    if (lane < 8u) { fold(lane, 8u); }
    workgroupBarrier();
    if (lane == 0u) {
        fold(0u, 1u);
        let block_number = piece.first_block + number;
        var result = Partial(no_tally, 0u);
        if (counts[0] > 0u) {
            let low = block_number * block_size + firsts[0];
            result.tally = vec4<u32>(counts[0], 0u, low, block_number >> 20u);
        }
        if (with_norm) {
            var total = sums[0];
            total = add(total, total.zwzw);
            total = add(total, total.yyyy);
            result.sum = to_bits(total).x;
        }
        partials[block_number] = result;
    }
}
