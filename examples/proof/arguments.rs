//! The command line.

pub(crate) const USAGE: &str = "\
Proves the exact arithmetic on every driver, and prints a table.

  --share N      run about 1/N of the cases, but some of every kind (default 1)
  --driver NAME  use only the adapter whose name contains NAME, or lavapipe; may be repeated;
                 it is an error if there is none
";

/// The arguments of the command.
#[derive(Debug)]
pub(crate) struct Arguments {
    /// The number of cases is divided by this.
    pub(crate) share: u64,
    /// The drivers to run on. If empty, all that are present.
    pub(crate) drivers: Vec<String>,
}

impl Arguments {
    /// Parses the arguments; `None` if they ask for help.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut arguments = Self { share: 1, drivers: Vec::new() };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--help" | "-h" => return Ok(None),
                "--share" => {
                    let share = words.next().and_then(|value| value.parse().ok());
                    arguments.share = share
                        .filter(|share| *share > 0)
                        .ok_or("--share needs an integer of at least 1")?;
                }
                "--driver" => {
                    arguments.drivers.push(words.next().ok_or("--driver needs a name")?);
                }
                other => return Err(format!("there is no option {other}: see --help")),
            }
        }
        Ok(Some(arguments))
    }
}
