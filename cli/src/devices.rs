//! `wgpu-optim devices`: lists the available devices.

use clap::Args;
use comfy_table::Table;
use serde::Serialize;
use wgpu_optim::{Gpu, GpuRequest};

use crate::device::Description;
use crate::error::Error;
use crate::output;
use crate::output::text::STYLE;

/// `devices`: list the available devices.
#[derive(Debug, Args)]
#[command(
    about = "List the devices that --device can choose",
    after_help = "These are all adapters that wgpu finds, and the CPU engine. `--device auto` takes the first hardware
adapter, or else the CPU engine; `--device gpu` takes the first adapter, including software drivers.

Example: list the names, then train on one of the devices; a part of the name is enough:

  wgpu-optim devices
  wgpu-optim fit --device llvmpipe"
)]
pub(crate) struct DevicesArgs {
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// The object that `--json` prints.
#[derive(Serialize)]
struct JsonReport {
    devices: Vec<Listed>,
}

#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    description: Description,
    driver: String,
}

/// Runs the subcommand.
pub(crate) fn run(args: &DevicesArgs) -> Result<(), Error> {
    let adapters = pollster::block_on(Gpu::adapters(&GpuRequest::default()));
    let mut devices: Vec<Listed> = adapters
        .iter()
        .map(|info| Listed {
            description: Description::from_adapter(info),
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
        })
        .collect();
    let driver = format!("wgpu-optim {}", env!("CARGO_PKG_VERSION"));
    devices.push(Listed { description: Description::cpu_engine(), driver });
    if args.json {
        output::print_json(&JsonReport { devices })?;
        return Ok(());
    }
    let mut table = Table::new();
    table.load_style(STYLE);
    table.set_header(["name", "backend", "kind", "driver"]);
    for Listed { description, driver } in &devices {
        let Description { name, backend, kind } = description;
        table.add_row([name, backend, *kind, driver]);
    }
    output::print(&(table.trim_fmt() + "\n"))?;
    if adapters.is_empty() {
        output::note(
            "wgpu finds no adapter: a driver for Vulkan, Metal or DirectX 12 would add one \
             (on Debian: mesa-vulkan-drivers)",
        );
    }
    Ok(())
}
