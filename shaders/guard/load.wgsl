// Four gradients of a piece that starts on a multiple of 16 bytes and of four elements.
//
// Shapes: `gradients` holds the piece from group of four `piece.start` on; `at` is a multiple of
// four. Positions count from the beginning of the piece's first block.

@group(0) @binding(1) var<storage, read> gradients: array<vec4<u32>>;

// The bits of the gradients at positions `at` to `at + 3`, and 0 for those past `end`.
fn load(at: u32, begin: u32, end: u32) -> vec4<u32> {
    if (at < begin) { return vec4<u32>(); }
    let bits = gradients[piece.start + (at - piece.begin) / 4u];
    return select(vec4<u32>(), bits, vec4<u32>(at) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(end));
}
