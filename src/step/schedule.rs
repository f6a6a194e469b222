//! Learning-rate schedules: a factor of the base learning rate, as a pure function of the step.

use std::f64::consts::PI;

/// A factor of the base learning rate for each step.
///
/// `n` is the number of steps taken before: 0 in the first step, as in PyTorch and optax.
///
/// | schedule | factor | in PyTorch (`torch.optim.lr_scheduler`), optax |
/// |---|---|---|
/// | `Constant` | 1 | |
/// | `Step` | factor ^ floor(n / every) | `StepLR`, `exponential_decay(staircase=True)` |
/// | `Exponential` | factor ^ n | `ExponentialLR`, `exponential_decay` |
/// | `Cosine` | floor + (1 - floor) (1 + cos(pi n / steps)) / 2; `floor` from `steps` on | `CosineAnnealingLR` until then, `cosine_decay_schedule` |
/// | `Warmup` | from + (1 - from) n / steps; 1 from `steps` on | `LinearLR`, `linear_schedule` |
/// | `InverseSquareRoot` | 1 until `after`, then sqrt(after / n) | |
/// | `Sequence` | one schedule after another; each counts its own steps | `SequentialLR`, `join_schedules` |
/// | `Product` | the product of all | `ChainedScheduler` |
///
/// Cosine: Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts",
/// arXiv:1608.03983, without restarts. Inverse square root: Vaswani and others, "Attention Is All
/// You Need", arXiv:1706.03762, section 5.3; their schedule is its `Product` with a warm-up from 0.
///
/// # Text
/// [`str::parse`] takes `constant`, `step:EVERY:FACTOR`, `exponential:FACTOR`, `cosine:STEPS`,
/// `cosine:STEPS:FLOOR`, `warmup:STEPS`, `warmup:STEPS:FROM` and `rsqrt:AFTER`. `*` multiplies
/// schedules. A comma makes a sequence, in which `@STEPS` after a schedule says how long it lasts.
/// `warmup` and `cosine` have an end and need no `@STEPS`: `warmup:100,cosine:900`.
///
/// ```
/// use wgpu_optim::Schedule;
///
/// let schedule: Schedule = "warmup:4,cosine:10".parse()?;
/// let factors = [1, 3, 5, 10, 15].map(|step| schedule.factor(step));
/// assert_eq!(factors, [0.0, 0.5, 1.0, 0.5, 0.0]);
/// # Ok::<(), wgpu_optim::ScheduleError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Schedule {
    /// The base learning rate throughout.
    #[default]
    Constant,
    /// Multiplies by a factor every few steps.
    Step {
        /// Steps between two changes; at least 1.
        every: u64,
        /// The factor of each change; finite, at least 0.
        factor: f64,
    },
    /// Multiplies by a factor at each step.
    Exponential {
        /// The factor of each step; finite, at least 0.
        factor: f64,
    },
    /// Goes from 1 to `floor`, along half a period of the cosine.
    Cosine {
        /// Steps until the floor is reached; at least 1.
        steps: u64,
        /// The factor from then on; finite, at least 0.
        floor: f64,
    },
    /// Rises linearly to 1.
    Warmup {
        /// Steps until 1 is reached; at least 1.
        steps: u64,
        /// The factor of the first step; finite, at least 0.
        from: f64,
    },
    /// Falls with the inverse square root of the number of steps.
    InverseSquareRoot {
        /// Steps before it begins to fall; at least 1.
        after: u64,
    },
    /// One schedule after another.
    Sequence {
        /// Each schedule with its number of steps.
        parts: Vec<(Self, u64)>,
        /// The schedule after these.
        last: Box<Self>,
    },
    /// The product of all; 1 if there is none.
    Product(Vec<Self>),
}

/// Why a schedule is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// A count of steps is 0.
    #[error("the schedule {schedule} has {parameter} 0: give at least 1")]
    Zero {
        /// Which schedule.
        schedule: &'static str,
        /// The name of the number.
        parameter: &'static str,
    },
    /// A factor is NaN, infinite or negative.
    #[error("the schedule {schedule} has {parameter} {value}: give a finite number of at least 0")]
    NotFiniteOrNegative {
        /// Which schedule.
        schedule: &'static str,
        /// The name of the number.
        parameter: &'static str,
        /// The value.
        value: f64,
    },
    /// The text is not a schedule.
    #[error("{text:?} is not a schedule: {reason}")]
    Text {
        /// The part that is not understood.
        text: String,
        /// What is wrong with it, and what to give instead.
        reason: String,
    },
}

/// A number of a schedule.
#[derive(Clone, Copy)]
enum Number {
    /// At least 1.
    Steps(u64),
    /// Finite, at least 0.
    Factor(f64),
}

impl Schedule {
    /// The factor of the base learning rate in step `step`, counted from 1.
    #[must_use]
    pub fn factor(&self, step: u64) -> f64 {
        let before = step.saturating_sub(1);
        let n = before as f64;
        // `libm` gives the same bits on every platform; the functions of std do not.
        match self {
            Self::Constant => 1.0,
            Self::Step { every, factor } => libm::pow(*factor, (before / every.max(&1)) as f64),
            Self::Exponential { factor } => libm::pow(*factor, n),
            Self::Cosine { steps, floor } if before < *steps => {
                floor + (1.0 - floor) * (1.0 + libm::cos(PI * n / *steps as f64)) / 2.0
            }
            Self::Cosine { floor, .. } => *floor,
            Self::Warmup { steps, from } if before < *steps => {
                from + (1.0 - from) * n / *steps as f64
            }
            Self::Warmup { .. } => 1.0,
            Self::InverseSquareRoot { after } if before > *after => (*after as f64 / n).sqrt(),
            Self::InverseSquareRoot { .. } => 1.0,
            Self::Sequence { parts, last } => {
                let mut step = before + 1;
                for (part, steps) in parts {
                    if step <= *steps {
                        return part.factor(step);
                    }
                    step -= steps;
                }
                last.factor(step)
            }
            Self::Product(parts) => parts.iter().map(|part| part.factor(step)).product(),
        }
    }

    /// Checks that all numbers are within their domains.
    ///
    /// # Errors
    /// [`ScheduleError`] for the first that is not.
    pub fn validate(&self) -> Result<(), ScheduleError> {
        match self {
            Self::Sequence { parts, last } => {
                parts.iter().try_for_each(|(part, _)| part.validate())?;
                return last.validate();
            }
            Self::Product(parts) => return parts.iter().try_for_each(Self::validate),
            _ => {}
        }
        let (schedule, numbers) = self.numbers();
        for (parameter, number) in numbers {
            match number {
                Number::Steps(0) => return Err(ScheduleError::Zero { schedule, parameter }),
                Number::Factor(value) if !(value.is_finite() && value >= 0.0) => {
                    return Err(ScheduleError::NotFiniteOrNegative { schedule, parameter, value });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The name and the numbers, in the order of the text. Both are empty for sequences and
    /// products.
    fn numbers(&self) -> (&'static str, Vec<(&'static str, Number)>) {
        use Number::{Factor, Steps};
        match *self {
            Self::Constant => ("constant", vec![]),
            Self::Step { every, factor } => {
                ("step", vec![("every", Steps(every)), ("factor", Factor(factor))])
            }
            Self::Exponential { factor } => ("exponential", vec![("factor", Factor(factor))]),
            Self::Cosine { steps, floor } => {
                ("cosine", vec![("steps", Steps(steps)), ("floor", Factor(floor))])
            }
            Self::Warmup { steps, from } => {
                ("warmup", vec![("steps", Steps(steps)), ("from", Factor(from))])
            }
            Self::InverseSquareRoot { after } => ("rsqrt", vec![("after", Steps(after))]),
            Self::Sequence { .. } | Self::Product(_) => ("", vec![]),
        }
    }

    /// The number of steps after which the factor is constant, for schedules that have an end.
    fn end(&self) -> Option<u64> {
        match self {
            Self::Cosine { steps, .. } | Self::Warmup { steps, .. } => Some(*steps),
            // A product has an end only if all its factors have one.
            Self::Product(parts) => {
                let ends: Option<Vec<_>> = parts.iter().map(Self::end).collect();
                ends?.into_iter().max()
            }
            _ => None,
        }
    }
}

impl std::str::FromStr for Schedule {
    type Err = ScheduleError;

    fn from_str(text: &str) -> Result<Self, ScheduleError> {
        let mut parts = text.split(',').map(Timed::parse).collect::<Result<Vec<_>, _>>()?;
        let schedule = match (parts.pop(), parts.is_empty()) {
            (Some(Timed { schedule, steps: None, .. }), true) => schedule,
            (Some(Timed { schedule, steps: None, .. }), false) => {
                let parts = parts.into_iter().map(Timed::lasting).collect::<Result<_, _>>()?;
                Self::Sequence { parts, last: Box::new(schedule) }
            }
            (Some(Timed { text, .. }), _) => {
                return Err(wrong(text, "the last schedule has no end: leave out @STEPS"));
            }
            (None, _) => return Err(wrong(text, KINDS)),
        };
        schedule.validate()?;
        Ok(schedule)
    }
}

const KINDS: &str = "give constant, step:EVERY:FACTOR, exponential:FACTOR, cosine:STEPS[:FLOOR], \
     warmup:STEPS[:FROM] or rsqrt:AFTER; * multiplies schedules, a comma makes a sequence";

fn wrong(text: &str, reason: &str) -> ScheduleError {
    ScheduleError::Text { text: text.to_owned(), reason: reason.to_owned() }
}

/// One schedule of a sequence, with its text and its `@STEPS`.
struct Timed<'a> {
    text: &'a str,
    schedule: Schedule,
    steps: Option<u64>,
}

impl<'a> Timed<'a> {
    fn parse(text: &'a str) -> Result<Self, ScheduleError> {
        let (factors, steps) = match text.split_once('@') {
            Some((factors, steps)) => (factors, Some(parsed(text, steps)?)),
            None => (text, None),
        };
        let mut factors = factors.split('*').map(single).collect::<Result<Vec<_>, _>>()?;
        let schedule = match (factors.pop(), factors.is_empty()) {
            (Some(one), true) => one,
            (Some(last), false) => {
                factors.push(last);
                Schedule::Product(factors)
            }
            (None, _) => return Err(wrong(text, KINDS)),
        };
        Ok(Self { text, schedule, steps })
    }

    /// The schedule and its number of steps.
    fn lasting(self) -> Result<(Schedule, u64), ScheduleError> {
        match self.steps.or(self.schedule.end()) {
            Some(steps) => Ok((self.schedule, steps)),
            None => Err(wrong(self.text, "say how long it lasts: add @STEPS")),
        }
    }
}

fn parsed<T: std::str::FromStr>(text: &str, number: &str) -> Result<T, ScheduleError> {
    let reason = || format!("{number:?} is not a valid number here");
    number.trim().parse().map_err(|_| wrong(text, &reason()))
}

/// Parses one schedule, without `@STEPS`, `*` and commas.
fn single(text: &str) -> Result<Schedule, ScheduleError> {
    let text = text.trim();
    let words: Vec<_> = text.split(':').collect();
    Ok(match words[..] {
        ["constant"] => Schedule::Constant,
        ["step", every, factor] => {
            Schedule::Step { every: parsed(text, every)?, factor: parsed(text, factor)? }
        }
        ["exponential", factor] => Schedule::Exponential { factor: parsed(text, factor)? },
        ["cosine", steps] => Schedule::Cosine { steps: parsed(text, steps)?, floor: 0.0 },
        ["cosine", steps, floor] => {
            Schedule::Cosine { steps: parsed(text, steps)?, floor: parsed(text, floor)? }
        }
        ["warmup", steps] => Schedule::Warmup { steps: parsed(text, steps)?, from: 0.0 },
        ["warmup", steps, from] => {
            Schedule::Warmup { steps: parsed(text, steps)?, from: parsed(text, from)? }
        }
        ["rsqrt", after] => Schedule::InverseSquareRoot { after: parsed(text, after)? },
        _ => return Err(wrong(text, KINDS)),
    })
}

impl std::fmt::Display for Schedule {
    /// Writes text for [`str::parse`]. A sequence inside another schedule has no such text.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sequence { parts, last } => {
                for (part, steps) in parts {
                    write!(formatter, "{part}@{steps},")?;
                }
                write!(formatter, "{last}")
            }
            Self::Product(parts) => {
                let parts: Vec<_> = parts.iter().map(ToString::to_string).collect();
                formatter.write_str(&parts.join("*"))
            }
            _ => {
                let (name, numbers) = self.numbers();
                formatter.write_str(name)?;
                numbers.into_iter().try_for_each(|(_, number)| match number {
                    Number::Steps(steps) => write!(formatter, ":{steps}"),
                    Number::Factor(factor) => write!(formatter, ":{factor}"),
                })
            }
        }
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
