//! The lines at the head of a record.

use std::fs;
use std::process::Command;

use wgpu_optim::{Gpu, wgpu};

use crate::session::Settings;

/// Describes the machine and the run.
pub(crate) fn header(gpu: &Gpu, settings: &Settings) -> Vec<String> {
    let Settings { date, minutes, commit, .. } = settings;
    let quick = if settings.quick { ", --quick: no figure of this record counts" } else { "" };
    let mut lines = vec![
        adapter(&gpu.info()),
        limits(gpu),
        host(),
        format!("{date}, wgpu-optim {commit}, run --minutes {minutes}{quick}; {}", load()),
        "seconds: the median of the rounds, for a step or an epoch; gigabytes_per_second: 20 bytes \
         for each element of a step, 8 of a copy"
            .to_owned(),
    ];
    lines.extend(nvidia());
    lines
}

fn adapter(info: &wgpu::AdapterInfo) -> String {
    let wgpu::AdapterInfo { name, driver, driver_info, backend, device_type, .. } = info;
    format!(
        "{name}, {device_type:?}, {vendor:04x}:{device:04x}, {backend:?} by {driver} {driver_info}",
        vendor = info.vendor,
        device = info.device,
    )
}

fn limits(gpu: &Gpu) -> String {
    let (device, info) = (gpu.device(), gpu.info());
    let limits = device.limits();
    let clock = match device.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
        true => format!("a clock of {} ns", gpu.queue().get_timestamp_period()),
        false => "no clock: mode device is wall time".to_owned(),
    };
    format!(
        "binding {} MiB, buffer {} MiB, {} invocations, subgroups {} to {}, {clock}",
        limits.max_storage_buffer_binding_size >> 20,
        limits.max_buffer_size >> 20,
        limits.max_compute_invocations_per_workgroup,
        info.subgroup_min_size,
        info.subgroup_max_size,
    )
}

fn host() -> String {
    let processor =
        value("/proc/cpuinfo", "model name").unwrap_or_else(|| "a processor".to_owned());
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = kibibytes("MemTotal").map_or(0.0, |size| size as f64 / f64::from(1 << 20));
    let system = value("/etc/os-release", "PRETTY_NAME").unwrap_or_default();
    let kernel = read("/proc/sys/kernel/osrelease");
    let libc = output("getconf", &["GNU_LIBC_VERSION"]).unwrap_or_default();
    format!(
        "{processor}, {processors} processors, {memory:.0} GiB, {system}, Linux {kernel}, {libc}"
    )
}

fn load() -> String {
    let load: Vec<String> =
        read("/proc/loadavg").split_whitespace().take(3).map(str::to_owned).collect();
    format!("load before the first part {}", load.join(", "))
}

/// The memory clock and power limit of an NVIDIA GPU.
fn nvidia() -> Option<String> {
    let query = "--query-gpu=name,driver_version,memory.total,clocks.max.memory,power.limit";
    let found = output("nvidia-smi", &[query, "--format=csv,noheader"])?;
    Some(format!("nvidia-smi: {}", found.lines().collect::<Vec<_>>().join("; ")))
}

/// The memory that the operating system has available, where it says so.
pub(crate) fn available_bytes() -> Option<u64> {
    Some(1024 * kibibytes("MemAvailable")?)
}

fn kibibytes(name: &str) -> Option<u64> {
    value("/proc/meminfo", name)?.split_whitespace().next()?.parse().ok()
}

/// The value of the first line `name: value` or `name=value` of a file.
fn value(file: &str, name: &str) -> Option<String> {
    let text = read(file);
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(rest.trim_start_matches([' ', '\t', ':', '=']).trim_matches('"').to_owned())
}

/// A small file, or nothing.
fn read(file: &str) -> String {
    fs::read_to_string(file).unwrap_or_default().trim().to_owned()
}

/// The output of a program, if it is there and succeeds.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
