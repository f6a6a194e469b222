//! Several rules in one argument: `adagrad,sgd:momentum=0.9:nesterov=true`.

use wgpu_optim::AnyRule;
use wgpu_optim::rules::UnknownRule;

use crate::args::rule::{RuleArgs, RuleArgsError};

/// Why a list of rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RuleListError {
    #[error("--optimizers {text}: {error}")]
    Unknown { text: String, error: UnknownRule },
    #[error("--optimizers {0}: learning rates have their own option: remove learning_rate here")]
    LearningRate(String),
    #[error("--optimizers {text}: {error}")]
    Rule { text: String, error: RuleArgsError },
    #[error("--optimizers: {0} is listed twice: remove one")]
    Twice(String),
}

/// A rule of the list.
pub(crate) struct ListedRule {
    /// As the user wrote it.
    pub(crate) label: String,
    pub(crate) rule: RuleArgs,
    /// The learning rate that the rule begins with.
    pub(crate) own_rate: f32,
}

/// Reads the rules of `--optimizers`.
///
/// # Errors
/// [`RuleListError`] for one that is wrong or listed twice.
pub(crate) fn parse(texts: &[String]) -> Result<Vec<ListedRule>, RuleListError> {
    let mut all: Vec<ListedRule> = Vec::new();
    for text in texts {
        let rule = listed_rule(text.trim())?;
        if all.iter().any(|other| other.label == rule.label) {
            return Err(RuleListError::Twice(rule.label));
        }
        all.push(rule);
    }
    Ok(all)
}

/// `NAME[:OPTION=VALUE]..`
fn listed_rule(text: &str) -> Result<ListedRule, RuleListError> {
    let owned = || text.to_owned();
    let mut parts = text.split(':').map(str::trim);
    let optimizer = parts.next().unwrap_or_default().to_owned();
    AnyRule::named(&optimizer).map_err(|error| RuleListError::Unknown { text: owned(), error })?;
    let options: Vec<String> = parts.map(str::to_owned).collect();
    let name = |option: &String| option.split('=').next().map(|name| name.trim().replace('-', "_"));
    if options.iter().any(|option| name(option).is_some_and(|name| name == "learning_rate")) {
        return Err(RuleListError::LearningRate(owned()));
    }
    let rule = RuleArgs { optimizer, options };
    let own_rate = rule.rule(None, None);
    let own_rate = own_rate.map_err(|error| RuleListError::Rule { text: owned(), error })?;
    Ok(ListedRule { label: owned(), rule, own_rate: own_rate.learning_rate() })
}
