// What the parameters of a row share, as mean.wgsl has found it: the mean square of the row's
// gradients and, before this step, the value of each state vector of which a row has one.
//
// Shapes: `shared_by_row` has SHARED_WORDS numbers for each row of the list: the mean, then the state
// in the rule's order. Lines with STATE stand once for each state vector that is shared,
// STATE_INDEX counting from 1.

@group(0) @binding(SHARED_BINDING) var<storage, read> shared_by_row: array<Scalar>;

fn take_shared(row: u32, state: ptr<function, State>) {
    let first = SHARED_WORDSu * row;
    mean_square = splat(shared_by_row[first]);
    (*state).STATE = splat(shared_by_row[first + STATE_INDEXu]);
}
