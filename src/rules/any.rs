//! A rule that is chosen at run time.

use super::{AnyRule, Preset, Rule, RuleError, Setting, SettingError, SettingKind, set, with_rule};

/// A hyper-parameter of an [`AnyRule`].
#[derive(Clone, Debug, PartialEq)]
pub struct RuleOption {
    /// The name of the field.
    pub name: &'static str,
    /// A description, in one line.
    pub help: &'static str,
    /// Which values it takes.
    pub kind: SettingKind,
    /// Its value: a number, 0 or 1 for a flag, or the index of a choice.
    pub value: f64,
}

impl RuleOption {
    /// The value as text for [`AnyRule::set`].
    #[must_use]
    pub fn text(&self) -> String {
        self.kind.format(self.value)
    }
}

/// No rule has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no rule {name:?}: use one of {known}")]
pub struct UnknownRule {
    /// The name that was given.
    pub name: String,
    /// The known names, separated by commas.
    pub known: String,
}

/// Declares and re-exports the modules of the rules, and defines `AnyRule` and `with_rule!`. `$d`
/// is the token `$`, which the inner macro needs.
macro_rules! rules {
    ($d:tt $($module:ident: $Rule:ident,)+) => {
        $(mod $module;)+
        $(pub use $module::*;)+

        /// Only the rules, for the crate's root.
        pub(crate) mod all {
            $(pub use super::$Rule;)+
        }

        /// One of the rules, for programs that let a user choose. Later versions may add variants.
        ///
        /// An optimizer is generic over its rule. [`with_rule!`](crate::with_rule) evaluates an
        /// expression with the concrete rule:
        ///
        /// ```
        /// use wgpu_optim::{AnyRule, CpuError, CpuOptimizer, Rule, with_rule};
        ///
        /// fn descend<R: Rule>(rule: R, params: &mut [f32]) -> Result<(), CpuError> {
        ///     let mut optimizer = CpuOptimizer::new(rule, params.len())?;
        ///     for _ in 0..100 {
        ///         let grads: Vec<f32> = params.iter().map(|x| 2.0 * x).collect();
        ///         optimizer.step(params, &grads)?;
        ///     }
        ///     Ok(())
        /// }
        ///
        /// let mut rule = AnyRule::named("adagrad")?;
        /// rule.set("learning_rate", "0.5")?;
        /// let mut params = [1.0, -2.0];
        /// with_rule!(rule, |rule| descend(rule, &mut params))?;
        /// assert!(params.iter().all(|x| x.abs() < 0.1));
        /// # Ok::<(), Box<dyn std::error::Error>>(())
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq)]
        #[allow(missing_docs, reason = "each variant holds the rule of its name")]
        pub enum AnyRule {
            $($Rule($Rule),)+
        }

        $(impl From<$Rule> for AnyRule {
            fn from(rule: $Rule) -> Self {
                Self::$Rule(rule)
            }
        })+

        /// Evaluates an expression with the concrete rule that an [`AnyRule`] holds:
        /// `with_rule!(any, |rule| expression)`.
        ///
        /// The expression is compiled once for each rule, with `rule` of that rule's type, and must
        /// have the same type for all rules. For a reference to an `AnyRule`, `rule` is a
        /// reference. [`AnyRule`] has an example.
        #[macro_export]
        macro_rules! with_rule {
            ($d any:expr, |$d rule:ident| $d body:expr) => {
                match $d any {
                    $($d crate::AnyRule::$Rule($d rule) => $d body,)+
                }
            };
        }

        impl AnyRule {
            /// All rules, under the names that users know.
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
        }
    };
}

pub(crate) use rules;

/// A preset of one rule as a preset of [`AnyRule`].
pub(crate) fn erased<R: Rule + Into<AnyRule>>(preset: Preset<R>) -> Preset<AnyRule> {
    let Preset { name, about, rule } = preset;
    Preset { name, about, rule: rule.into() }
}

impl AnyRule {
    /// The preset of this name.
    ///
    /// # Errors
    /// [`UnknownRule`] lists the known names.
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
        fn name<R: Rule>(_: R) -> &'static str {
            R::NAME
        }
        with_rule!(self, |rule| name(rule))
    }

    /// The base learning rate.
    #[must_use]
    pub fn learning_rate(self) -> f32 {
        with_rule!(self, |rule| rule.learning_rate())
    }

    /// Replaces the base learning rate.
    pub fn set_learning_rate(&mut self, learning_rate: f32) {
        with_rule!(self, |rule| rule.set_learning_rate(learning_rate));
    }

    /// All hyper-parameters with their values.
    #[must_use]
    pub fn options(self) -> Vec<RuleOption> {
        fn options<R: Rule>(rule: R) -> Vec<RuleOption> {
            let option = |setting: &Setting<R>| RuleOption {
                name: setting.name,
                help: setting.help,
                kind: setting.kind,
                value: (setting.get)(&rule),
            };
            R::SETTINGS.iter().map(option).collect()
        }
        with_rule!(self, |rule| options(rule))
    }

    /// Sets a hyper-parameter by name, from text. In the name, `-` is the same as `_`. Only
    /// [`AnyRule::validate`] checks whether the rule is then valid.
    ///
    /// # Errors
    /// [`SettingError`] if there is no such hyper-parameter, or the text is not a value of it.
    pub fn set(&mut self, name: &str, text: &str) -> Result<(), SettingError> {
        with_rule!(self, |rule| set(rule, name, text))
    }

    /// Checks that all hyper-parameters are within their domains and compatible with each other.
    ///
    /// # Errors
    /// [`RuleError`] for the first that is not.
    pub fn validate(self) -> Result<(), RuleError> {
        with_rule!(self, |rule| rule.validate())
    }
}
