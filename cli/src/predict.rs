//! `wgpu-optim predict`: applies a saved model to a table.

use std::collections::{HashMap, HashSet};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use wgpu_optim::Precision;
use wgpu_optim::data::ColumnScale;
use wgpu_optim::linear::predict_blocking;

use crate::args::PredictArgs;
use crate::device::Device;
use crate::error::Error;
use crate::interrupt;
use crate::model_file::{ModelDescription, SavedModel};
use crate::output::{OutputError, OutputFile};
use crate::problem::list;
use crate::table::Table;

/// Rows between two looks at whether the user wants to stop.
const ROWS_PER_CHECK: usize = 4096;

/// Runs the subcommand.
pub(crate) fn run(args: &PredictArgs) -> Result<(), Error> {
    let inputs = [args.model.as_path(), args.data.as_path()];
    let file = args.output.as_deref().map(|path| OutputFile::prepare(path, &inputs)).transpose()?;
    let SavedModel { model, description } = SavedModel::load(&args.model)?;
    let table = Table::open(&args.data)?;
    let columns = match_columns(&description, &args.model, &table)?;
    let (mut features, _) = table.read(&columns, None)?;
    description.scaling.apply(&mut features);
    let device = Device::open(&args.device, args.quiet)?;
    interrupt::check()?;
    let scaled = predict_blocking(device.engine(Precision::Native), &model, features.view())?;
    interrupt::check()?;
    let scale = ColumnScale::from(description.scaling.target);
    let answers = || scaled.iter().map(|&value| scale.restore(value));
    if let Some(row) = answers().position(|answer| !answer.is_finite()) {
        return Err(Error::Argument(format!(
            "{}: row {} below any header: the answer is no finite number: its values are too large \
             for the model {}",
            args.data.display(),
            row + 1,
            args.model.display()
        )));
    }

    let written = match file {
        Some(file) => {
            file.write(|file| write_column(BufWriter::new(file), &description.target, answers()))
        }
        None => write_column(BufWriter::new(io::stdout().lock()), &description.target, answers())
            .map_err(OutputError::stdout),
    };
    if written.is_err() {
        interrupt::check()?;
    }
    Ok(written?)
}

/// CSV of one column. Numbers are written so that they read back to the same f64. Ctrl-C ends it
/// with an error.
fn write_column(
    mut writer: impl Write,
    header: &str,
    answers: impl Iterator<Item = f64>,
) -> io::Result<()> {
    if header.contains([',', '"', '\n', '\r']) {
        writeln!(writer, "\"{}\"", header.replace('"', "\"\""))?;
    } else {
        writeln!(writer, "{header}")?;
    }
    for (row, answer) in answers.enumerate() {
        if row % ROWS_PER_CHECK == 0 && interrupt::requested() {
            return Err(io::Error::other("interrupted"));
        }
        writeln!(writer, "{answer}")?;
    }
    writer.flush()
}

/// Where in the table the model's columns are: by name if both have names, else by position.
fn match_columns(
    model: &ModelDescription,
    model_path: &Path,
    table: &Table,
) -> Result<Vec<usize>, Error> {
    let (names, data, model_name) = (table.names(), table.path().display(), model_path.display());
    if model.named && table.has_header() {
        let wanted: HashSet<&str> = model.columns.iter().map(String::as_str).collect();
        table.refuse_same_names(|name| wanted.contains(name))?;
        let places: HashMap<&str, usize> =
            names.iter().enumerate().map(|(index, name)| (name.as_str(), index)).collect();
        let find = |column: &String| places.get(column.as_str()).copied();
        let missing: Vec<String> =
            model.columns.iter().filter(|column| find(column).is_none()).cloned().collect();
        if missing.is_empty() {
            return Ok(model.columns.iter().filter_map(find).collect());
        }
        return Err(Error::Argument(format!(
            "{data}: the model {model_name} needs columns that are missing here: {}; there are: {}",
            list(&missing),
            list(names)
        )));
    }
    let (count, needed) = (names.len(), model.columns.len());
    if count == needed {
        Ok((0..count).collect())
    } else if count == needed + 1 {
        Ok((0..count).filter(|&index| index != model.target_index).collect())
    } else {
        Err(Error::Argument(format!(
            "{data}: the model {model_name} needs {needed} columns, or {} with the target, and not \
             {count}: {}",
            needed + 1,
            list(&model.columns)
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_quoted_where_they_must() {
        let mut text = Vec::new();
        write_column(&mut text, "level, \"dB\"", [1.5, -2e-9].into_iter()).unwrap();
        assert_eq!(String::from_utf8(text).unwrap(), "\"level, \"\"dB\"\"\"\n1.5\n-0.000000002\n");
    }
}
