//! The rules that are compared, with the learning rates that are tried for each.

use wgpu_optim_burn::wgpu_optim::{AdaDelta, Adagrad, Adam, AnyRule, RmsProp, Sgd};

/// A rule of the comparison.
#[derive(Clone, Debug)]
pub struct Entry {
    pub name: &'static str,
    pub rule: AnyRule,
    /// Half decades.
    pub grid: [f64; 4],
    /// A learning rate that the user has chosen.
    pub chosen: Option<f64>,
}

/// All of them, with PyTorch's defaults, and SGD with a momentum of 0.9.
pub fn all() -> [Entry; 5] {
    let entry = |name, rule, grid| Entry { name, rule, grid, chosen: None };
    let sgd = Sgd { momentum: 0.9, ..Sgd::pytorch() };
    [
        entry("adagrad", Adagrad::pytorch().into(), [0.003, 0.01, 0.03, 0.1]),
        entry("sgd", sgd.into(), [0.003, 0.01, 0.03, 0.1]),
        entry("rmsprop", RmsProp::pytorch().into(), [0.0001, 0.0003, 0.001, 0.003]),
        entry("adadelta", AdaDelta::pytorch().into(), [0.1, 0.3, 1.0, 3.0]),
        entry("adam", Adam::pytorch().into(), [0.0003, 0.001, 0.003, 0.01]),
    ]
}

/// A rule as the user writes it: its name, or `name=rate`.
pub fn parse(text: &str) -> Result<Entry, String> {
    let (name, rate) = match text.split_once('=') {
        Some((name, rate)) => (name, Some(rate)),
        None => (text, None),
    };
    let known = all();
    let Some(entry) = known.iter().find(|entry| entry.name == name) else {
        let names = known.map(|entry| entry.name).join(", ");
        return Err(format!("there is no rule {name:?} here: there are {names}"));
    };
    let number = |rate: &str| match rate.parse::<f64>() {
        Ok(value) if value > 0.0 && (value as f32).is_finite() => Ok(value),
        _ => Err(format!("{rate:?} is no learning rate: give a number above 0")),
    };
    Ok(Entry { chosen: rate.map(number).transpose()?, ..entry.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_may_have_a_rate() {
        assert_eq!(parse("adam").unwrap().chosen, None);
        assert_eq!(parse("sgd=0.05").unwrap().chosen, Some(0.05));
        for (text, part) in [("adamax", "there are adagrad, sgd"), ("sgd=", "number above 0")] {
            assert!(parse(text).unwrap_err().contains(part));
        }
        for rate in ["0", "-1", "nan", "1e39"] {
            assert!(parse(&format!("adam={rate}")).is_err(), "{rate}");
        }
    }
}
