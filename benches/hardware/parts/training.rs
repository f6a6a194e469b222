//! Training of linear models: the bits of exact precision against the CPU engine's, and the time.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use wgpu_optim::data::{ColumnScale, Dataset, synthetic};
use wgpu_optim::linear::{Engine, Trained, Training, train_blocking};
use wgpu_optim::ndarray::{Array2, Axis};
use wgpu_optim::{Adagrad, Precision};

use crate::Result;
use crate::programs::command::airfoil;
use crate::record::{Row, Status, Times};
use crate::timing::{Bench, Case};

const MODE: &str = "epoch";
/// The maximum relative difference of losses in native precision, as in the driver tests.
const TOLERANCE: f64 = 1e-5;

pub(super) fn measure(bench: &mut Bench) -> Result<()> {
    let mut problems = vec![];
    if let Some(file) = airfoil()? {
        problems.push(("airfoil, batches of 10", airfoil_data(&file)?, Training::default()));
    } else {
        let case = Case::new("airfoil, batches of 10", 0);
        let row = bench.row(&case, "", Status::Absent);
        bench.write(&Row { detail: "the bundle has no airfoil data".to_owned(), ..row })?;
    }
    problems.push(("synthetic, batches of 10", synthetic(1500, 5, 0).dataset, Training::default()));
    if !bench.quick {
        let training =
            Training { epochs: 1, batch_size: 8192, evaluate_every: 0, ..Training::default() };
        problems.push(("synthetic, batches of 8192", synthetic(100_000, 256, 0).dataset, training));
    }
    bench.expect(problems.len());
    for (name, data, training) in &problems {
        let case = Case::new(*name, data.rows() * (data.feature_count() + 1));
        bench.case(&case, |bench, case| engines(bench, case, data, training))?;
    }
    Ok(())
}

/// The textbook's table: every column standardized over all rows, then the first 1500 rows.
fn airfoil_data(file: &Path) -> Result<Dataset> {
    const COLUMNS: usize = 6;
    const ROWS: usize = 1500;
    let text = std::fs::read_to_string(file)?;
    let values =
        text.split_whitespace().map(str::parse).collect::<std::result::Result<Vec<f32>, _>>()?;
    let mut table = Array2::from_shape_vec((values.len() / COLUMNS, COLUMNS), values)?;
    for mut column in table.columns_mut() {
        ColumnScale::of(column.view()).standardize(column.view_mut());
    }
    let (features, target) = table.view().split_at(Axis(1), COLUMNS - 1);
    let mut data = Dataset::new(features.to_owned(), target.column(0).to_owned())?;
    data.truncate(ROWS);
    Ok(data)
}

fn engines(bench: &mut Bench, case: &Case, data: &Dataset, training: &Training) -> Result<()> {
    let until = bench.next_share();
    let gpu = bench.gpu.clone();
    let engines = [
        ("CPU engine", Engine::Cpu),
        ("exact", Engine::Gpu { gpu: &gpu, precision: Precision::Exact }),
        ("native", Engine::Gpu { gpu: &gpu, precision: Precision::Native }),
    ];
    let mut expected: Option<Trained> = None;
    for (index, (name, engine)) in engines.into_iter().enumerate() {
        let now = Instant::now();
        let until = now + until.saturating_duration_since(now) / (engines.len() - index) as u32;
        let Some(trained) = run(engine, data, training, bench.deadline)? else {
            let row = bench.row(case, name, Status::Timeout);
            bench.write(&Row { mode: MODE.to_owned(), ..row })?;
            if expected.is_none() {
                return Ok(()); // without the CPU engine's result, there is nothing to compare
            }
            continue;
        };
        let mut seconds = vec![trained.seconds_per_epoch];
        while seconds.len() < bench.rounds() && Instant::now() < until {
            let again = run(engine, data, training, bench.deadline)?;
            seconds.extend(again.map(|trained| trained.seconds_per_epoch));
        }
        let expected = expected.get_or_insert_with(|| trained.clone());
        let agrees = match name {
            "native" => (trained.loss - expected.loss).abs() <= TOLERANCE * expected.loss,
            _ => hash(&trained) == hash(expected),
        };
        let status = if agrees { Status::Passed } else { Status::Failed };
        let row = bench.row(case, name, status);
        let detail = format!("bits of the model and of all losses: {:016x}", hash(&trained));
        bench.write(&Row {
            mode: MODE.to_owned(),
            times: Times::of(seconds),
            check: Some(trained.loss),
            detail,
            ..row
        })?;
    }
    Ok(())
}

/// A complete run; none if it would end after `deadline`.
fn run(
    engine: Engine<'_>,
    data: &Dataset,
    training: &Training,
    deadline: Instant,
) -> Result<Option<Trained>> {
    let rule = Adagrad { learning_rate: 0.1, ..Adagrad::default() };
    let mut over = false;
    let trained = train_blocking(engine, rule, data, training, |_| {
        over = Instant::now() >= deadline;
        if over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    if over { Ok(None) } else { Ok(Some(trained?)) }
}

/// FNV-1a over the bits of the weights, the bias, and each sample of the loss, little-endian.
fn hash(trained: &Trained) -> u64 {
    let model = trained.model.weights.iter().chain([&trained.model.bias]);
    let model = model.flat_map(|value| value.to_bits().to_le_bytes());
    let losses = trained.history.iter().flat_map(|point| point.loss.to_bits().to_le_bytes());
    model.chain(losses).fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
