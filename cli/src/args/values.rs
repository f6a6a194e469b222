//! Parsers of numbers on the command line, and their error messages.

use std::fmt::Display;
use std::str::FromStr;

use bytesize::ByteSize;

/// A whole number of at least 0.
pub(crate) fn whole<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("{error}: give a whole number of at least 0"))
}

/// Any f32, except that a number out of range is refused, not rounded to infinity or 0. The rule
/// checks whether the value is finite.
pub(crate) fn real(text: &str) -> Result<f32, String> {
    let nonzero = |digit: char| ('1'..='9').contains(&digit);
    match text.parse::<f32>() {
        Ok(value) if value.is_infinite() && text.contains(|digit: char| digit.is_ascii_digit()) => {
            Err("beyond the largest number that fits, 3.4e38: give a finite number".to_owned())
        }
        Ok(0.0) if text.split(['e', 'E']).next().is_some_and(|digits| digits.contains(nonzero)) => {
            Err("closer to 0 than the smallest number that fits, 1.4e-45: give 0 or a larger number"
                .to_owned())
        }
        Ok(value) => Ok(value),
        Err(error) => Err(format!("{error}: give a number")),
    }
}

/// A whole number of at least 1.
pub(crate) fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("give at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(error) => Err(format!("{error}: give a whole number of at least 1")),
    }
}

/// A number of bytes, with or without a unit.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    match text.parse::<ByteSize>() {
        Ok(size) => Ok(size.as_u64()),
        Err(_) => {
            Err("give a number of bytes, or one with a unit such as 500MB or 2GiB".to_owned())
        }
    }
}
