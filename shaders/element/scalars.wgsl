// Axis `element`: how four elements of a vector are reached. Here one by one, at any 4-byte offset,
// and only those that are present.

alias Element = Scalar;

struct At {
    elements: vec4<u32>,
    present: vec4<bool>,
}

// Which of four elements from number `first` on are among `len`.
fn among(first: u32, len: u32) -> vec4<bool> {
    return vec4<u32>(first) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(len);
}

// Four elements from number `first` on.
fn at(first: u32, present: vec4<bool>) -> At {
    return At(vec4<u32>(first) + vec4<u32>(0u, 1u, 2u, 3u), present);
}

// A run is counted in elements.
const run_stride = 4u;

// Four elements of a run of `len` that begins at element `start`, from number `first` of the run on.
fn at_run(start: u32, first: u32, len: u32) -> At {
    return at(start + first, among(first, len));
}
