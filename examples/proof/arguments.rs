//! The command line.

pub(crate) const USAGE: &str = "\
Proves the exact arithmetic on every driver, and prints a table.

  --share N      run about 1/N of each count (default 1), but each kind of case
  --driver NAME  only the adapter whose name contains NAME, or lavapipe; may be repeated;
                 its absence is an error
";

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Arguments {
    /// Each count is divided by this.
    pub(crate) share: u64,
    /// The drivers to run on; all that there are if empty.
    pub(crate) drivers: Vec<String>,
}

impl Arguments {
    /// None if help was asked for.
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut arguments = Self { share: 1, drivers: Vec::new() };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--help" | "-h" => return Ok(None),
                "--share" => {
                    let share = words.next().and_then(|value| value.parse().ok());
                    arguments.share = share
                        .filter(|share| *share > 0)
                        .ok_or("--share takes a whole number from 1 on")?;
                }
                "--driver" => {
                    arguments.drivers.push(words.next().ok_or("--driver takes a name")?);
                }
                other => return Err(format!("{other} is not known; see --help")),
            }
        }
        Ok(Some(arguments))
    }
}
