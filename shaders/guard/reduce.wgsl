// Reduces each block of 4096 partials to one, by the rule of scan.wgsl. 64 invocations share a
// block, with four partial sums each. Twin: `sum_of_blocks` in src/numerics/sum.rs.
//
// Shapes: partials: any number; reduced: one for each 4096 partials.

@group(0) @binding(0) var<storage, read> partials: array<Partial>;
@group(0) @binding(1) var<storage, read_write> reduced: array<Partial>;

@compute @workgroup_size(workgroup_size)
fn reduce(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let block = group.y * groups.x + group.x;
    let begin = block * block_size;
    let end = min(begin + block_size, arrayLength(&partials));

    var sum = from_bits(vec4<u32>());
    var tally = no_tally;
    for (var at = begin + 4u * lane; at < end; at += lane_count) {
        var bits = vec4<u32>();
        for (var k = 0u; k < min(4u, end - at); k++) {
            let one = partials[at + k];
            bits[k] = one.sum;
            tally = join(tally, one.tally);
        }
        if (with_norm) { sum = add(sum, from_bits(bits)); }
    }
    let result = folded(lane, sum, tally);
    if (lane == 0u && begin < end) { reduced[block] = result; }
}
