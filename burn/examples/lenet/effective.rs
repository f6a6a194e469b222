//! The effective learning rate of a parameter: what its rule multiplies the gradient by, or, with
//! Adam, the gradient's average. It is computed from the state in the optimizer's record.

use std::collections::BTreeMap;

use burn::optim::ModuleOptimizer;
use burn_pack::Reader;
use wgpu_optim_burn::wgpu_optim::AnyRule;

use crate::Failure;

/// State vectors of one parameter by their names.
type Vectors = BTreeMap<String, Vec<f32>>;

/// The median over all parameters; none for a rule that has no rates of its own.
pub fn median(
    rule: &AnyRule,
    learning_rate: f64,
    optimizer: &ModuleOptimizer,
) -> Result<Option<f64>, Failure> {
    if matches!(rule, AnyRule::Sgd(_)) {
        return Ok(None);
    }
    let mut parameters: BTreeMap<String, Vectors> = BTreeMap::new();
    let reader = Reader::from_bytes(optimizer.to_record().into_bytes()?)?;
    for name in reader.tensor_names() {
        let Some((parameter, vector)) = name.split_once('.') else { continue };
        let bytes = reader.tensor_data(name)?;
        let values = bytes.as_chunks().0.iter().map(|&word| f32::from_le_bytes(word)).collect();
        parameters.entry(parameter.to_owned()).or_default().insert(vector.to_owned(), values);
    }
    let mut rates = Vec::new();
    for (parameter, vectors) in &parameters {
        let steps = reader.scalars().get(&format!("{parameter}.steps")).copied();
        let steps = steps.and_then(|steps| u64::try_from(steps).ok()).unwrap_or(1);
        rates.extend(factors(rule, steps, vectors).into_iter().map(|it| learning_rate * it));
    }
    let middle = rates.len() / 2;
    Ok((middle > 0).then(|| *rates.select_nth_unstable_by(middle, f64::total_cmp).1))
}

/// What each parameter's learning rate is multiplied by at the step after `steps` steps. Weight decay
/// and other choices of formula are not in the comparison, and not here.
fn factors(rule: &AnyRule, steps: u64, vectors: &Vectors) -> Vec<f64> {
    let vector = |name| vectors.get(name).map(Vec::as_slice).unwrap_or_default();
    let outside = |values: &[f32], share: f64, epsilon: f32| -> Vec<f64> {
        let root = |&value: &f32| (f64::from(value) / share).sqrt();
        values.iter().map(|value| 1.0 / (root(value) + f64::from(epsilon))).collect()
    };
    match rule {
        AnyRule::Adagrad(rule) => outside(vector("accumulator"), 1.0, rule.epsilon),
        AnyRule::RmsProp(rule) => outside(vector("square_average"), 1.0, rule.epsilon),
        AnyRule::Adam(rule) => {
            let share = 1.0 - rule.beta2.powi(i32::try_from(steps).unwrap_or(i32::MAX));
            outside(vector("square_average"), share, rule.epsilon)
        }
        AnyRule::AdaDelta(rule) => {
            let root = |&value: &f32| (f64::from(value) + f64::from(rule.epsilon)).sqrt();
            let pairs = vector("delta_average").iter().zip(vector("square_average"));
            pairs.map(|(delta, square)| root(delta) / root(square)).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wgpu_optim_burn::wgpu_optim::{AdaDelta, Adagrad, Adam};

    fn of(rule: impl Into<AnyRule>, steps: u64, vectors: &[(&str, f32)]) -> f64 {
        let vectors = vectors.iter().map(|&(name, value)| (name.to_owned(), vec![value]));
        factors(&rule.into(), steps, &vectors.collect())[0]
    }

    #[test]
    fn factors_are_those_of_the_formulas() {
        let adagrad = of(Adagrad::pytorch(), 3, &[("accumulator", 4.0)]);
        assert!((adagrad - 0.5).abs() < 1e-9);
        // After one step Adam's average is a thousandth of the square, which the correction undoes.
        let adam = of(Adam::pytorch(), 1, &[("square_average", 4e-3)]);
        assert!((adam - 0.5).abs() < 1e-6);
        let vectors = [("delta_average", 0.0), ("square_average", 1.0 - 1e-6)];
        assert!((of(AdaDelta::pytorch(), 1, &vectors) - 1e-3).abs() < 1e-9);
    }
}
