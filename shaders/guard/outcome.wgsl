// The report and the decision of the guard. Mirror: `Outcome` in src/gpu/guard/outcome.rs. 64-bit
// numbers are low and high word. `scale` and `norm` are the bits of an f32.

struct Outcome {
    non_finite: vec2<u32>, // number of such gradients since the report was cleared
    first: vec2<u32>,      // index of the first, in the first step that had any; all ones: none
    skipped: vec2<u32>,    // number of skipped steps
    norm: u32,             // norm of the last step; all ones: none
    skip: u32,             // 1: this step changes nothing
    clip: u32,             // 1: this step multiplies every gradient by `scale`
    scale: u32,
}
