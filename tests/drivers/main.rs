//! The arithmetic tier: every check on every Vulkan driver present, one device for each.
//!
//! A driver that is absent shows as ignored. With `WGPU_OPTIM_REQUIRE_DRIVERS=lavapipe,swiftshader`
//! in the environment, its absence is a failure.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod boundaries;
mod driver;
mod errors;
mod golden;
mod guard;
mod linear;
mod memory;
mod properties;
mod record;
mod reference;

use driver::{Driver, drivers};
use libtest_mimic::{Arguments, Trial};

/// A check that runs on each driver.
type Check = (&'static str, fn(&Driver));

fn main() -> std::process::ExitCode {
    let arguments = Arguments::from_args();
    let suites: [&[Check]; 8] = [
        boundaries::CHECKS,
        errors::CHECKS,
        golden::CHECKS,
        guard::CHECKS,
        linear::CHECKS,
        memory::CHECKS,
        properties::CHECKS,
        record::CHECKS,
    ];
    let drivers = drivers();
    let trials = drivers.iter().flat_map(|driver| {
        suites.into_iter().flatten().map(move |&(name, check)| trial(driver, name, check))
    });
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

fn trial(driver: &'static Driver, name: &'static str, check: fn(&Driver)) -> Trial {
    let absent = driver.gpu.is_none();
    let trial = Trial::test(name, move || {
        if absent {
            return Err(format!("no driver called {} was found", driver.name).into());
        }
        check(driver);
        Ok(())
    });
    // What is required runs, and fails; what is not shows as ignored.
    trial.with_kind(driver.name.clone()).with_ignored_flag(absent && !driver.required)
}
