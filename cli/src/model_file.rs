//! Saved models: a safetensors file of two f32 tensors, `weights` of shape (features) and `bias`
//! of shape (1), with the column names and the scaling in its metadata.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use wgpu_optim::linear::LinearModel;

use crate::input::classes::Classes;
use crate::input::columns::Columns;
use crate::input::text_file::describe;
use crate::training::scaling::Scaling;

/// The metadata's one key. One, because the format does not keep the order of several, and the
/// same model should be the same bytes.
const KEY: &str = "wgpu-optim";
/// Raised when older programs could no longer read the file rightly: those that know only 1 would
/// take the answers of other models for numbers of the target, or look for their columns' names.
const FORMAT: u32 = 2;
const FORMAT_OF_NUMBERS: u32 = 1;

/// Why a model file could not be used or made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ModelError {
    #[error("{}: {reason}: give a model that `wgpu-optim fit --save` wrote", path.display())]
    Unusable { path: PathBuf, reason: String },
    #[error(
        "{}: this model is of format {found}, but this program knows {FORMAT}: \
         use a newer wgpu-optim, or train the model again",
        path.display()
    )]
    Format { path: PathBuf, found: u64 },
    #[error("saving failed: {0}")]
    Unsaved(String),
}

impl ModelError {
    /// Whether the run failed, rather than the file being wrong.
    pub(crate) fn run_failed(&self) -> bool {
        matches!(self, Self::Unsaved(_))
    }
}

/// A model and all that is needed to use it on another file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SavedModel {
    pub(crate) model: LinearModel,
    pub(crate) description: ModelDescription,
}

/// What the metadata holds, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ModelDescription {
    format: u32,
    /// The features' names, in the order of the weights.
    pub(crate) columns: Vec<String>,
    pub(crate) target: String,
    /// Where the target stood in the file, counted from 0.
    pub(crate) target_index: usize,
    /// Whether the file had a header; otherwise the names were made up.
    pub(crate) named: bool,
    pub(crate) scaling: Scaling,
    /// What a logistic model's 0 and 1 stand for; none for a model of numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) classes: Option<Classes>,
    /// Whether the features are those of LIBSVM text: they have no names and no scaling then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) sparse: bool,
}

impl ModelDescription {
    /// What to keep beside the weights. `sparse` is whether the features are those of LIBSVM text.
    pub(crate) fn new(
        columns: Columns,
        scaling: Scaling,
        classes: Option<Classes>,
        sparse: bool,
    ) -> Self {
        let numbers = !sparse && classes.is_none();
        let Columns { features, target, target_index, named } = columns;
        Self {
            format: if numbers { FORMAT_OF_NUMBERS } else { FORMAT },
            columns: features,
            target,
            target_index,
            named,
            scaling,
            classes,
            sparse,
        }
    }
}

impl SavedModel {
    /// The content of the file.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, ModelError> {
        let failed = |error: &dyn std::error::Error| ModelError::Unsaved(error.to_string());
        let bytes = |values: &[f32]| -> Vec<u8> {
            values.iter().flat_map(|value| value.to_le_bytes()).collect()
        };
        let (weights, bias) = (bytes(&self.model.weights), bytes(&[self.model.bias]));
        let view = |shape: usize, bytes| TensorView::new(Dtype::F32, vec![shape], bytes);
        let tensors = [
            ("weights", view(self.model.weights.len(), &weights).map_err(|error| failed(&error))?),
            ("bias", view(1, &bias).map_err(|error| failed(&error))?),
        ];
        let text = serde_json::to_string(&self.description).map_err(|error| failed(&error))?;
        let metadata = HashMap::from([(KEY.to_owned(), text)]);
        safetensors::serialize(tensors, Some(metadata)).map_err(|error| failed(&error))
    }

    /// Reads the model file at `path`.
    pub(crate) fn load(path: &Path) -> Result<Self, ModelError> {
        let unusable = |reason: String| ModelError::Unusable { path: path.to_owned(), reason };
        if path.is_dir() {
            return Err(unusable("this is a directory".to_owned()));
        }
        let bytes = std::fs::read(path).map_err(|error| unusable(describe(&error)))?;
        if let Some(reason) = truncation(&bytes) {
            return Err(unusable(reason));
        }
        let not_safetensors = |error| unusable(format!("this is not a safetensors file ({error})"));
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(not_safetensors)?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(not_safetensors)?;
        let text =
            header.metadata().as_ref().and_then(|metadata| metadata.get(KEY)).ok_or_else(|| {
                unusable("this is a safetensors file of another program".to_owned())
            })?;
        let damaged = |what: &str| unusable(format!("the model is damaged: {what}"));
        check_format(path, text)?;
        let description: ModelDescription =
            serde_json::from_str(text).map_err(|error| damaged(&error.to_string()))?;
        let weights = tensor(&tensors, "weights").map_err(|what| damaged(&what))?;
        let bias = tensor(&tensors, "bias").map_err(|what| damaged(&what))?;
        if !weights.iter().chain(&bias).all(|value| value.is_finite()) {
            return Err(damaged("a weight or the bias is no finite number"));
        }
        if !description.scaling.is_usable() {
            return Err(damaged("a mean or a deviation is no usable number"));
        }
        let count = weights.len();
        let described = if description.sparse { 0 } else { count };
        let counts = [description.columns.len(), description.scaling.features.len()];
        match (counts == [described; 2], bias.as_slice()) {
            (true, &[bias]) => Ok(Self { model: LinearModel { weights, bias }, description }),
            _ => Err(damaged("weights, columns and scaling do not match")),
        }
    }
}

/// Asks for the format before anything that a later format may have changed.
fn check_format(path: &Path, text: &str) -> Result<(), ModelError> {
    let parsed: Option<serde_json::Value> = serde_json::from_str(text).ok();
    match parsed.and_then(|value| value.get("format")?.as_u64()) {
        Some(found) if found == 0 || found > u64::from(FORMAT) => {
            Err(ModelError::Format { path: path.to_owned(), found })
        }
        _ => Ok(()),
    }
}

/// What is wrong with a file that is shorter than it says. The library's words for this are not
/// for users.
fn truncation(bytes: &[u8]) -> Option<String> {
    if bytes.is_empty() {
        return Some("the file is empty".to_owned());
    }
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    let header_length = u64::from_le_bytes(*length);
    let starts_as_header = rest.first() == Some(&b'{');
    let truncated = |expected: u64| {
        format!("the file is truncated: it has {} of {expected} bytes", bytes.len())
    };
    if starts_as_header && header_length > rest.len() as u64 {
        return Some(truncated(header_length.saturating_add(8)));
    }
    let header = rest.get(..usize::try_from(header_length).ok()?)?;
    let header: serde_json::Value = serde_json::from_slice(header).ok()?;
    let ends = header
        .as_object()?
        .values()
        .filter_map(|tensor| tensor.get("data_offsets")?.as_array()?.get(1)?.as_u64());
    let expected = ends.max()?.saturating_add(header_length).saturating_add(8);
    (expected > bytes.len() as u64).then(|| truncated(expected))
}

/// The numbers of a tensor, or what is wrong with it.
fn tensor(tensors: &SafeTensors<'_>, name: &str) -> Result<Vec<f32>, String> {
    let view = tensors.tensor(name).map_err(|_| format!("there are no {name:?}"))?;
    if view.dtype() != Dtype::F32 || view.shape().len() != 1 {
        let (kind, shape) = (view.dtype(), view.shape());
        return Err(format!("{name:?} are {kind:?} of shape {shape:?}, and not F32 in one row"));
    }
    let (values, _) = view.data().as_chunks::<4>();
    Ok(values.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::classes::Label;
    use crate::training::scaling::Scale;

    fn saved() -> SavedModel {
        // A third has no finite binary form: it must come back to the last bit.
        let scale = Scale { mean: 1.0 / 3.0, deviation: 2.0e-9 / 7.0 };
        let description = ModelDescription {
            format: FORMAT_OF_NUMBERS,
            classes: None,
            sparse: false,
            columns: vec!["a".to_owned(), "b, c".to_owned()],
            target: "y".to_owned(),
            target_index: 1,
            named: true,
            scaling: Scaling { features: vec![scale; 2], target: scale },
        };
        SavedModel { model: LinearModel { weights: vec![0.1, -1e-40], bias: 3.5 }, description }
    }

    fn load(bytes: &[u8]) -> Result<SavedModel, ModelError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("model.safetensors");
        std::fs::write(&path, bytes).unwrap();
        SavedModel::load(&path)
    }

    #[test]
    fn every_bit_comes_back() {
        assert_eq!(load(&saved().to_bytes().unwrap()).unwrap(), saved());
    }

    #[test]
    fn sparse_classifiers_come_back_in_a_format_of_their_own() {
        let mut classifier = saved();
        let description = &mut classifier.description;
        description.format = FORMAT;
        description.classes = Some(Classes([Label::Number(-1.0), Label::Name("1".to_owned())]));
        (description.sparse, description.columns, description.scaling) =
            (true, vec![], Scaling::none());
        assert_eq!(load(&classifier.to_bytes().unwrap()).unwrap(), classifier);
        classifier.description.sparse = false;
        let message = load(&classifier.to_bytes().unwrap()).unwrap_err().to_string();
        assert!(message.contains("do not match"), "{message}");
    }

    #[test]
    fn the_same_model_is_the_same_bytes() {
        assert_eq!(saved().to_bytes().unwrap(), saved().to_bytes().unwrap());
    }

    #[test]
    fn a_file_cut_anywhere_is_an_error() {
        let bytes = saved().to_bytes().unwrap();
        for length in 0..bytes.len() {
            let message = load(&bytes[..length]).unwrap_err().to_string();
            let expected = match length {
                0 => "is empty",
                1..9 => "not a safetensors file",
                _ => "truncated",
            };
            assert!(message.contains(expected), "{length}: {message}");
        }
    }

    /// Each of these would be answered with NaN, infinity or the mirrored value.
    #[test]
    fn numbers_that_no_training_makes_are_refused() {
        let damages: [fn(&mut SavedModel); 5] = [
            |saved| saved.model.weights[1] = f32::NAN,
            |saved| saved.model.bias = f32::INFINITY,
            |saved| saved.description.scaling.features[0].deviation = -1.0,
            |saved| saved.description.scaling.target.deviation = -0.5,
            |saved| saved.model.weights[0] = f32::NEG_INFINITY,
        ];
        for damage in damages {
            let mut saved = saved();
            damage(&mut saved);
            let message = load(&saved.to_bytes().unwrap()).unwrap_err().to_string();
            assert!(message.contains("damaged"), "{message}");
        }
    }

    #[test]
    fn tensors_of_another_kind_are_named() {
        let bytes = [0; 8];
        let view = TensorView::new(Dtype::F64, vec![1, 1], &bytes).unwrap();
        let text = serde_json::to_string(&saved().description).unwrap();
        let metadata = HashMap::from([(KEY.to_owned(), text)]);
        let file = safetensors::serialize([("weights", view)], Some(metadata)).unwrap();
        let message = load(&file).unwrap_err().to_string();
        assert!(message.contains("F64 of shape [1, 1]"), "{message}");
    }

    #[test]
    fn other_files_are_told_apart() {
        let foreign = safetensors::serialize(Vec::<(&str, TensorView<'_>)>::new(), None).unwrap();
        let newer = String::from_utf8_lossy(&saved().to_bytes().unwrap()).into_owned();
        assert!(newer.contains("{\\\"format\\\":1"));
        let newer = saved().to_bytes().unwrap();
        let at = newer.windows(10).position(|window| window == b"format\\\":1").unwrap() + 9;
        let mut newer = newer;
        newer[at] = b'9';
        let cases: [(&[u8], &str); 3] = [
            (b"column,another\n1,2\n", "not a safetensors file"),
            (&foreign, "another program"),
            (&newer, "format 9"),
        ];
        for (bytes, expected) in cases {
            let message = load(bytes).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
