// What the guard has found and decided. Mirror: `Outcome` in src/gpu/guard/outcome.rs. Numbers of 64
// bits are low and high word; `scale` and `norm` are the bits of an f32.

struct Outcome {
    non_finite: vec2<u32>, // how many gradients since the report was cleared
    first: vec2<u32>,      // the first one of the first such step; all ones: none
    skipped: vec2<u32>,    // how many steps
    norm: u32,             // of the last step; all ones: none
    skip: u32,             // 1: this step changes nothing
    clip: u32,             // 1: this step multiplies every gradient by `scale`
    scale: u32,
}
