// Residuals of sparse rows: computes the prediction of each row, and from it the value that
// `job.terms` selects. The sum is in the canonical order of src/linear/sparse.rs: entry k belongs
// to partial sum k % 4. One invocation per row. Twin: `product` in src/linear/sparse.rs.
//
// Shapes: words: from `job.row_first` on, `job.rows` records (first entry, end of entries, bits of
// the target), one per row; an entry is (column, bits of the value), anywhere in words. parameters:
// `job.columns`; residuals: one value per row, from `job.first` on.

@group(0) @binding(0) var<storage, read> words: array<u32>;
@group(0) @binding(1) var<storage, read> parameters: array<Scalar>;
@group(0) @binding(2) var<storage, read_write> residuals: array<Scalar>;

@compute @workgroup_size(workgroup_size)
fn sparse_residual(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let row = invocation(group, groups, lane);
    if (row >= job.rows) { return; }
    let record = job.row_first + 3u * row;
    let end = words[record + 1u];
    var sum = from_bits(vec4<u32>());
    // The loop contains no other loop, because iterations are limited (MAX_LOOP_ITERATIONS in
    // src/gpu/plan.rs).
    for (var first = words[record]; first < end; first += 8u) {
        let places = first + vec4<u32>(0u, 2u, 4u, 6u);
        let present = places < vec4<u32>(end);
        // An absent entry adds +0 times +0.
        var values = vec4<u32>();
        var weights = from_bits(vec4<u32>());
        if (present.x) { weights.x = parameters[words[places.x]]; values.x = words[places.x + 1u]; }
        if (present.y) { weights.y = parameters[words[places.y]]; values.y = words[places.y + 1u]; }
        if (present.z) { weights.z = parameters[words[places.z]]; values.z = words[places.z + 1u]; }
        if (present.w) { weights.w = parameters[words[places.w]]; values.w = words[places.w + 1u]; }
        sum = add(sum, mul(from_bits(values), weights));
    }
    sum = add(sum, sum.zwzw);
    sum = add(sum, sum.yyyy);
    sum = add(sum, splat(parameters[job.columns - 1u]));
    residuals[job.first + row] = residual_of(sum, from_bits(vec4<u32>(words[record + 2u])).x);
}
