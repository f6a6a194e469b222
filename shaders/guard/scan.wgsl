// Scans gradients before the step. For each block of 4096 elements of a vector, it counts the
// elements that are not finite, and sums the squares in the canonical order: element i of a block
// belongs to partial sum i % 256, and a tree adds the partial sums. 64 invocations share a block,
// with four partial sums each. Twin: `scan` in src/cpu/scan.rs. Mirror: `Block` in
// src/gpu/guard/blocks.rs. Mirror: `Piece` in src/gpu/guard/blocks.rs.
//
// A block that crosses from one buffer or binding to the next has several pieces. Its workgroup
// scans them in order. If one dispatch cannot bind all pieces, it leaves its partial sums in
// `carried`, and the next dispatch continues them. A partial sum adds its values in ascending
// order, so it can be interrupted anywhere.
//
// Shapes: entries: a header, (blocks, 0, 0, 0), then two entries for each block and one for each
// piece (src/gpu/guard/blocks.rs); carried: 2 x 64; partials: one for each block of all vectors. A
// window is a part of the gradients' buffers.

struct Block {
    first_piece: u32, // entry of its first piece
    end_piece: u32,   // entry after its last piece
    number: u32,      // number of its partial
    carried: u32,     // where it is read in `carried`; it is written at `carried ^ 1`
    goes_on: u32,     // 1: an earlier dispatch began the block
    is_left: u32,     // 1: a later dispatch continues the block
    first_low: u32,   // number of its first element, counted over all vectors
    first_high: u32,
}

// Elements `begin..end` of a block.
struct Piece {
    window: u32,
    start: u32, // where element `begin` is in the window
    begin: u32,
    end: u32,
}

// The partial results of one invocation, as stored in `carried`.
struct Lane {
    sum: vec4<u32>,
    count: u32,
    first: u32,
}

@group(0) @binding(0) var<storage, read> entries: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> carried: array<Lane>;
@group(0) @binding(2) var<storage, read_write> partials: array<Partial>;

override only_finite: bool;

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

// Which elements of the quad at `position` of the block are in a piece.
fn in_piece(piece: Piece, position: u32) -> vec4<bool> {
    let positions = vec4<u32>(position) + vec4<u32>(0u, 1u, 2u, 3u);
    return (positions >= vec4<u32>(piece.begin)) & (positions < vec4<u32>(piece.end));
}

// Adds a quad. Elements that are not in the piece are 0.
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

    var tally = no_tally;
    if (found.count > 0u) {
        let low = block.first_low + found.first;
        let carry = select(0u, 1u, low < block.first_low);
        tally = vec4<u32>(found.count, 0u, low, block.first_high + carry);
    }
    let result = folded(lane, found.sum, tally);
    if (lane == 0u) { partials[block.number] = result; }
}
