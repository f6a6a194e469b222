//! Steps over 10,000 rows of ever larger tables.

use std::cell::RefCell;

use wgpu_optim::{GpuOptimizer, Precision};

use super::{RULE, step_bytes};
use crate::Result;
use crate::device::check_room;
use crate::random::Random;
use crate::timing::{Bench, Case, Contestant, Mode};
use crate::traffic::values;

const WIDTH: usize = 64;
const NAMED: usize = 10_000;
const TABLES: [usize; 3] = [100_000, 1_000_000, 10_000_000];
const QUICK_TABLES: [usize; 1] = [20_000];
/// Lists of rows that are prepared, one for each step in turn.
const LISTS: usize = 64;

pub(super) fn measure(bench: &mut Bench) -> Result<()> {
    let tables = if bench.quick { &QUICK_TABLES[..] } else { &TABLES };
    bench.expect(2 * tables.len());
    for &rows in tables {
        let case = Case::new(format!("{NAMED} of {rows} rows of {WIDTH}"), NAMED * WIDTH);
        // One after the other: the large table and its state take 5 GB.
        for precision in [Precision::Native, Precision::Exact] {
            bench.case(&case, |bench, case| table(bench, case, rows, precision))?;
        }
    }
    Ok(())
}

fn table(bench: &mut Bench, case: &Case, rows: usize, precision: Precision) -> Result<()> {
    let (gpu, len) = (bench.gpu.clone(), rows * WIDTH);
    check_room(&gpu, 2 * 4 * len as u64)?;
    let (params, gradients) = (gpu.zeros(len)?, gpu.upload(&values(NAMED * WIDTH))?);
    let optimizer = GpuOptimizer::new(&gpu, RULE, len)?.with_precision(precision);
    let optimizer = RefCell::new(optimizer);
    let mut random = Random(7);
    let lists: Vec<Vec<u32>> = (0..LISTS).map(|_| random.rows(NAMED, rows)).collect();
    let mut contestants = Vec::new();
    for (which, lists) in [("new rows each step", &lists[..]), ("the same rows", &lists[..1])] {
        let mut lists = lists.iter().cycle();
        let (optimizer, params, gradients) = (&optimizer, &params, &gradients);
        let (name, bytes) = (format!("{precision}, {which}"), step_bytes(case.elements));
        contestants.push(Contestant::new(name, &gpu, bytes, move |encoder| {
            let named = lists.next().map_or(&[][..], Vec::as_slice);
            Ok(optimizer.borrow_mut().record_rows(encoder, params, gradients, named)?)
        }));
    }
    bench.compare(case, &mut contestants, &[Mode::Queued, Mode::Waited])
}
