// Axis `element`: how a quad of a vector is accessed. Here element by element, at any 4-byte
// offset, and only the elements that are present.

alias Element = Scalar;

struct At {
    elements: vec4<u32>,
    present: vec4<bool>,
}

// Which elements of the quad at element `first` are below `len`.
fn among(first: u32, len: u32) -> vec4<bool> {
    return vec4<u32>(first) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(len);
}

// The quad at element `first`.
fn at(first: u32, present: vec4<bool>) -> At {
    return At(vec4<u32>(first) + vec4<u32>(0u, 1u, 2u, 3u), present);
}

// A run is counted in elements.
const run_stride = 4u;

// The quad at position `first` of a run, which begins at element `start` and has `len` elements.
fn at_run(start: u32, first: u32, len: u32) -> At {
    return at(start + first, among(first, len));
}
