// Axis `element`: how four elements of a vector are reached. Here at once: the vector starts on a
// multiple of 16 bytes, and so do the four. Behind its last element a vector has padding.

alias Element = Real;
alias At = u32; // number of the group of four

// Which of four elements from number `first` on, a multiple of four, are among `len`: all or none.
fn among(first: u32, len: u32) -> vec4<bool> { return vec4<bool>(first < len); }

// Four elements from number `first` on, a multiple of four; all are present, or padding.
fn at(first: u32, present: vec4<bool>) -> At { return first / 4u; }

// A run is counted in groups of four.
const run_stride = 1u;

// Four elements of a run of `len` groups that begins at group `start`: group `first` of the run.
fn at_run(start: u32, first: u32, len: u32) -> At { return start + first; }
