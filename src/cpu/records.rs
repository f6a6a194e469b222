//! Steps over single elements in any order, as the features of sparse rows want them.

use super::error::CpuError;
use super::optimizer::filled;
use super::sweep::{Slices, Treatment, sweep};
use crate::rules::{Rule, Schedule, check_state, scheduled, state_vectors};

/// Parameters with their state. Those of one element lie side by side, so that a step fetches one
/// place of memory for each element that it reaches, and not one for each vector.
pub(crate) struct Records<R: Rule> {
    rule: R,
    schedule: Schedule,
    steps: u64,
    /// Of each element the parameter, then its value in every state vector.
    memory: Vec<f32>,
    width: usize,
    /// Copies of the elements of a step.
    params: Vec<f32>,
    state: Vec<Vec<f32>>,
}

impl<R: Rule> Records<R> {
    /// Records of these parameters, their state at the rule's initial values.
    pub(crate) fn new(rule: R, params: &[f32], schedule: Schedule) -> Result<Self, CpuError> {
        const { check_state::<R>() };
        rule.validate()?;
        schedule.validate()?;
        let used: Vec<f32> = state_vectors(&rule).iter().map(|vector| vector.initial).collect();
        let width = 1 + used.len();
        let mut memory = filled(0.0, params.len().saturating_mul(width))?;
        for (record, &parameter) in memory.chunks_exact_mut(width).zip(params) {
            record[0] = parameter;
            record[1..].copy_from_slice(&used);
        }
        let state = vec![Vec::new(); used.len()];
        Ok(Self { rule, schedule, steps: 0, memory, width, params: Vec::new(), state })
    }

    /// All parameters.
    pub(crate) fn parameters(&self) -> Vec<f32> {
        self.memory.chunks_exact(self.width).map(|record| record[0]).collect()
    }

    /// Replaces all parameters; the state stays.
    pub(crate) fn set_parameters(&mut self, params: &[f32]) {
        for (record, &parameter) in self.memory.chunks_exact_mut(self.width).zip(params) {
            record[0] = parameter;
        }
    }

    /// Makes ready a step over `elements`, each there once, and hands out their parameters.
    pub(crate) fn gather(&mut self, elements: &[u32]) -> &[f32] {
        match self.width {
            1 => self.gather_records::<1>(elements),
            2 => self.gather_records::<2>(elements),
            3 => self.gather_records::<3>(elements),
            _ => self.gather_records::<4>(elements),
        }
        &self.params
    }

    /// Steps the elements that were gathered last.
    pub(crate) fn step(&mut self, grads: &[f32], elements: &[u32]) {
        self.steps += 1;
        let uniforms = scheduled(&self.rule, &self.schedule, self.steps);
        let state = self.state.iter_mut().map(Vec::as_mut_slice).collect();
        let slices = Slices { params: &mut self.params, grads, state };
        sweep(&self.rule, &uniforms, slices, Treatment::default());
        match self.width {
            1 => self.scatter_records::<1>(elements),
            2 => self.scatter_records::<2>(elements),
            3 => self.scatter_records::<3>(elements),
            _ => self.scatter_records::<4>(elements),
        }
    }

    /// For a width that the compiler knows. One vector after the other, so that each loop is short:
    /// the first one has brought the records into the cache.
    fn gather_records<const WIDTH: usize>(&mut self, elements: &[u32]) {
        let (records, _) = self.memory.as_chunks::<WIDTH>();
        for (k, copies) in [&mut self.params].into_iter().chain(&mut self.state).enumerate() {
            copies.clear();
            copies.extend(elements.iter().map(|&element| records[element as usize][k % WIDTH]));
        }
    }

    fn scatter_records<const WIDTH: usize>(&mut self, elements: &[u32]) {
        let (records, _) = self.memory.as_chunks_mut::<WIDTH>();
        for (k, copies) in [&self.params].into_iter().chain(&self.state).enumerate() {
            for (&element, &copy) in elements.iter().zip(copies) {
                records[element as usize][k % WIDTH] = copy;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CpuOptimizer;
    use crate::rules::{AnyRule, RuleVisitor};

    /// As steps over the whole vector, whose other gradients are not looked at afterwards.
    struct Agree;

    impl RuleVisitor for Agree {
        type Output = ();

        fn visit<R: Rule>(self, rule: R) {
            let start: Vec<f32> = (0..9).map(|index| index as f32 / 4.0 - 1.0).collect();
            let mut records = Records::new(rule, &start, Schedule::Constant).unwrap();
            let mut optimizer = CpuOptimizer::new(rule, 9).unwrap();
            let mut expected = start.clone();
            for elements in [[7, 0, 3], [3, 8, 7], [3, 7, 0]] {
                let before = (expected.clone(), optimizer.clone());
                let mut grads = vec![0.0; 9];
                for (&element, gradient) in elements.iter().zip([0.5, -2.0, 0.25]) {
                    grads[element as usize] = gradient;
                }
                optimizer.step(&mut expected, &grads).unwrap();
                // What was not named is as before.
                for index in (0..9).filter(|index| !elements.contains(&(*index as u32))) {
                    expected[index] = before.0[index];
                    for k in 0..optimizer.state_count() {
                        optimizer.state_mut(k)[index] = before.1.state(k)[index];
                    }
                }
                let gathered = records.gather(&elements).to_vec();
                assert_eq!(gathered, elements.map(|element| before.0[element as usize]));
                records.step(&[0.5, -2.0, 0.25], &elements);
                assert_eq!(records.parameters(), expected, "{rule:?}");
            }
            assert_eq!(records.parameters()[7], expected[7]);
            records.set_parameters(&start);
            assert_eq!(records.parameters(), start);
        }
    }

    #[test]
    fn elements_are_stepped_as_in_the_whole_vector() {
        for rule in AnyRule::examples() {
            rule.visit(Agree);
        }
    }
}
