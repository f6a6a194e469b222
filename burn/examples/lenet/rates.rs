//! The learning rate of each rule: the best of a small grid on a part of the training images, by the
//! loss on others of them. The held-out images have no part in it.

use burn::tensor::Device;

use crate::args::Args;
use crate::data::Images;
use crate::rules::Entry;
use crate::train::{Curve, train};
use crate::{Failure, Settings, report};

/// Each rule with its learning rate: the one that the user chose, or the best found.
pub fn find(device: &Device, args: &Args, images: &Images) -> Result<Vec<(Entry, f64)>, Failure> {
    // A quarter as many validate as train.
    let count = args.search_images.min(images.len() * 4 / 5);
    let (part, validation) = images.split(count, count.div_ceil(4));
    let settings = Settings { epochs: 1, ..args.settings() };
    let bar = report::bar(count as u64);
    let mut found = Vec::new();
    for entry in args.entries() {
        if let Some(rate) = entry.chosen {
            found.push((entry, rate));
            continue;
        }
        let mut losses = Curve::new();
        for rate in entry.grid {
            report::begin(&bar, format!("trying {} at {rate}", entry.name));
            let with = (entry.rule, rate);
            let run = train(device, &settings, with, &part, &validation, &bar)?;
            losses.push((rate, run.validation_loss));
        }
        if args.rates {
            bar.suspend(|| println!("{}", report::grid(entry.name, &losses)));
        }
        let best = losses.iter().filter(|(_, loss)| loss.is_finite());
        let Some(&(rate, _)) = best.min_by(|a, b| a.1.total_cmp(&b.1)) else {
            let name = entry.name;
            return Err(
                format!("{name} diverged at each rate: give one, as --rules {name}=1e-5").into()
            );
        };
        found.push((entry, rate));
    }
    bar.finish_and_clear();
    if args.rates {
        println!("  (losses on {} images after an epoch of {count})\n", validation.len());
    }
    Ok(found)
}
