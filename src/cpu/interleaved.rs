//! Steps over single elements in any order, as the features of sparse rows need them.

use super::apply::{Treatment, Update};
use super::columns::{Column, Columns};
use super::error::CpuError;
use super::tensor_step::TensorStep;
use super::threads::threads;
use super::vector::CpuVec;
use crate::rules::{Rule, check_state};
use crate::step::{Schedule, scheduled};

/// Parameters with their state. The parameter and state of an element are adjacent in memory, so
/// that a step reads one location per element, not one per vector.
pub(crate) struct Interleaved<R: Rule> {
    rule: R,
    schedule: Schedule,
    steps: u64,
    /// For each element, the parameter, then its value in every state vector.
    memory: CpuVec,
    width: usize,
    /// Copies of a step's parameters and state.
    params: Vec<f32>,
    state: Vec<Vec<f32>>,
}

impl<R: Rule> Interleaved<R> {
    /// Starts with these parameters and the rule's initial state.
    pub(crate) fn new(rule: R, params: &[f32], schedule: Schedule) -> Result<Self, CpuError> {
        const { check_state::<R>() };
        rule.validate()?;
        schedule.validate()?;
        let initial = rule.initial_state();
        let used = (0..).zip(initial.as_ref()).filter(|(k, _)| rule.uses_state(*k));
        let used: Vec<f32> = used.map(|(_, &value)| value).collect();
        let width = 1 + used.len();
        let mut memory = CpuVec::zeros(params.len().saturating_mul(width))?;
        for (element, &parameter) in memory.chunks_exact_mut(width).zip(params) {
            element[0] = parameter;
            element[1..].copy_from_slice(&used);
        }
        let state = vec![Vec::new(); used.len()];
        Ok(Self { rule, schedule, steps: 0, memory, width, params: Vec::new(), state })
    }

    /// All parameters.
    pub(crate) fn parameters(&self) -> Vec<f32> {
        self.memory.chunks_exact(self.width).map(|element| element[0]).collect()
    }

    /// Replaces all parameters and keeps the state.
    pub(crate) fn set_parameters(&mut self, params: &[f32]) {
        for (element, &parameter) in self.memory.chunks_exact_mut(self.width).zip(params) {
            element[0] = parameter;
        }
    }

    /// Prepares a step over `elements`, which are distinct, and returns their parameters.
    pub(crate) fn gather(&mut self, elements: &[u32]) -> &[f32] {
        match self.width {
            1 => self.gather_elements::<1>(elements),
            2 => self.gather_elements::<2>(elements),
            3 => self.gather_elements::<3>(elements),
            _ => self.gather_elements::<4>(elements),
        }
        &self.params
    }

    /// Steps the elements that were gathered last.
    pub(crate) fn step(&mut self, grads: &[f32], elements: &[u32]) {
        self.steps += 1;
        let update = Update {
            rule: self.rule,
            uniforms: scheduled(&self.rule, &self.schedule, self.steps),
            treatment: Treatment::default(),
            row_wise: false,
        };
        let mut copies = self.state.iter_mut();
        let state = std::array::from_fn(|k| {
            let copies = if self.rule.uses_state(k) { copies.next() } else { None };
            copies.map_or_else(Column::default, |values| Column { values, width: 1 })
        });
        let columns = Columns { params: Column { values: &mut self.params, width: 1 }, state };
        let parts = threads(grads.len());
        TensorStep { update: &update, columns, grads, rows: None, first: 0 }.run_parts(parts);
        match self.width {
            1 => self.scatter_elements::<1>(elements),
            2 => self.scatter_elements::<2>(elements),
            3 => self.scatter_elements::<3>(elements),
            _ => self.scatter_elements::<4>(elements),
        }
    }

    /// Gathers with a width known at compile time, one vector after the other, so that each loop is
    /// short. The first loop brings the elements into the cache.
    fn gather_elements<const WIDTH: usize>(&mut self, elements: &[u32]) {
        let (interleaved, _) = self.memory.as_chunks::<WIDTH>();
        for (k, copies) in [&mut self.params].into_iter().chain(&mut self.state).enumerate() {
            copies.clear();
            copies.extend(elements.iter().map(|&element| interleaved[element as usize][k % WIDTH]));
        }
    }

    fn scatter_elements<const WIDTH: usize>(&mut self, elements: &[u32]) {
        let (interleaved, _) = self.memory.as_chunks_mut::<WIDTH>();
        for (k, copies) in [&self.params].into_iter().chain(&self.state).enumerate() {
            for (&element, &copy) in elements.iter().zip(copies) {
                interleaved[element as usize][k % WIDTH] = copy;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CpuOptimizer;
    use crate::rules::{AnyRule, with_rule};

    /// Compares to steps over the whole vector, after which all other elements are restored.
    fn agree<R: Rule>(rule: R) {
        let start: Vec<f32> = (0..9).map(|index| index as f32 / 4.0 - 1.0).collect();
        let mut interleaved = Interleaved::new(rule, &start, Schedule::Constant).unwrap();
        let mut optimizer = CpuOptimizer::new(rule, 9).unwrap();
        let mut expected = start.clone();
        for elements in [[7, 0, 3], [3, 8, 7], [3, 7, 0]] {
            let before = (expected.clone(), optimizer.clone());
            let mut grads = vec![0.0; 9];
            for (&element, gradient) in elements.iter().zip([0.5, -2.0, 0.25]) {
                grads[element as usize] = gradient;
            }
            optimizer.step(&mut expected, &grads).unwrap();
            // Restores the elements that were not named.
            for index in (0..9).filter(|index| !elements.contains(&(*index as u32))) {
                expected[index] = before.0[index];
                for k in 0..optimizer.state_count() {
                    optimizer.state_mut(k)[index] = before.1.state(k)[index];
                }
            }
            let gathered = interleaved.gather(&elements).to_vec();
            assert_eq!(gathered, elements.map(|element| before.0[element as usize]));
            interleaved.step(&[0.5, -2.0, 0.25], &elements);
            assert_eq!(interleaved.parameters(), expected, "{rule:?}");
        }
        assert_eq!(interleaved.parameters()[7], expected[7]);
        interleaved.set_parameters(&start);
        assert_eq!(interleaved.parameters(), start);
    }

    #[test]
    fn elements_are_stepped_as_in_the_whole_vector() {
        for rule in AnyRule::examples() {
            with_rule!(rule, |rule| agree(rule));
        }
    }
}
