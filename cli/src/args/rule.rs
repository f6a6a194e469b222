//! The choice of an update rule: what `--optimizer` and `--option` mean.

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};
use serde_json::{Map, Value};
use wgpu_optim::rules::{Preset, RuleOption, SettingError, SettingKind};
use wgpu_optim::{AnyRule, RuleError};

use crate::args::headings::OPTIMIZER;

/// The widths of a line of the help and of its column of names.
const HELP_WIDTH: usize = 98;
const NAME_WIDTH: usize = 8;

/// Why a rule cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RuleArgsError {
    #[error("--optimizer {0}: no such rule")]
    Unknown(String),
    #[error("--epsilon: {0} has no epsilon: leave it out")]
    NoEpsilon(&'static str),
    #[error("--option {0}: give NAME=VALUE, such as momentum=0.9")]
    NoValue(String),
    #[error("--option {option}: --{argument} sets this too: give only one of them")]
    SetTwice { option: String, argument: String },
    #[error("--option {option}: {error}")]
    Setting { option: String, error: SettingError },
    /// A hyper-parameter out of its domain, under the name that it has on the command line.
    #[error("{0}")]
    Refused(String),
}

/// Which update rule to use.
#[derive(Clone, Debug, Args)]
pub(crate) struct RuleArgs {
    /// The update rule
    #[arg(
        long,
        value_name = "NAME",
        default_value = "adagrad",
        value_parser = names(),
        help_heading = OPTIMIZER
    )]
    pub(crate) optimizer: String,
    /// Set a hyper-parameter of the optimizer, such as momentum=0.9; repeat it to set several. `fit
    /// -h` lists them
    #[arg(
        short = 'O',
        long = "option",
        value_name = "NAME=VALUE",
        allow_hyphen_values = true,
        help_heading = OPTIMIZER
    )]
    pub(crate) options: Vec<String>,
}

/// A rule, and the preset by which the user chose it.
#[derive(Clone, Debug)]
pub(crate) struct ChosenRule {
    pub(crate) rule: AnyRule,
    preset: Preset<AnyRule>,
}

fn names() -> PossibleValuesParser {
    let value = |preset: Preset<AnyRule>| PossibleValue::new(preset.name).help(preset.about);
    PossibleValuesParser::new(AnyRule::presets().into_iter().map(value))
}

/// The hyper-parameters of every rule with their defaults, for help texts.
pub(crate) fn hyper_parameters() -> String {
    let mut text = String::new();
    for preset in AnyRule::presets() {
        let options = preset.rule.options();
        // fit and trace have other defaults for it.
        let options = options.iter().filter(|option| option.name != "learning_rate");
        let mut line = format!("  {:NAME_WIDTH$}", preset.name);
        for option in options {
            let word = format!(" {}={}", option.name, option.text());
            if line.len() + word.len() > HELP_WIDTH {
                text.push_str(&line);
                line = format!("\n  {:NAME_WIDTH$}", "");
            }
            line.push_str(&word);
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// A preset's learning rate for a linear model on standardized data in batches of ten.
fn linear_rate(preset: &str) -> f32 {
    match preset {
        "sgd" => 0.05,
        "adagrad" => 0.1,
        "adadelta" => 1.0,
        "rmsprop" | "adam" | "adamw" => 0.01,
        _ => f32::NAN, // a test fails if a preset is missing
    }
}

/// The learning rate that each rule begins with, for help texts.
pub(crate) fn learning_rates() -> String {
    let rate = |preset: Preset<AnyRule>| format!("{} {}", preset.name, linear_rate(preset.name));
    AnyRule::presets().into_iter().map(rate).collect::<Vec<_>>().join(", ")
}

impl RuleArgs {
    /// The rule with these hyper-parameters. `learning_rate` and `epsilon` override the defaults.
    ///
    /// # Errors
    /// [`RuleArgsError`] if there is no such hyper-parameter, one is set twice, or the rule refuses a
    /// value.
    pub(crate) fn rule(
        &self,
        learning_rate: Option<f32>,
        epsilon: Option<f32>,
    ) -> Result<ChosenRule, RuleArgsError> {
        let presets = AnyRule::presets();
        let preset = presets.iter().find(|preset| preset.name == self.optimizer);
        let Some(&preset) = preset else {
            return Err(RuleArgsError::Unknown(self.optimizer.clone()));
        };
        let mut rule = preset.rule;
        rule.set_learning_rate(linear_rate(preset.name));
        if let Some(learning_rate) = learning_rate {
            rule.set_learning_rate(learning_rate);
        }
        if let Some(epsilon) = epsilon {
            rule.set("epsilon", &epsilon.to_string())
                .map_err(|_| RuleArgsError::NoEpsilon(preset.name))?;
        }
        for option in &self.options {
            let Some((name, value)) = option.split_once('=') else {
                return Err(RuleArgsError::NoValue(option.clone()));
            };
            let has_argument = match name.trim().replace('-', "_").as_str() {
                "learning_rate" => learning_rate.is_some(),
                "epsilon" => epsilon.is_some(),
                _ => false,
            };
            if has_argument {
                let argument = name.trim().replace('_', "-");
                return Err(RuleArgsError::SetTwice { option: option.clone(), argument });
            }
            rule.set(name.trim(), value.trim())
                .map_err(|error| RuleArgsError::Setting { option: option.clone(), error })?;
        }
        rule.validate().map_err(refused)?;
        Ok(ChosenRule { rule, preset })
    }
}

/// A refused value, under the name that the hyper-parameter has on the command line.
fn refused(error: RuleError) -> RuleArgsError {
    let text = error.to_string();
    let (name, rest) = text.split_once(' ').unwrap_or((&text, ""));
    RuleArgsError::Refused(match name {
        "learning_rate" => format!("--learning-rate {rest}"),
        "epsilon" => format!("--epsilon {rest}"),
        name => format!("--option {name} {rest}"),
    })
}

impl ChosenRule {
    /// The name by which the user chose it.
    pub(crate) fn name(&self) -> &'static str {
        self.preset.name
    }

    pub(crate) fn learning_rate(&self) -> f32 {
        self.rule.learning_rate()
    }

    /// Its epsilon, if it has one.
    pub(crate) fn epsilon(&self) -> Option<f32> {
        self.rule.options().into_iter().find(|o| o.name == "epsilon").map(|o| o.value as f32)
    }

    /// Every hyper-parameter but the learning rate and epsilon, for JSON.
    pub(crate) fn options(&self) -> Map<String, Value> {
        let own = |option: &RuleOption| !["learning_rate", "epsilon"].contains(&option.name);
        let value = |option: RuleOption| {
            let text = option.text();
            let value = match option.kind {
                SettingKind::Number(_) => text.parse::<f64>().map_or(Value::Null, Value::from),
                SettingKind::Flag => Value::from(option.value != 0.0),
                SettingKind::Choice(_) => Value::from(text),
            };
            (option.name.to_owned(), value)
        };
        self.rule.options().into_iter().filter(own).map(value).collect()
    }
}

impl std::fmt::Display for ChosenRule {
    /// `sgd at 0.05, momentum=0.9`: whatever differs from the preset.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} at {}", self.name(), self.learning_rate())?;
        for (option, preset) in self.rule.options().iter().zip(self.preset.rule.options()) {
            if option.name != "learning_rate" && option.value != preset.value {
                write!(formatter, ", {}={}", option.name, option.text())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_has_a_learning_rate_for_linear_models() {
        for preset in AnyRule::presets() {
            assert!(linear_rate(preset.name) > 0.0, "{}", preset.name);
        }
    }
}
