// The result of scanning blocks of gradients. Twin: `Scan` in src/step/guard.rs. Mirror:
// `PARTIAL_BYTES` in src/gpu/guard/kernels.rs, its size.
//
// A tally is (count, first): the number of elements that are not finite, and the index of the first
// of them, each as low and high word. `no_index` in both words of `first` means none.

struct Partial {
    tally: vec4<u32>,
    sum: u32, // the bits of the sum of squares
}

const block_size: u32 = 4096u;
const lane_count: u32 = 256u;
const workgroup_size: u32 = 64u;
const no_index: u32 = 0xffffffffu;
const infinity_bits: u32 = 0x7f800000u;
const magnitude_bits: u32 = 0x7fffffffu;
const no_tally: vec4<u32> = vec4<u32>(0u, 0u, 0xffffffffu, 0xffffffffu);

fn join(a: vec4<u32>, b: vec4<u32>) -> vec4<u32> {
    let low = a.x + b.x;
    let carry = select(0u, 1u, low < a.x);
    let first = select(a.zw, b.zw, b.w < a.w || (b.w == a.w && b.z < a.z));
    return vec4<u32>(low, a.y + b.y + carry, first);
}
