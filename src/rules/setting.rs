//! Hyper-parameters by name. A rule describes each of them once, for programs that take them from a
//! user, for validation, and for tests that draw them at random.

use super::error::{at_least_zero, below_one, not_subnormal};
use super::options::Either;
use super::{Rule, RuleError};

/// A hyper-parameter of rule `R`, or a part of one.
#[derive(Clone, Copy, Debug)]
pub struct Setting<R> {
    /// The name of the field.
    pub name: &'static str,
    /// A description, in one line.
    pub help: &'static str,
    /// Which values it takes.
    pub kind: SettingKind,
    /// Reads it: a number, 0 or 1 for a flag, or the index of a choice.
    pub get: fn(&R) -> f64,
    /// Writes it, in the same form. Only [`Rule::validate`] checks whether the rule is then valid.
    pub set: fn(&mut R, f64),
}

/// Which values a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingKind {
    /// A number in this domain.
    Number(Domain),
    /// True or false.
    Flag,
    /// One of these names.
    Choice(&'static [&'static str]),
}

/// Which numbers a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    /// Finite and at least 0. The host uses it in double precision.
    AtLeastZero,
    /// Finite, at least 0, and not subnormal as an f32. Kernels read it, and some devices flush
    /// subnormal numbers to 0.
    Normal,
    /// At least 0, below 1 even when rounded to f32, and not subnormal as an f32.
    BelowOne,
}

impl Domain {
    fn check(self, name: &'static str, value: f64) -> Result<(), RuleError> {
        match self {
            Self::AtLeastZero => at_least_zero(name, value as f32),
            Self::Normal => {
                at_least_zero(name, value as f32)?;
                not_subnormal(name, value as f32)
            }
            Self::BelowOne => {
                below_one(name, value)?;
                not_subnormal(name, value as f32)
            }
        }
    }
}

/// Why a setting could not be changed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingError {
    /// The rule has no setting of this name.
    #[error("{rule} has no option {name}: its options are {known}")]
    Unknown {
        /// The rule's name.
        rule: &'static str,
        /// The name that was given.
        name: String,
        /// The names of the rule's settings, separated by commas.
        known: String,
    },
    /// The text is not a value of this setting.
    #[error("{name} is {text:?}: give {expected}")]
    Value {
        /// The setting's name.
        name: &'static str,
        /// The text that was given.
        text: String,
        /// What the setting takes.
        expected: String,
    },
}

impl SettingKind {
    /// Parses a value.
    ///
    /// # Errors
    /// What the setting takes instead.
    pub fn parse(self, text: &str) -> Result<f64, String> {
        match self {
            Self::Number(_) => text.parse().map_err(|_| "a number".to_owned()),
            Self::Flag => match text {
                "true" => Ok(1.0),
                "false" => Ok(0.0),
                _ => Err("true or false".to_owned()),
            },
            Self::Choice(names) => match names.iter().position(|name| *name == text) {
                Some(index) => Ok(index as f64),
                None => Err(names.join(" or ")),
            },
        }
    }

    /// `value` as text for [`SettingKind::parse`].
    #[must_use]
    pub fn format(self, value: f64) -> String {
        match self {
            Self::Number(_) => number_text(value),
            Self::Flag => (value != 0.0).to_string(),
            Self::Choice(names) => names.get(value as usize).copied().unwrap_or("").to_owned(),
        }
    }
}

/// A number in its shortest form: that of an f32 if the value is one.
fn number_text(value: f64) -> String {
    let single = f64::from(value as f32) == value;
    match (value == 0.0 || (1e-4..1e7).contains(&value), single) {
        (true, true) => (value as f32).to_string(),
        (true, false) => value.to_string(),
        (false, true) => format!("{:e}", value as f32),
        (false, false) => format!("{value:e}"),
    }
}

/// The setting of this name. In the name, `-` is the same as `_`.
///
/// # Errors
/// [`SettingError::Unknown`] lists the rule's settings.
pub fn setting<R: Rule>(name: &str) -> Result<&'static Setting<R>, SettingError> {
    let wanted = name.replace('-', "_");
    R::SETTINGS.iter().find(|setting| setting.name == wanted).ok_or_else(|| {
        let known: Vec<_> = R::SETTINGS.iter().map(|setting| setting.name).collect();
        SettingError::Unknown { rule: R::NAME, name: name.to_owned(), known: known.join(", ") }
    })
}

/// Sets the hyper-parameter of this name, from text. Only [`Rule::validate`] checks whether the
/// rule is then valid.
///
/// # Errors
/// [`SettingError`] if there is no such hyper-parameter, or the text is not a value of it.
pub fn set<R: Rule>(rule: &mut R, name: &str, text: &str) -> Result<(), SettingError> {
    let setting = setting::<R>(name)?;
    let value = setting.kind.parse(text).map_err(|expected| SettingError::Value {
        name: setting.name,
        text: text.to_owned(),
        expected,
    })?;
    (setting.set)(rule, value);
    Ok(())
}

/// Checks every number of a rule against its domain.
pub(crate) fn check_domains<R: Rule>(rule: &R) -> Result<(), RuleError> {
    for setting in R::SETTINGS {
        if let SettingKind::Number(domain) = setting.kind {
            domain.check(setting.name, (setting.get)(rule))?;
        }
    }
    Ok(())
}

/// The setting kind of a field that selects a formula.
pub(crate) const fn kind<R, T: Either>(_: fn(&R) -> T) -> SettingKind {
    T::KIND
}

/// Declares a rule's struct and its settings from one line for each hyper-parameter:
/// `field: type = default, help`, then the domain if it is a number. Adds weight decay and
/// maximization, which every rule has.
macro_rules! hyper_parameters {
    (@setting $field:ident $help:literal $domain:ident) => {
        Setting {
            name: stringify!($field),
            help: $help,
            kind: SettingKind::Number($crate::rules::Domain::$domain),
            get: |rule| f64::from(rule.$field),
            set: |rule, value| rule.$field = value as _,
        }
    };
    (@setting $field:ident $help:literal) => {
        Setting {
            name: stringify!($field),
            help: $help,
            kind: $crate::rules::setting::kind(|rule: &Self| rule.$field),
            get: |rule| $crate::rules::options::Choice::number(rule.$field).into(),
            set: |rule, value| rule.$field = $crate::rules::options::Either::of(value != 0.0),
        }
    };
    ($(#[$about:meta])* $Rule:ident {
        $($(#[$doc:meta])* $field:ident: $Type:ty = $default:expr, $help:literal $(, $domain:ident)?;)+
    }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct $Rule {
            $($(#[$doc])* pub $field: $Type,)+
            /// Decay of the parameters towards zero. Default [`WeightDecay::None`].
            pub weight_decay: WeightDecay,
            /// Maximize instead of minimize. Default false.
            pub maximize: bool,
        }

        impl Default for $Rule {
            fn default() -> Self {
                Self { $($field: $default,)+ weight_decay: WeightDecay::None, maximize: false }
            }
        }

        impl $Rule {
            const HYPER_PARAMETERS: &'static [Setting<Self>] = &[
                $($crate::rules::setting::hyper_parameters!(@setting $field $help $($domain)?),)+
                Setting {
                    name: "weight_decay",
                    help: "decay of the parameters towards zero: the coefficient",
                    kind: SettingKind::Number($crate::rules::Domain::Normal),
                    get: |rule| f64::from(rule.weight_decay.coefficient()),
                    set: |rule, value| {
                        rule.weight_decay = rule.weight_decay.with_coefficient(value as f32);
                    },
                },
                Setting {
                    name: "decoupled_weight_decay",
                    help: "apply weight decay to the parameter, not to the gradient",
                    kind: SettingKind::Flag,
                    get: |rule| f64::from(u8::from(rule.weight_decay.is_decoupled())),
                    set: |rule, value| {
                        rule.weight_decay = rule.weight_decay.with_decoupled(value != 0.0);
                    },
                },
                $crate::rules::setting::hyper_parameters!(
                    @setting maximize "maximize instead of minimize"
                ),
            ];
        }
    };
}

pub(crate) use hyper_parameters;

#[cfg(test)]
mod tests {
    use super::{Domain, SettingKind};
    use crate::rules::with_rule;
    use crate::{AnyRule, EpsilonPlacement, Rule, Sgd};

    /// Each setting that is read can be written, with the same value.
    #[test]
    fn every_setting_of_every_rule_is_read_back() {
        for rule in AnyRule::examples() {
            let mut copy = AnyRule::named(rule.name()).unwrap();
            for option in rule.options() {
                assert!(!option.help.is_empty());
                copy.set(&option.name.replace('_', "-"), &option.text()).unwrap();
            }
            assert_eq!(copy, rule);
        }
    }

    fn check_names<R: Rule>(rule: R) {
        assert!(!R::examples().is_empty() && !R::presets().is_empty(), "{}", R::NAME);
        assert_eq!(R::presets()[0].name, R::NAME);
        assert_eq!(rule.validate(), Ok(()), "{rule:?}");
        assert_eq!(R::SETTINGS[0].name, "learning_rate");
        for setting in R::SETTINGS {
            let SettingKind::Number(domain) = setting.kind else { continue };
            let wrong = [f64::NAN, -1.0, f64::INFINITY, 1e-40];
            for wrong in &wrong[..if domain == Domain::AtLeastZero { 3 } else { 4 }] {
                let mut rule = rule;
                (setting.set)(&mut rule, *wrong);
                let message = rule.validate().unwrap_err().to_string();
                assert!(message.starts_with(setting.name), "{message}");
            }
        }
    }

    #[test]
    fn every_rule_has_names_examples_and_a_learning_rate() {
        let presets = AnyRule::presets();
        for preset in &presets {
            with_rule!(preset.rule, |rule| check_names(rule));
        }
        let names: Vec<_> = presets.iter().map(|preset| preset.name).collect();
        assert_eq!(names, ["sgd", "adagrad", "rmsprop", "adadelta", "adam", "adamw"]);
        for example in AnyRule::examples() {
            assert_eq!(example.validate(), Ok(()), "{example:?}");
        }
    }

    #[test]
    fn errors_of_wrong_names_and_values_list_the_valid_ones() {
        let mut rule = AnyRule::named("adagrad").unwrap();
        let text = |error: Result<(), super::SettingError>| error.unwrap_err().to_string();
        let message = text(rule.set("momentum", "0.9"));
        let expected = "adagrad has no option momentum: its options are learning_rate, ";
        assert!(message.starts_with(expected), "{message}");
        assert!(text(rule.set("maximize", "1")).ends_with("give true or false"));
        assert!(text(rule.set("epsilon", "x")).ends_with("give a number"));
        assert!(text(rule.set("epsilon_placement", "x")).ends_with("give inside or outside"));
        assert_eq!(rule, AnyRule::named("adagrad").unwrap());
        rule.set("epsilon-placement", "outside").unwrap();
        let AnyRule::Adagrad(adagrad) = rule else { panic!("{rule:?}") };
        assert_eq!(adagrad.epsilon_placement, EpsilonPlacement::OutsideRoot);
        let message = AnyRule::named("adagard").unwrap_err().to_string();
        assert!(message.ends_with("use one of sgd, adagrad, rmsprop, adadelta, adam, adamw"));
    }

    #[test]
    fn numbers_are_short() {
        let mut rule = AnyRule::Sgd(Sgd::default());
        for text in ["0.9", "1e-6", "0.01", "1.5e-10", "0", "100"] {
            rule.set("momentum", text).unwrap();
            assert_eq!(rule.options()[1].text(), text);
        }
    }
}
