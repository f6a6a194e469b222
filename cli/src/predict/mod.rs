//! `wgpu-optim predict`: applies a saved model to a table.

pub(crate) mod args;

use std::collections::{HashMap, HashSet};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use wgpu_optim::Precision;
use wgpu_optim::data::ColumnScale;
use wgpu_optim::linear::{Loss, predict_blocking, predict_sparse_blocking};

use crate::device::Device;
use crate::error::Error;
use crate::input::classes::Label;
use crate::input::libsvm::SparseText;
use crate::input::table::Table;
use crate::input::text_file::TextFile;
use crate::interrupt;
use crate::memory;
use crate::model_file::{ModelDescription, SavedModel};
use crate::output::file::OutputFile;
use crate::output::text::{count, list};
use crate::output::{self, OutputError};
use args::PredictArgs;

/// Rows between two checks for an interrupt.
const ROWS_PER_CHECK: usize = 4096;

/// Runs the subcommand.
pub(crate) fn run(args: &PredictArgs) -> Result<(), Error> {
    let inputs = [args.model.as_path(), args.data.as_path()];
    let file = args.output.as_deref().map(|path| OutputFile::prepare(path, &inputs)).transpose()?;
    let saved = SavedModel::load(&args.model)?;
    let answers = answers(args, &saved)?;
    if let Some(row) = answers.iter().position(|answer| !answer.is_finite()) {
        return Err(Error::Argument(format!(
            "{}: row {}, not counting a header: the prediction is not a finite number: the values \
             are too large for the model {}",
            args.data.display(),
            row + 1,
            args.model.display()
        )));
    }

    let SavedModel { description, .. } = &saved;
    let written = match file {
        Some(file) => file.write(|file| write_csv(BufWriter::new(file), description, &answers)),
        None => write_csv(BufWriter::new(io::stdout().lock()), description, &answers)
            .map_err(OutputError::stdout),
    };
    if written.is_err() {
        interrupt::check()?;
    }
    Ok(written?)
}

/// The model's predictions for the rows of the file, in the target's units.
fn answers(args: &PredictArgs, saved: &SavedModel) -> Result<Vec<f64>, Error> {
    let SavedModel { model, description } = saved;
    let file = TextFile::open(&args.data)?;
    let is_libsvm = file.is_libsvm(args.format);
    if is_libsvm != description.sparse {
        let name = |sparse| if sparse { "LIBSVM" } else { "delimited" };
        return Err(Error::Argument(format!(
            "{}: this is {} text, but the model {} was trained on {} text: give such a file, or say \
             with --format that it is one",
            args.data.display(),
            name(is_libsvm),
            args.model.display(),
            name(description.sparse)
        )));
    }
    let answers = if description.sparse {
        let (rows, unknown) = SparseText::read(file)?.into_dataset(Some(model.weights.len()))?;
        if unknown > 0 && !args.quiet {
            output::warning(&format!(
                "{}: left out {} of features beyond the model's {}, on which it was not trained",
                args.data.display(),
                count(unknown, "value"),
                model.weights.len()
            ));
        }
        let device = Device::open(&args.device, args.quiet)?;
        interrupt::check()?;
        predict_sparse_blocking(device.engine(Precision::Native), model, &rows)?
    } else {
        let table = Table::new(file)?;
        let columns = match_columns(description, &args.model, &table)?;
        let (mut features, _) = table.read(&columns, None)?;
        description.scaling.apply(&mut features);
        let device = Device::open(&args.device, args.quiet)?;
        interrupt::check()?;
        predict_blocking(device.engine(Precision::Native), model, features.view())?
    };
    interrupt::check()?;
    memory::check::<f64>(answers.len(), || format!("{} answers", answers.len()))?;
    let scale = ColumnScale::from(description.scaling.target);
    Ok(answers.into_iter().map(|value| scale.restore(value)).collect())
}

/// CSV of one column, headed by the target's name, or of probability and class. Numbers are written
/// so that they read back the same. Ctrl-C ends it with an error.
fn write_csv(
    mut writer: impl Write,
    description: &ModelDescription,
    answers: &[f64],
) -> io::Result<()> {
    match &description.classes {
        None => writeln!(writer, "{}", quoted(&description.target))?,
        Some(_) => writeln!(writer, "probability,class")?,
    }
    for (row, &answer) in answers.iter().enumerate() {
        if row % ROWS_PER_CHECK == 0 && interrupt::requested() {
            return Err(io::Error::other("interrupted"));
        }
        match &description.classes {
            None => writeln!(writer, "{answer}")?,
            Some(classes) => {
                // A classifier's target has no scaling, so this is still an f32.
                let prediction = answer as f32;
                let class = match classes.predicted(prediction) {
                    Label::Number(number) => number.to_string(),
                    Label::Name(name) => quoted(name),
                };
                writeln!(writer, "{},{class}", Loss::probability(prediction))?;
            }
        }
    }
    writer.flush()
}

/// A CSV field, quoted if it has to be.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
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
            "{data}: the model {model_name} needs {needed} columns, or {} with the target, not \
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
        let cases =
            [("level, \"dB\"", "\"level, \"\"dB\"\"\""), ("level", "level"), ("a\nb", "\"a\nb\"")];
        for (text, expected) in cases {
            assert_eq!(quoted(text), expected);
        }
    }
}
