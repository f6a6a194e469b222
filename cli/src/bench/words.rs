//! Numbers as tables and pictures show them.

/// Three digits: more than a measurement reproduces.
pub(super) fn short(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

pub(super) fn percent(share: f64) -> String {
    format!(
        "{} %",
        if share < 0.1 { format!("{:.1}", 100.0 * share) } else { format!("{:.0}", 100.0 * share) }
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits() {
        let values = [0.012_34, 1.234, 12.34, 1234.0].map(short);
        assert_eq!(values, ["0.012", "1.23", "12.3", "1234"]);
        assert_eq!([0.0123, 0.5678, 1.2].map(percent), ["1.2 %", "57 %", "120 %"]);
    }
}
