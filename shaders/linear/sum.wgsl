// Sums blocks of 4096 values. Value i of a block belongs to partial sum i % 256; a tree adds the
// partial sums. 64 invocations share a block, with four partial sums each. Twin: `block_sum` in
// src/numerics/sum.rs.
//
// Shapes: values: `rows`; sums: one value per block, from `output` on.

@group(0) @binding(0) var<storage, read> values: array<Scalar>;
@group(0) @binding(1) var<storage, read_write> sums: array<Scalar>;

const block_size: u32 = 4096u;
const lane_count: u32 = 256u;
var<workgroup> partials: array<Real, workgroup_size>;

@compute @workgroup_size(workgroup_size)
fn sum(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let block = group.y * groups.x + group.x;
    let begin = block * block_size;
    let end = min(begin + block_size, job.rows);
    var total = from_bits(vec4<u32>());
    for (var first = begin + 4u * lane; first < end; first += lane_count) {
        var value = from_bits(vec4<u32>());
        for (var k = 0u; k < min(4u, end - first); k++) { value[k] = values[first + k]; }
        total = add(total, value);
    }
    partials[lane] = total;
    for (var half = workgroup_size / 2u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) { partials[lane] = add(partials[lane], partials[lane + half]); }
    }
    if (lane == 0u && begin < job.rows) {
        var last = partials[0];
        last = add(last, last.zwzw);
        last = add(last, last.yyyy);
        sums[job.output + block] = last.x;
    }
}
