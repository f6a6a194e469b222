//! Saved models: a safetensors file of two f32 tensors, `weights` of shape (features) and `bias`
//! of shape (1), with the column names and the scaling in its metadata.

mod bounded;

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use wgpu_optim::linear::LinearModel;

use crate::input::classes::Classes;
use crate::input::columns::Columns;
use crate::input::text_file::describe;
use crate::memory::{self, OutOfMemory};
use crate::training::scaling::Scaling;

/// The only key of the metadata. The order of several keys would not be fixed, and saving the same
/// model should give the same bytes.
const KEY: &str = "wgpu-optim";
/// Raised when older programs would misread the file. Programs that know only format 1 would take
/// the predictions of a classifier for numbers, or look for the column names of a sparse model.
const FORMAT: u32 = 2;
const FORMAT_OF_NUMBERS: u32 = 1;

/// Why a model file could not be used or made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ModelError {
    #[error("{}: {reason}: give a model that `wgpu-optim fit --save` wrote", path.display())]
    Unusable { path: PathBuf, reason: String },
    #[error(
        "{}: this model has format {found}, but this program supports formats up to {FORMAT}: \
         use a newer wgpu-optim, or train the model again",
        path.display()
    )]
    Format { path: PathBuf, found: u64 },
    #[error("saving failed: {0}")]
    Unsaved(String),
    #[error(transparent)]
    OutOfMemory(#[from] OutOfMemory),
}

impl ModelError {
    /// Whether the run failed, rather than the file being wrong.
    pub(crate) fn run_failed(&self) -> bool {
        matches!(self, Self::Unsaved(_) | Self::OutOfMemory(_))
    }
}

/// A model and all that is needed to use it on another file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SavedModel {
    pub(crate) model: LinearModel,
    pub(crate) description: ModelDescription,
}

/// The content of the metadata, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ModelDescription {
    format: u32,
    /// The features' names, in the order of the weights.
    pub(crate) columns: Vec<String>,
    pub(crate) target: String,
    /// The target's index in the file, counted from 0.
    pub(crate) target_index: usize,
    /// Whether the file had a header; otherwise the names were generated.
    pub(crate) named: bool,
    pub(crate) scaling: Scaling,
    /// What a logistic model's 0 and 1 stand for; none for a model of numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) classes: Option<Classes>,
    /// Whether the features come from LIBSVM text; they then have no names and no scaling.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) sparse: bool,
}

impl ModelDescription {
    /// The description to store with the weights. `sparse` is whether the features come from LIBSVM
    /// text.
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
        let what = || format!("the model {}", path.display());
        let bytes = bounded::read(path).map_err(|error| match error.kind() {
            ErrorKind::OutOfMemory => OutOfMemory::of::<u8>(bounded::size(path), what()).into(),
            _ => unusable(describe(&error)),
        })?;
        memory::check::<u8>(bytes.len(), what)?; // for the weights as numbers
        if let Some(reason) = bounded::wrong_length(&bytes) {
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
            return Err(damaged("a weight or the bias is not a finite number"));
        }
        if !description.scaling.is_usable() {
            return Err(damaged("a mean or a deviation is not a usable number"));
        }
        if let Some(what) = description.contradiction() {
            return Err(damaged(what));
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

impl ModelDescription {
    /// What is wrong with a description that training never writes and prediction would misread.
    fn contradiction(&self) -> Option<&'static str> {
        let numbers = !self.sparse && self.classes.is_none();
        if (self.format == FORMAT_OF_NUMBERS) != numbers {
            return Some("its classes or sparse features do not match its format");
        }
        // Rows with the target have one column more than the model.
        if self.target_index > self.columns.len() {
            return Some("the target's index is beyond the columns");
        }
        let mut names: Vec<&str> = self.columns.iter().map(String::as_str).collect();
        names.sort_unstable();
        if self.named && names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Some("two columns have the same name");
        }
        match &self.classes {
            Some(classes) if !classes.are_usable() => {
                Some("the classes are not two finite labels in ascending order")
            }
            Some(_) if !self.scaling.target_is_identity() => {
                Some("the target is a class, but has a scaling")
            }
            _ => None,
        }
    }
}

/// Checks the format before anything that a later format may have changed.
fn check_format(path: &Path, text: &str) -> Result<(), ModelError> {
    let parsed: Option<serde_json::Value> = serde_json::from_str(text).ok();
    match parsed.and_then(|value| value.get("format")?.as_u64()) {
        Some(found) if found == 0 || found > u64::from(FORMAT) => {
            Err(ModelError::Format { path: path.to_owned(), found })
        }
        _ => Ok(()),
    }
}

/// The numbers of a tensor, or what is wrong with it.
fn tensor(tensors: &SafeTensors<'_>, name: &str) -> Result<Vec<f32>, String> {
    let view = tensors.tensor(name).map_err(|_| format!("the tensor {name:?} is missing"))?;
    if view.dtype() != Dtype::F32 || view.shape().len() != 1 {
        let (kind, shape) = (view.dtype(), view.shape());
        return Err(format!("{name:?} is {kind:?} of shape {shape:?}, not F32 of one dimension"));
    }
    let (values, _) = view.data().as_chunks::<4>();
    Ok(values.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
}

#[cfg(test)]
mod tests;
