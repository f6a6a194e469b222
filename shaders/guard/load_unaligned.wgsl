// The same as load.wgsl for a piece at any 4-byte offset, one by one.
//
// Shapes: `gradients` holds the piece from element `piece.start` on.

@group(0) @binding(1) var<storage, read> gradients: array<u32>;

// The bits of the gradients at positions `at` to `at + 3`, and 0 for those outside begin..end.
fn load(at: u32, begin: u32, end: u32) -> vec4<u32> {
    var bits = vec4<u32>();
    for (var k = 0u; k < 4u; k++) {
        let position = at + k;
        if (position >= begin && position < end) {
            bits[k] = gradients[piece.start + position - piece.begin];
        }
    }
    return bits;
}
