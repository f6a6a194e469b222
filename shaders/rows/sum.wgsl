// The sums of the gradients of each row named, in the order in which they came, for row gradients
// that no one binding holds, and for rows that are named too often for one loop. A dispatch adds what
// lies in one part of the gradients, at most `most_terms` for a row from its occurrence number
// `job.skip` on, and later ones go on from there. A sum begins with the first occurrence.
//
// Shapes: `sums` is a part of a vector of one row for each row named, `grads` a part of the row
// gradients. `job` and `lists` are those of step_unaligned.wgsl, with `sums` for the table.

struct Job {
    threads: u32,
    quads: u32,
    first_quad: u32,
    width: u32,
    first_record: u32,
    table_first: u32,
    table_len: u32,
    grads_first: u32,
    grads_len: u32,
    skip: u32,
    params_start: u32,
    grads_start: u32,
}

@group(0) @binding(0) var<uniform> job: Job;
@group(0) @binding(1) var<storage, read> lists: array<u32>;
@group(0) @binding(2) var<storage, read_write> sums: array<Scalar>;
@group(0) @binding(3) var<storage, read> grads: array<Scalar>;

override workgroup_size: u32;

const columns = vec4<u32>(0u, 1u, 2u, 3u);
const most_terms = 32768u;

@compute @workgroup_size(workgroup_size)
fn step(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) lane: u32,
) {
    let index = (group.y * groups.x + group.x) * workgroup_size + lane;
    if (index >= job.threads) { return; }
    let record = job.first_record + 2u * (index / job.quads);
    let column = 4u * (job.first_quad + index % job.quads);
    let live = min(4u, job.width - column);
    let element = lists[record] + column - job.table_first;
    let first = lists[record + 1u];
    let begin = first + job.skip;
    let end = min(begin + most_terms, lists[record + 3u]);

    var sum: Real;
    for (var k = 0u; k < live; k++) {
        if (element + k < job.table_len) { sum[k] = sums[job.params_start + element + k]; }
    }
    for (var at = begin; at < end; at++) {
        // No loop within, since turns are counted (MOST_TURNS in src/gpu/plan.rs).
        let next = lists[at] + column - job.grads_first;
        let present = next + columns < vec4<u32>(job.grads_len);
        var term: Real;
        if (present.x) { term.x = grads[job.grads_start + next]; }
        if (present.y && live > 1u) { term.y = grads[job.grads_start + next + 1u]; }
        if (present.z && live > 2u) { term.z = grads[job.grads_start + next + 2u]; }
        if (present.w && live > 3u) { term.w = grads[job.grads_start + next + 3u]; }
        var more = term;
        if (at > first) { more = add(sum, term); }
        sum = select(sum, more, present);
    }
    for (var k = 0u; k < live; k++) {
        if (element + k < job.table_len) { sums[job.params_start + element + k] = sum[k]; }
    }
}
