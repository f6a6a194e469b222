// Axis `place`: which rows of a table an invocation steps. Here every row from `job.run_first` on,
// each with one row of gradients, in order. Elements are counted modulo 2^32.

fn row_start(row: u32) -> u32 { return (job.run_first + row) * job.table_width; }
fn occurrences_begin(row: u32) -> u32 { return row; }
fn occurrences_end(row: u32) -> u32 { return row + 1u; }
fn occurrence(number: u32) -> u32 { return (job.run_first + number) * job.width; }
