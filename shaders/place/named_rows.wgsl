// Axis `place`: which rows of a table an invocation steps. Here the rows of a list, each of which
// may occur several times.
//
// Mirror: `List` in src/gpu/rows/lists.rs.
//
// Shapes: `lists` has two words for each row: its first element in the table, and where its
// occurrences begin in `lists`. The words after the last row say where its occurrences end. An
// occurrence is the first element of a row of gradients. Elements are counted modulo 2^32.

@group(0) @binding(1) var<storage, read> lists: array<u32>;

fn row_start(row: u32) -> u32 { return lists[2u * row]; }
fn occurrences_begin(row: u32) -> u32 { return lists[2u * row + 1u]; }
fn occurrences_end(row: u32) -> u32 { return lists[2u * row + 3u]; }
fn occurrence(number: u32) -> u32 { return lists[number]; }
