//! Checks of the arithmetic on every Vulkan driver present, with one device for each driver.
//!
//! A driver that is not installed shows as ignored. With
//! `WGPU_OPTIM_REQUIRE_DRIVERS=lavapipe,swiftshader` in the environment, its absence is a failure.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../support/bound.rs"]
mod bound;
mod boundaries;
mod driver;
mod errors;
mod golden;
mod groups;
mod guard;
mod guard_groups;
mod guard_rows;
mod guard_skip;
mod held;
mod linear;
mod lost;
mod memory;
mod mixed;
mod native_bound;
mod pages;
mod properties;
mod record;
mod reference;
mod row_wise;
mod rows;
mod sparse;

use driver::{Driver, drivers};
use libtest_mimic::{Arguments, Trial};

/// A check that runs on each driver.
type Check = (&'static str, fn(&Driver));

/// Checks, and which drivers they apply to.
type Suite = (&'static [Check], fn(&Driver) -> bool);

const ANY: fn(&Driver) -> bool = |_| true;

/// The slowest first, so that all threads finish at about the same time.
const SUITES: &[Suite] = &[
    (linear::CHECKS, ANY),
    (guard::CHECKS, ANY),
    (groups::CHECKS, ANY),
    (guard_groups::CHECKS, ANY),
    (guard_rows::CHECKS, ANY),
    (guard_skip::CHECKS, ANY),
    (mixed::CHECKS, ANY),
    (sparse::CHECKS, ANY),
    (boundaries::CHECKS, ANY),
    (errors::CHECKS, ANY),
    (errors::MEMORY_CHECKS, errors::reports_memory),
    (golden::CHECKS, ANY),
    (held::CHECKS, ANY),
    (lost::CHECKS, ANY),
    (memory::CHECKS, memory::runs_on),
    (native_bound::CHECKS, ANY),
    (pages::CHECKS, ANY),
    (properties::CHECKS, ANY),
    (record::CHECKS, ANY),
    (rows::CHECKS, ANY),
    (row_wise::CHECKS, ANY),
];

fn main() -> std::process::ExitCode {
    let arguments = Arguments::from_args();
    let checks = SUITES.iter().flat_map(|&(checks, applies)| {
        checks.iter().map(move |&(name, check)| (name, check, applies))
    });
    let trials = checks.flat_map(|(name, check, applies)| {
        drivers().iter().map(move |driver| trial(driver, name, check, applies(driver)))
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

fn trial(driver: &'static Driver, name: &'static str, check: fn(&Driver), applies: bool) -> Trial {
    let absent = driver.gpu.is_err();
    let trial = Trial::test(name, move || {
        if let Err(error) = &driver.gpu {
            return Err(format!("{}: {error}", driver.name).into());
        }
        check(driver);
        Ok(())
    });
    // A trial of a required driver runs and fails if the driver is absent; others show as ignored.
    let ignored = !applies || absent && !driver.required;
    trial.with_kind(driver.name.clone()).with_ignored_flag(ignored)
}
