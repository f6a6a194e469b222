//! Tests of saved models.

use super::*;
use crate::input::classes::Label;
use crate::training::scaling::Scale;

fn saved() -> SavedModel {
    // 1/3 has no finite binary form: every bit of it must come back.
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
    description.target_index = 0;
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

/// With each of these, predictions would be NaN, infinite or of the wrong sign.
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

/// A damaged byte in the JSON can cause each of these, and prediction would misread it.
#[test]
fn contradictions_are_damage() {
    let classes = |first, second| Some(Classes([Label::Number(first), Label::Number(second)]));
    let identity = Scale { mean: 0.0, deviation: 1.0 };
    let mut classifier = saved();
    classifier.description.format = FORMAT;
    classifier.description.classes = classes(0.0, 1.0);
    classifier.description.scaling.target = identity;
    assert!(load(&classifier.to_bytes().unwrap()).is_ok());
    let last = saved().description.columns.len();
    let mut at_the_end = saved();
    at_the_end.description.target_index = last;
    assert!(load(&at_the_end.to_bytes().unwrap()).is_ok());

    type Damage = fn(&mut ModelDescription);
    let damages: [(SavedModel, Damage, &str); 8] = [
        (saved(), |it| it.target_index = 3, "target's index"),
        (saved(), |it| it.columns[1] = "a".to_owned(), "same name"),
        (saved(), |it| it.format = FORMAT, "its format"),
        (classifier.clone(), |it| it.format = FORMAT_OF_NUMBERS, "its format"),
        (classifier.clone(), |it| it.scaling.target.mean = 1.0, "scaling"),
        (classifier.clone(), |it| it.classes = Some(equal()), "ascending"),
        (classifier.clone(), |it| it.classes = Some(swapped()), "ascending"),
        (classifier, |it| it.classes = Some(infinite()), "ascending"),
    ];
    fn equal() -> Classes {
        Classes([Label::Number(1.0), Label::Number(1.0)])
    }
    fn swapped() -> Classes {
        Classes([Label::Name("b".to_owned()), Label::Name("a".to_owned())])
    }
    fn infinite() -> Classes {
        Classes([Label::Number(0.0), Label::Number(1e30)])
    }
    for (mut saved, damage, expected) in damages {
        damage(&mut saved.description);
        // JSON has no infinity, but 1e99 is one in f32.
        let bytes = replaced(&saved.to_bytes().unwrap(), b"1e+30", b"1e+99");
        let message = load(&bytes).unwrap_err().to_string();
        assert!(message.contains("damaged") && message.contains(expected), "{message}");
    }
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if let Some(at) = bytes.windows(from.len()).position(|window| window == from) {
        bytes[at..at + to.len()].copy_from_slice(to);
    }
    bytes
}

#[test]
fn a_file_longer_than_it_says_is_damaged() {
    let mut bytes = saved().to_bytes().unwrap();
    bytes.push(0);
    let message = load(&bytes).unwrap_err().to_string();
    assert!(message.contains("damaged: it continues after"), "{message}");
}

/// A header of 10 GB, and one that announces 4 GB of weights.
#[test]
fn sizes_beyond_every_model_are_refused_unread() {
    let long = [10_u64.pow(10).to_le_bytes().as_slice(), b"{"].concat();
    let bytes = saved().to_bytes().unwrap();
    let text = String::from_utf8_lossy(&bytes[8..]);
    let (header, _) = text.rsplit_once('}').unwrap();
    let header = format!("{header}}}").replace(",12]", ",4294967296]");
    let heavy = [(header.len() as u64).to_le_bytes().as_slice(), header.as_bytes()].concat();
    for (bytes, expected) in [(long, "too long"), (heavy, "more than 268435456 weights")] {
        let message = load(&bytes).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
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
