// The prediction for one row by one invocation, in the canonical order of src/linear/mod.rs: column
// j belongs to partial sum j % 32. Partial sums are in groups of four, like columns: group j of
// columns belongs to group j % 8 of the sums. Partial sums without terms, which are +0 in the
// canonical order, are omitted. The kernel around it binds `table` and defines `weight(j)`, which
// gives four parameters. Twin: `predict` in src/linear/order.rs.

const lane_groups: u32 = 8u;

// `start` is where the row begins in the table. The result is in the first component.
fn predict(start: u32) -> Real {
    var sums: array<Real, lane_groups>;
    for (var j = 0u; j < job.column_groups; j++) {
        let product = mul(table[start + j], weight(j));
        // Parameters past the last column may have any value, even NaN.
        let present = vec4<u32>(4u * j) + vec4<u32>(0u, 1u, 2u, 3u) < vec4<u32>(job.columns);
        let term = select(from_bits(vec4<u32>()), product, present);
        sums[j % lane_groups] = add(sums[j % lane_groups], term);
    }
    var count = min(job.column_groups, lane_groups);
    for (var half = lane_groups / 2u; half > 0u; half /= 2u) {
        for (var k = half; k < count; k++) { sums[k - half] = add(sums[k - half], sums[k]); }
        count = min(count, half);
    }
    var last = sums[0];
    last = add(last, last.zwzw);
    return add(last, last.yyyy);
}
