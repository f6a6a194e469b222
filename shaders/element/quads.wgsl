// Axis `element`: how a quad of a vector is accessed. Here as one vec4: the vector starts at a
// multiple of 16 bytes, and so does each quad. The vector is padded to whole quads.

alias Element = Real;
alias At = u32; // number of the quad

// Which elements of the quad at element `first`, a multiple of four, are below `len`: all or none.
fn among(first: u32, len: u32) -> vec4<bool> { return vec4<bool>(first < len); }

// The quad at element `first`, a multiple of four. Its elements are present or padding.
fn at(first: u32, present: vec4<bool>) -> At { return first / 4u; }

// A run is counted in quads.
const run_stride = 1u;

// Quad `first` of a run, which begins at quad `start` and has `len` quads.
fn at_run(start: u32, first: u32, len: u32) -> At { return start + first; }
