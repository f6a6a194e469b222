//! Compares whole steps through the public interface, of `GpuOptimizer` in exact precision and of
//! `CpuOptimizer`, for every rule with every choice of formula.

use std::error::Error;

use rayon::prelude::*;
use wgpu_optim::rules::{Domain, RuleOption, Setting, SettingKind};
use wgpu_optim::{AnyRule, CpuOptimizer, GpuOptimizer, GpuVec, Precision, Rule, with_rule};

use crate::compare::Tally;
use crate::drivers::Driver;
use crate::pairs::{pack, significand};
use crate::progress::Progress;
use crate::random::{Random, fill};
use crate::table::{Expected, Row};

const ENGINE: &str = "CPU engine";

/// Elements of a step: few enough that a share of the proof can cover every formula.
const LEN: usize = 1 << 17;

/// The kinds of values through which the formulas cycle.
const KINDS: [Kind; 4] = [Kind::Realistic, Kind::Patterns, Kind::Wide, Kind::Realistic];

#[derive(Clone, Copy)]
enum Kind {
    /// Parameters near 1, gradients from 1e-20 to 1e10, and accumulators that such gradients give.
    Realistic,
    /// Any bit patterns, but few negative accumulators, whose roots are NaN.
    Patterns,
    /// All exponents, including subnormals, with significands that are hard to round.
    Wide,
}

/// A step's vectors.
struct Vectors {
    params: Vec<f32>,
    grads: Vec<f32>,
    state: Vec<Vec<f32>>,
}

/// 2^30 steps of single elements, divided among all formulas of all rules.
pub(crate) fn every_formula(driver: &Driver) -> Result<Vec<Row>, Box<dyn Error>> {
    let formulas: Vec<AnyRule> = rules().into_iter().flat_map(formulas).collect();
    let count = formulas.len() as u64;
    let batches = driver.part((1 << 30) / LEN as u64, count * KINDS.len() as u64);
    let mut progress = Progress::new(format!("steps on {}", driver.name), batches);
    let mut stepper = Stepper::new(driver)?;
    let mut tallies = vec![Tally::default(); formulas.len()];
    for batch in 0..batches {
        let kind = KINDS[(batch / count % KINDS.len() as u64) as usize];
        let number = (batch % count) as usize;
        let rule = formulas[number];
        tallies[number].add(with_rule!(rule, |rule| stepper.drawn_step(batch, kind, rule))?);
        progress.tick(batch + 1);
    }
    let row_of = |rule: AnyRule| {
        let own = || formulas.iter().zip(&tallies).filter(|(r, _)| r.name() == rule.name());
        let tally = own().fold(Tally::default(), |sum, (_, tally)| sum.with(tally.clone()));
        let what = format!("{} step, x and state, {} formulas", rule.name(), own().count());
        row(driver, what, tally, Expected::Agreement)
    };
    Ok(rules().into_iter().map(row_of).collect())
}

/// The comparison must detect a reference whose learning rate is wrong by one ULP.
pub(crate) fn wrong_reference_is_seen(driver: &Driver) -> Result<Vec<Row>, Box<dyn Error>> {
    let mut stepper = Stepper::new(driver)?;
    let mut row_of = |rule: AnyRule| -> Result<Row, Box<dyn Error>> {
        let tally = with_rule!(rule, |rule| stepper.wrong_step(rule))?;
        let what = format!("{} step, reference 1 ULP off", rule.name());
        Ok(row(driver, what, tally, Expected::Mismatches))
    };
    rules().into_iter().map(&mut row_of).collect()
}

fn row(driver: &Driver, operation: String, tally: Tally, expected: Expected) -> Row {
    Row { operation, driver: driver.name.clone(), oracle: ENGINE, tally, expected }
}

/// Each rule once.
fn rules() -> Vec<AnyRule> {
    let mut rules: Vec<_> = AnyRule::presets().into_iter().map(|preset| preset.rule).collect();
    rules.dedup_by_key(|rule| rule.name());
    rules
}

/// What distinguishes the formulas of a rule: the constants and state of its kernel.
fn formula<R: Rule>(rule: &R) -> (Vec<(&'static str, f64)>, Vec<&'static str>) {
    (rule.constants(), rule.state_names())
}

/// A rule in every formula that valid combinations of its settings select.
fn formulas(rule: AnyRule) -> Vec<AnyRule> {
    let mut all = vec![rule];
    for option in rule.options() {
        // A number selects a formula by being 0 or not.
        let values: Vec<f64> = match option.kind {
            SettingKind::Number(_) => vec![0.5, 0.0],
            SettingKind::Flag => vec![0.0, 1.0],
            SettingKind::Choice(names) => (0..names.len()).map(|index| index as f64).collect(),
        };
        let with = |rule: &AnyRule, value: f64| {
            let mut rule = *rule;
            let text = RuleOption { value, ..option.clone() }.text();
            rule.set(option.name, &text).map(|()| rule)
        };
        all = all.iter().flat_map(|rule| values.iter().map(|&v| with(rule, v))).flatten().collect();
    }
    let mut seen = Vec::new();
    all.retain(|rule| {
        let own = with_rule!(*rule, |rule| formula(&rule));
        let new = rule.validate().is_ok() && !seen.contains(&own);
        if new {
            seen.push(own);
        }
        new
    });
    all
}

/// Draws hyper-parameters from common values and from the ends of their domains, and keeps the
/// formula.
fn drawn<R: Rule>(mut rule: R, random: &mut Random) -> R {
    for setting in R::SETTINGS {
        let value = value(setting, random);
        let mut other = rule;
        (setting.set)(&mut other, value);
        if other.validate().is_ok() && formula(&other) == formula(&rule) {
            rule = other;
        }
    }
    rule
}

fn value<R>(setting: &Setting<R>, random: &mut Random) -> f64 {
    const RATES: [f64; 8] = [0.001, 0.01, 0.1, 0.3, 1.0, 0.0, 1e-37, 1e30];
    const EPSILONS: [f64; 8] = [1e-10, 1e-8, 1e-7, 1e-6, 0.1, 0.0, SMALLEST, 1e30];
    const AVERAGES: [f64; 8] = [0.9, 0.99, 0.999, 0.95, 0.5, 0.0, SMALLEST, 0.999_999_9];
    const OTHERS: [f64; 8] = [0.9, 1e-4, 0.01, 0.5, 1.5, 0.0, 1e-37, 1e20];
    /// The smallest normal number.
    const SMALLEST: f64 = f32::MIN_POSITIVE as f64;
    match (setting.kind, setting.name) {
        (SettingKind::Flag, _) => f64::from(random.below(2)),
        (SettingKind::Choice(names), _) => f64::from(random.below(names.len() as u32)),
        (SettingKind::Number(_), "learning_rate") => random.one_of(&RATES),
        (SettingKind::Number(_), "epsilon") => random.one_of(&EPSILONS),
        (SettingKind::Number(Domain::BelowOne), _) => random.one_of(&AVERAGES),
        (SettingKind::Number(_), _) => random.one_of(&OTHERS),
    }
}

/// Memory for a batch, on device and host.
struct Stepper<'a> {
    driver: &'a Driver,
    params: GpuVec,
    grads: GpuVec,
    host: Vectors,
}

impl<'a> Stepper<'a> {
    fn new(driver: &'a Driver) -> Result<Self, Box<dyn Error>> {
        let empty = || vec![0.0; LEN];
        Ok(Self {
            driver,
            params: driver.gpu.zeros(LEN)?,
            grads: driver.gpu.zeros(LEN)?,
            host: Vectors { params: empty(), grads: empty(), state: Vec::new() },
        })
    }

    /// A step by a rule whose hyper-parameters are drawn at random.
    fn drawn_step<R: Rule>(
        &mut self,
        batch: u64,
        kind: Kind,
        rule: R,
    ) -> Result<Tally, Box<dyn Error>> {
        let rule = drawn(rule, &mut Random::new(6, batch));
        self.step(batch, kind, rule, rule)
    }

    /// A step whose reference has a learning rate that is wrong by one ULP.
    fn wrong_step<R: Rule>(&mut self, rule: R) -> Result<Tally, Box<dyn Error>> {
        let mut wrong = rule;
        wrong.set_learning_rate(rule.learning_rate().next_up());
        self.step(0, Kind::Realistic, rule, wrong)
    }

    /// One step of each element of batch `batch`, by `rule` on the device and by `reference` on the
    /// host.
    fn step<R: Rule>(
        &mut self,
        batch: u64,
        kind: Kind,
        rule: R,
        reference: R,
    ) -> Result<Tally, Box<dyn Error>> {
        let gpu = &self.driver.gpu;
        let names = rule.state_names();
        self.host.fill(batch, kind, &names);
        let Vectors { params, grads, state } = &self.host;
        let steps_before = batch % 1000; // covers what depends on the step count

        let mut on_gpu = GpuOptimizer::new(gpu, rule, LEN)?.with_precision(Precision::Exact);
        on_gpu.set_steps(steps_before);
        let mut on_cpu = CpuOptimizer::new(reference, LEN)?;
        on_cpu.set_steps(steps_before);
        for (k, state) in state.iter().enumerate() {
            gpu.write(on_gpu.state(k), state)?;
            on_cpu.state_mut(k).copy_from_slice(state);
        }
        gpu.write(&self.params, params)?;
        gpu.write(&self.grads, grads)?;
        on_gpu.step(&self.params, &self.grads)?;
        let mut expected = params.clone();
        on_cpu.step(&mut expected, grads)?;

        let operands = |index: usize, result: &str| {
            let bits = |vector: &Vec<f32>| format!("{:#010x}", vector[index].to_bits());
            let [x, g] = [params, grads].map(bits);
            let state: Vec<_> =
                names.iter().zip(state).map(|(name, s)| format!(", {name} {}", bits(s))).collect();
            let step = steps_before + 1;
            format!("{result} of step {step} from x {x}, g {g}{} by {rule:?}", state.concat())
        };
        let found = self.params.download_blocking(gpu)?;
        let mut all = tally(&expected, &found, |index| operands(index, "x"));
        for (k, name) in names.iter().enumerate() {
            let found = on_gpu.state(k).download_blocking(gpu)?;
            // A case is one element; each of its results may be a mismatch.
            let state = tally(on_cpu.state(k), &found, |index| operands(index, name));
            all.add(Tally { cases: 0, ..state });
        }
        Ok(all)
    }
}

/// Compares bits, on all cores.
fn tally(expected: &[f32], found: &[f32], operands: impl Fn(usize) -> String + Sync) -> Tally {
    const RUN: usize = 1 << 16;
    let runs = expected.par_chunks(RUN).zip(found.par_chunks(RUN)).enumerate();
    runs.map(|(run, (expected, found))| {
        let (expected, found) = (bytemuck::cast_slice(expected), bytemuck::cast_slice(found));
        Tally::of(expected, found, |index| operands(run * RUN + index))
    })
    .reduce(Tally::default, Tally::with)
}

impl Vectors {
    fn fill(&mut self, batch: u64, kind: Kind, names: &[&str]) {
        let seed = (batch << 8) | 5;
        fill(seed, &mut self.params, |random| kind.param(random));
        fill(seed + 1, &mut self.grads, |random| kind.grad(random));
        self.state.resize(names.len(), Vec::new());
        for ((seed, name), vector) in (seed + 2..).zip(names).zip(&mut self.state) {
            vector.resize(LEN, 0.0);
            fill(seed, vector, |random| kind.state(name, random));
        }
    }
}

impl Kind {
    fn param(self, random: &mut Random) -> u32 {
        match self {
            Self::Realistic => pack(random.sign(), random.between(110, 132), random.bits()),
            Self::Patterns => random.bits(),
            Self::Wide => pack(random.sign(), random.between(-22, 254), significand(random)),
        }
    }

    fn grad(self, random: &mut Random) -> u32 {
        match self {
            Self::Realistic if random.below(16) == 0 => random.sign(), // no gradient: a zero
            // 2^-67 to 2^33.
            Self::Realistic => pack(random.sign(), random.between(60, 160), random.bits()),
            // Fields above 191 have infinite squares.
            Self::Wide => pack(random.sign(), random.between(-22, 194), significand(random)),
            Self::Patterns => self.param(random),
        }
    }

    /// An element of a state vector. Averages and sums of squares are not negative.
    fn state(self, name: &str, random: &mut Random) -> u32 {
        match name {
            "momentum_buffer" | "gradient_average" => self.grad(random),
            _ => self.accumulator(random),
        }
    }

    fn accumulator(self, random: &mut Random) -> u32 {
        match self {
            Self::Realistic if random.below(16) == 0 => 0,
            Self::Realistic => pack(0, random.between(-10, 194), random.bits()),
            Self::Patterns if random.below(16) > 0 => random.bits() & 0x7fff_ffff,
            Self::Patterns => random.bits(),
            Self::Wide => self.param(random) & 0x7fff_ffff,
        }
    }
}
