//! The two classes of a logistic regression, which are found in the target and saved with the model.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::output::text::printable;

/// A target with fewer than two classes.
#[derive(Debug, thiserror::Error)]
#[error(
    "{}: there is {}: the logistic loss needs two classes",
    path.display(),
    only.as_ref().map_or_else(|| "no class".to_owned(), |label| format!("only class {label}"))
)]
pub(crate) struct TooFewClasses {
    pub(crate) path: PathBuf,
    pub(crate) only: Option<Label>,
}

/// The name of a class in a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Label {
    Number(f32),
    Name(String),
}

impl Label {
    /// The label in `text`, which has no surrounding blanks. Different spellings of a number are
    /// the same label.
    pub(crate) fn parse(text: &str) -> Self {
        match text.parse() {
            Ok(number) => Self::number(number),
            Err(_) => Self::Name(text.to_owned()),
        }
    }

    /// A number; -0 is 0.
    pub(crate) fn number(number: f32) -> Self {
        Self::Number(number + 0.0)
    }

    /// Numbers before names, both ascending.
    fn precedes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a < b,
            (Self::Name(a), Self::Name(b)) => a < b,
            (Self::Number(_), Self::Name(_)) => true,
            (Self::Name(_), Self::Number(_)) => false,
        }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(formatter, "{number}"),
            Self::Name(name) => formatter.write_str(&printable(name)),
        }
    }
}

/// Two labels in ascending order; targets are 0 for the first and 1 for the second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Classes(pub(crate) [Label; 2]);

impl Classes {
    /// Whether these are two labels that a file can have, in order.
    pub(crate) fn are_usable(&self) -> bool {
        let [first, second] = &self.0;
        let finite = |label: &Label| !matches!(label, Label::Number(number) if !number.is_finite());
        finite(first) && finite(second) && first.precedes(second)
    }

    /// The class of a prediction: the second if its probability is above one half.
    pub(crate) fn predicted(&self, prediction: f32) -> &Label {
        &self.0[usize::from(prediction > 0.0)]
    }
}

/// At most two labels, in the order in which they occur.
#[derive(Debug, Default)]
pub(crate) struct ClassCollector {
    seen: Vec<Label>,
}

impl ClassCollector {
    /// The number of a label: 0 or 1, in the order in which they occur.
    ///
    /// # Errors
    /// The two labels so far, if this is a third.
    pub(crate) fn number(&mut self, label: Label) -> Result<f32, [&Label; 2]> {
        let known = self.seen.iter().position(|seen| *seen == label);
        match (known, self.seen.len()) {
            (Some(index), _) => Ok(index as f32),
            (None, count @ (0 | 1)) => {
                self.seen.push(label);
                Ok(count as f32)
            }
            (None, _) => Err([&self.seen[0], &self.seen[1]]),
        }
    }

    /// The classes in ascending order; renumbers `targets` to match.
    ///
    /// # Errors
    /// The only label, if there is one.
    pub(crate) fn finish(self, targets: &mut [f32]) -> Result<Classes, Option<Label>> {
        let mut seen = self.seen.into_iter();
        match (seen.next(), seen.next()) {
            (Some(first), Some(second)) if second.precedes(&first) => {
                targets.iter_mut().for_each(|target| *target = 1.0 - *target);
                Ok(Classes([second, first]))
            }
            (Some(first), Some(second)) => Ok(Classes([first, second])),
            (only, _) => Err(only),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(labels: &[&str]) -> (Result<Classes, Option<Label>>, Vec<f32>) {
        let mut collector = ClassCollector::default();
        let mut targets: Vec<f32> =
            labels.iter().map(|label| collector.number(Label::parse(label)).unwrap()).collect();
        (collector.finish(&mut targets), targets)
    }

    #[test]
    fn classes_ascend_whatever_comes_first() {
        let numbers = Classes([Label::Number(-1.0), Label::Number(1.0)]);
        assert_eq!(collect(&["-1", "+1", "1.0"]), (Ok(numbers.clone()), vec![0.0, 1.0, 1.0]));
        assert_eq!(collect(&["1", "-1", "-1e0"]), (Ok(numbers), vec![1.0, 0.0, 0.0]));
        let names = Classes([Label::Name("no".to_owned()), Label::Name("yes".to_owned())]);
        assert_eq!(collect(&["yes", "no"]), (Ok(names), vec![1.0, 0.0]));
        // 10 is above 9, though its text is not; -0 is 0.
        assert_eq!(collect(&["9", "10"]).1, [0.0, 1.0]);
        assert_eq!(collect(&["-0", "0"]).0, Err(Some(Label::Number(0.0))));
    }

    #[test]
    fn one_class_is_too_few_and_a_third_too_many() {
        assert_eq!(collect(&["2", "2"]).0, Err(Some(Label::Number(2.0))));
        let mut collector = ClassCollector::default();
        for label in ["0", "1", "0"] {
            collector.number(Label::parse(label)).unwrap();
        }
        let [first, second] = collector.number(Label::parse("2")).unwrap_err();
        assert_eq!((first.to_string(), second.to_string()), ("0".to_owned(), "1".to_owned()));
    }

    #[test]
    fn a_tie_is_the_first_class() {
        let classes = Classes([Label::Number(0.0), Label::Number(1.0)]);
        let of = |prediction| classes.predicted(prediction).to_string();
        assert_eq!((of(0.0), of(-1.0), of(1e-9)), ("0".into(), "0".into(), "1".into()));
    }
}
