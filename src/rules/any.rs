//! A rule that is chosen at run time.

use super::{AnyRule, Preset, Rule, RuleError, SettingKind};

/// Something to be done with a rule of any type.
pub trait RuleVisitor {
    /// What comes of it.
    type Output;

    /// Does it.
    fn visit<R: Rule>(self, rule: R) -> Self::Output;
}

/// A hyper-parameter of an [`AnyRule`].
#[derive(Clone, Debug, PartialEq)]
pub struct RuleOption {
    /// The name of the field.
    pub name: &'static str,
    /// What it does, in one line.
    pub help: &'static str,
    /// What values there are.
    pub kind: SettingKind,
    /// Its value: a number, 0 or 1 for a flag, the index of a choice.
    pub value: f64,
}

impl RuleOption {
    /// The value as [`AnyRule::set`] takes it.
    #[must_use]
    pub fn text(&self) -> String {
        self.kind.format(self.value)
    }
}

/// There is no rule of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no rule {name:?}: there are {known}")]
pub struct UnknownRule {
    /// What was asked for.
    pub name: String,
    /// The names that there are, separated by commas.
    pub known: String,
}

/// Declares the modules of the rules, re-exports what is in them, and makes `AnyRule` of them.
macro_rules! rules {
    ($($module:ident: $Rule:ident,)+) => {
        $(mod $module;)+
        $(pub use $module::*;)+

        /// The rules alone, for the crate's root.
        pub(crate) mod family {
            $(pub use super::$Rule;)+
        }

        /// Any one of the rules, for programs that let a user choose.
        ///
        /// ```
        /// use wgpu_optim::AnyRule;
        ///
        /// let mut rule = AnyRule::named("adagrad")?;
        /// rule.set("epsilon", "1e-7")?;
        /// rule.validate()?;
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq)]
        #[non_exhaustive]
        #[allow(missing_docs, reason = "each variant holds the rule of its name")]
        pub enum AnyRule {
            $($Rule($Rule),)+
        }

        $(impl From<$Rule> for AnyRule {
            fn from(rule: $Rule) -> Self {
                Self::$Rule(rule)
            }
        })+

        impl AnyRule {
            /// All rules under the names that users know.
            #[must_use]
            pub fn presets() -> Vec<Preset<Self>> {
                let mut all = Vec::new();
                $(all.extend($Rule::presets().into_iter().map(any::erased));)+
                all
            }

            /// For tests: every choice of formula of every rule.
            #[doc(hidden)]
            #[must_use]
            pub fn examples() -> Vec<Self> {
                let mut all = Vec::new();
                $(all.extend($Rule::examples().into_iter().map(Self::from));)+
                all
            }

            /// Hands the rule to `visitor`, as its own type.
            pub fn visit<V: RuleVisitor>(self, visitor: V) -> V::Output {
                match self {
                    $(Self::$Rule(rule) => visitor.visit(rule),)+
                }
            }

            /// Sets a hyper-parameter by name from text; `-` stands for `_` too. Whether the rule
            /// is then valid is for [`AnyRule::validate`].
            ///
            /// # Errors
            /// [`SettingError`]: there is no such name, or no such value.
            pub fn set(&mut self, name: &str, text: &str) -> Result<(), SettingError> {
                match self {
                    $(Self::$Rule(rule) => set(rule, name, text),)+
                }
            }

            /// Replaces the base learning rate.
            pub fn set_learning_rate(&mut self, learning_rate: f32) {
                match self {
                    $(Self::$Rule(rule) => rule.set_learning_rate(learning_rate),)+
                }
            }
        }
    };
}

pub(crate) use rules;

/// A preset of a rule as one of any rule.
pub(crate) fn erased<R: Rule + Into<AnyRule>>(preset: Preset<R>) -> Preset<AnyRule> {
    let Preset { name, about, rule, linear_learning_rate } = preset;
    Preset { name, about, rule: rule.into(), linear_learning_rate }
}

impl AnyRule {
    /// The rule of this name, with the hyper-parameters of its preset.
    ///
    /// # Errors
    /// [`UnknownRule`] has the names that there are.
    pub fn named(name: &str) -> Result<Self, UnknownRule> {
        let presets = Self::presets();
        match presets.iter().find(|preset| preset.name == name) {
            Some(preset) => Ok(preset.rule),
            None => {
                let known: Vec<_> = presets.iter().map(|preset| preset.name).collect();
                Err(UnknownRule { name: name.to_owned(), known: known.join(", ") })
            }
        }
    }

    /// [`Rule::NAME`] of the rule.
    #[must_use]
    pub fn name(self) -> &'static str {
        struct Name;
        impl RuleVisitor for Name {
            type Output = &'static str;

            fn visit<R: Rule>(self, _: R) -> &'static str {
                R::NAME
            }
        }
        self.visit(Name)
    }

    /// The base learning rate.
    #[must_use]
    pub fn learning_rate(self) -> f32 {
        struct Rate;
        impl RuleVisitor for Rate {
            type Output = f32;

            fn visit<R: Rule>(self, rule: R) -> f32 {
                rule.learning_rate()
            }
        }
        self.visit(Rate)
    }

    /// All hyper-parameters with their values.
    #[must_use]
    pub fn options(self) -> Vec<RuleOption> {
        struct Options;
        impl RuleVisitor for Options {
            type Output = Vec<RuleOption>;

            fn visit<R: Rule>(self, rule: R) -> Vec<RuleOption> {
                let option = |setting: &super::Setting<R>| RuleOption {
                    name: setting.name,
                    help: setting.help,
                    kind: setting.kind,
                    value: (setting.get)(&rule),
                };
                R::SETTINGS.iter().map(option).collect()
            }
        }
        self.visit(Options)
    }

    /// Whether all hyper-parameters are within their domain, and go together.
    ///
    /// # Errors
    /// [`RuleError`] names the first that is not.
    pub fn validate(self) -> Result<(), RuleError> {
        struct Validate;
        impl RuleVisitor for Validate {
            type Output = Result<(), RuleError>;

            fn visit<R: Rule>(self, rule: R) -> Self::Output {
                rule.validate()
            }
        }
        self.visit(Validate)
    }
}
