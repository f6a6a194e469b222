// How a step follows the decision of guard/decide.wgsl.

@group(2) @binding(0) var<storage, read> outcome: Outcome;

fn is_skipped() -> bool { return outcome.skip != 0u; }

fn scaled(gradient: Real) -> Real {
    if (outcome.clip == 0u) { return gradient; }
    return mul(gradient, from_bits(vec4<u32>(outcome.scale)));
}
