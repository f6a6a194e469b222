// Gradient and step of the columns that occur in a batch of sparse rows. For each column, it sums
// residual times value over the column's occurrences, in the order of the batch, divides by the
// number of rows, adds the penalty's gradient, and applies the rule. Four columns per invocation.
// Twin: `Stepper` in src/linear/sparse.rs.
//
// Shapes: words: from `job.group_first` on, `job.groups` records (column, first occurrence, end of
// occurrences), one per column; an occurrence is (position in the batch, bits of the value),
// anywhere in words. residuals: one value per position; hypers: one `Hyper` per step; parameters
// and each state vector: `job.columns`.

@group(0) @binding(0) var<storage, read> words: array<u32>;
@group(0) @binding(1) var<storage, read> residuals: array<Scalar>;
@group(0) @binding(2) var<storage, read> hypers: array<Hyper>;

@compute @workgroup_size(workgroup_size)
fn sparse_descend(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let first = 4u * invocation(group, groups, lane);
    if (first >= job.groups) { return; }
    let live = min(4u, job.groups - first);
    var columns = vec4<u32>();
    var begins = vec4<u32>();
    var counts = vec4<u32>();
    for (var k = 0u; k < live; k++) {
        let record = job.group_first + 3u * (first + k);
        columns[k] = words[record];
        begins[k] = words[record + 1u];
        counts[k] = words[record + 2u] - begins[k];
    }
    let longest = max(max(counts.x, counts.y), max(counts.z, counts.w));
    var sum = from_bits(vec4<u32>());
    // The loop contains no other loop, because iterations are limited (MAX_LOOP_ITERATIONS in
    // src/gpu/plan.rs).
    for (var at = 0u; at < longest; at += 2u) {
        let places = begins + at;
        let present = vec4<u32>(at) < counts;
        // An absent occurrence adds +0 times +0.
        var values = vec4<u32>();
        var factors = from_bits(vec4<u32>());
        if (present.x) { factors.x = residuals[words[places.x]]; values.x = words[places.x + 1u]; }
        if (present.y) { factors.y = residuals[words[places.y]]; values.y = words[places.y + 1u]; }
        if (present.z) { factors.z = residuals[words[places.z]]; values.z = words[places.z + 1u]; }
        if (present.w) { factors.w = residuals[words[places.w]]; values.w = words[places.w + 1u]; }
        sum = add(sum, mul(factors, from_bits(values)));
    }

    let here = At(columns, vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(live));
    var state = load_state(here);
    let x = load_parameters(here);
    let is_weight = columns < vec4<u32>(job.columns - 1u);
    let gradient = penalized(div(sum, splat(job.divisor)), x, is_weight);
    store_parameters(here, update(hypers[job.first_step], x, gradient, &state));
    store_state(here, state);
}
