//! Numbers, names and tables as people read them.

use comfy_table::{LineStyle, TableStyle};

/// A line below the header and no others: easy to read and to search.
pub(crate) const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// How many names a list shows.
const MAX_LISTED_NAMES: usize = 30;

/// A name from a file, with control characters escaped: they could move the cursor or colour the
/// terminal.
pub(crate) fn printable(name: &str) -> String {
    let spell = |character: char| match character.is_control() {
        true => character.escape_default().to_string(),
        false => character.to_string(),
    };
    name.chars().map(spell).collect()
}

/// Names separated by commas; only the first ones if there are many.
pub(crate) fn list(names: &[String]) -> String {
    let shown: Vec<String> =
        names.iter().take(MAX_LISTED_NAMES).map(|name| printable(name)).collect();
    let shown = shown.join(", ");
    match names.len().checked_sub(MAX_LISTED_NAMES) {
        Some(more @ 1..) => format!("{shown} and {more} more"),
        _ => shown,
    }
}

/// `1 row`, `2 rows`.
pub(crate) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Six significant digits; in scientific notation where leading or trailing zeros would hide them.
pub(crate) fn significant(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let exponent = value.abs().log10().floor() as i32;
    match exponent {
        -4..6 => format!("{value:.*}", usize::try_from(5 - exponent).unwrap_or(0)),
        _ => format!("{value:.5e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_significant_digits() {
        let cases = [
            (0.241_687_955, "0.241688"),
            (-2.382_563_4, "-2.38256"),
            (124_835.94, "124836"),
            (0.000_123_456_78, "0.000123457"),
            (0.000_012_345_678, "1.23457e-5"),
            (12_345_678.0, "1.23457e7"),
            (0.0, "0"),
        ];
        for (value, expected) in cases {
            assert_eq!(significant(value), expected);
        }
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..32).map(|index| format!("c{index}")).collect();
        assert!(list(&names).ends_with("c29 and 2 more"));
        assert!(list(&names[..30]).ends_with("c29"));
    }
}
