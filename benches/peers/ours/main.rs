//! wgpu-optim as a contestant of benches/peers/run, and the limits set by memory bandwidth. It
//! answers the requests that benches/peers/README.md lists. `cargo bench` runs some of them once.
#![allow(missing_docs, reason = "a program")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a benchmark fails by panicking")]
#![allow(clippy::print_stdout, reason = "answers go to standard output")]

mod sparse;
mod step;
#[path = "../../support/traffic.rs"]
mod traffic;
mod train;

use std::time::Duration;

const USAGE: &str = "one of
    step cpu|traffic|gpu ELEMENTS
    airfoil cpu|gpu FILE
    dense|gather ROWS FEATURES BATCH
    write-sparse ROWS FEATURES ENTRIES FILE
this program is run by benches/peers/run";

/// What a contestant must provide.
trait Contestant {
    /// Shows that the work was done: the sum of the parameters after three steps, or the loss at
    /// the end of a run.
    fn check(&self) -> f64;

    /// The device it runs on.
    fn device(&self) -> String {
        "CPU engine".to_owned()
    }

    /// The seconds of one step or one epoch, measured for about `budget`.
    fn measure(&mut self, mode: &str, budget: Duration) -> f64;
}

/// An adapter's name and driver.
fn adapter(gpu: &wgpu_optim::Gpu) -> String {
    let info = gpu.info();
    format!("{}, {} {}", info.name, info.driver, info.driver_info)
}

fn contestant(arguments: &[&str]) -> Box<dyn Contestant> {
    let number =
        |text: &str| -> usize { text.parse().unwrap_or_else(|_| panic!("{text}: {USAGE}")) };
    match *arguments {
        ["step", "gpu", len] => Box::new(step::Gpu::new(number(len))),
        ["step", "cpu", len] => Box::new(step::cpu(number(len))),
        ["step", "traffic", len] => Box::new(step::traffic(number(len))),
        ["airfoil", engine, file] => Box::new(train::Airfoil::new(engine, file)),
        [kind @ ("dense" | "gather"), rows, features, batch] => {
            let (rows, features, batch) = (number(rows), number(features), number(batch));
            let data = train::dense_data(rows, features);
            match kind {
                "dense" => Box::new(train::Dense::new(data, batch)),
                _ => Box::new(train::Gather::new(data, batch)),
            }
        }
        _ => panic!("{arguments:?}: {USAGE}"),
    }
}

/// Prints the check, then answers each line `MODE SECONDS` with a time.
fn answer(contestant: &mut dyn Contestant) {
    println!("{{\"check\": {:e}, \"device\": {:?}}}", contestant.check(), contestant.device());
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let (mode, seconds) = line.split_once(' ').unwrap();
        let seconds = contestant.measure(mode, Duration::from_secs_f64(seconds.parse().unwrap()));
        println!("{{\"seconds\": {seconds:e}}}");
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if arguments.contains(&"--bench") {
        for arguments in [
            &["step", "cpu", "4096"][..],
            &["step", "traffic", "4096"],
            &["dense", "1000", "8", "64"],
            &["gather", "1000", "8", "64"],
        ] {
            let seconds = contestant(arguments).measure("queued", Duration::from_millis(1));
            println!("{}: {seconds:e} s", arguments.join(" "));
        }
        println!("benches/peers/run runs the peers.");
        return;
    }
    if let ["write-sparse", ref numbers @ .., file] = arguments[..] {
        let numbers: Vec<u32> = numbers.iter().map(|number| number.parse().unwrap()).collect();
        let [rows, features, entries] = numbers[..] else { panic!("{USAGE}") };
        return sparse::write(rows, features, entries, file).unwrap();
    }
    answer(&mut *contestant(&arguments));
}
