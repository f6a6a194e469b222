// Looks at gradients before the step: for each block of 4096 elements of a vector, what is not finite,
// and the sum of squares in the canonical order: element i of a block belongs to partial sum i % 256,
// then a tree. 64 invocations a block, four partial sums each. Twin: `scan` in
// src/cpu/scan.rs. Mirror: `Block` in src/gpu/guard/blocks.rs. Mirror: `Piece` in
// src/gpu/guard/blocks.rs.
//
// A block comes in pieces, where it crosses from one buffer or binding to the next. Its workgroup goes
// through them in order; where they do not all fit one dispatch, the next one goes on from what this
// one has left in `carried`: a partial sum adds its values in ascending order, so it may stop anywhere.
//
// Shapes: `entries` is a header, (blocks, 0, 0, 0), then two entries for each block and one for each
// piece (src/gpu/guard/blocks.rs); carried 2 x 64; partials one for each block of
// all vectors. A window is a part of the gradients' buffers.

struct Block {
    first_piece: u32, // its first entry
    end_piece: u32,
    number: u32,      // of its partial
    carried: u32,     // its place in `carried`; it is left at the neighbouring place, `carried ^ 1`
    goes_on: u32,     // 1: it has been begun by a dispatch before
    is_left: u32,     // 1: a later dispatch goes on with it
    first_low: u32,   // number of its first element, counted over all vectors
    first_high: u32,
}

// Elements `begin..end` of a block.
struct Piece {
    window: u32,
    start: u32, // where the first of them is in the window
    begin: u32,
    end: u32,
}

// An invocation's part of a block.
struct Lane {
    sum: vec4<u32>,
    count: u32,
    first: u32,
}

@group(0) @binding(0) var<storage, read> entries: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> carried: array<Lane>;
@group(0) @binding(2) var<storage, read_write> partials: array<Partial>;

override with_norm: bool;
override only_finite: bool;

var<workgroup> sums: array<Real, workgroup_size>;
var<workgroup> counts: array<u32, workgroup_size>;
var<workgroup> firsts: array<u32, workgroup_size>;

struct Found {
    sum: Real,
    count: u32,
    first: u32,
}

fn block_at(number: u32) -> Block {
    let a = entries[1u + 2u * number];
    let b = entries[2u + 2u * number];
    return Block(a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w);
}

fn piece_at(entry: u32) -> Piece {
    let a = entries[entry];
    return Piece(a.x, a.y, a.z, a.w);
}

// Which of the four elements from `position` of the block on a piece has.
fn in_piece(piece: Piece, position: u32) -> vec4<bool> {
    let positions = vec4<u32>(position) + vec4<u32>(0u, 1u, 2u, 3u);
    return (positions >= vec4<u32>(piece.begin)) & (positions < vec4<u32>(piece.end));
}

// Takes four elements into account; those that are not in the piece are 0.
fn look(found: ptr<function, Found>, gradients: vec4<u32>, position: u32) {
    var bits = gradients;
    let bad = (bits & vec4<u32>(infinity_bits)) == vec4<u32>(infinity_bits);
    if (any(bad)) {
        let ones = select(vec4<u32>(), vec4<u32>(1u), bad);
        (*found).count += ones.x + ones.y + ones.z + ones.w;
        let place = select(select(select(3u, 2u, bad.z), 1u, bad.y), 0u, bad.x);
        (*found).first = min((*found).first, position + place);
        if (only_finite) { bits = select(bits, vec4<u32>(), bad); }
    }
    if (with_norm) {
        let value = from_bits(bits);
        (*found).sum = add((*found).sum, mul(value, value));
    }
}

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
    if (number >= entries[0].x) { return; }
    let block = block_at(number);
    var found = Found(Real(), 0u, no_index);
    if (block.goes_on != 0u) {
        let before = carried[block.carried * workgroup_size + lane];
        found = Found(from_bits(before.sum), before.count, before.first);
    }
    for (var entry = block.first_piece; entry < block.end_piece; entry++) {
        scan_piece(piece_at(entry), lane, &found);
    }
    if (block.is_left != 0u) {
        let left = Lane(to_bits(found.sum), found.count, found.first);
        carried[(block.carried ^ 1u) * workgroup_size + lane] = left;
        return;
    }

    sums[lane] = found.sum;
    counts[lane] = found.count;
    firsts[lane] = found.first;
    // Three levels of the tree by eight invocations, three by one: fewer barriers than levels.
    workgroupBarrier();
    if (lane < 8u) { fold(lane, 8u); }
    workgroupBarrier();
    if (lane == 0u) {
        fold(0u, 1u);
        var result = Partial(no_tally, 0u);
        if (counts[0] > 0u) {
            let low = block.first_low + firsts[0];
            let carry = select(0u, 1u, low < block.first_low);
            result.tally = vec4<u32>(counts[0], 0u, low, block.first_high + carry);
        }
        if (with_norm) {
            var total = sums[0];
            total = add(total, total.zwzw);
            total = add(total, total.yyyy);
            result.sum = to_bits(total).x;
        }
        partials[block.number] = result;
    }
}
