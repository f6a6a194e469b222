//! Linear models of sparse features on the CPU. A batch reads and steps only the features that
//! occur in it, and the bias. The cost of a step does not grow with the number of columns.
//!
//! # The canonical order of summation
//! As for dense features (see the parent module), both engines use one order:
//!
//! - **A prediction**: entry number `k` of the row, counted from 0, is added to partial sum
//!   `k % 4`, in ascending order from +0; then partial sum 2 is added to 0, 3 to 1, and 1 to 0;
//!   then the bias.
//! - **A gradient** of one feature over a batch: `residual * value` of the rows that have it, in
//!   the order of the batch, in ascending order from +0; and a division by the number of rows of
//!   the batch. The gradient of the bias sums the residuals in the same way.
//! - **A sum of losses**: as for dense features.

use std::ops::Range;
use std::sync::mpsc::channel;
use std::thread;

use rayon::prelude::*;

use super::batches::Batch;
use super::errors::Result;
use super::loss::Loss;
use super::memory::{check, filled, reserve};
use super::penalty::Penalty;
use super::prefetched::{PREFETCHED_ENTRIES, PrefetchedBatches, Row};
use super::training::Training;
use crate::cpu::Interleaved;
use crate::data::SparseDataset;
use crate::rules::Rule;

/// The number of rows that one thread takes at a time.
const ROWS_PER_TASK: usize = 1 << 10;

/// The number of entries whose batches are collected to be stepped together, unless the model is
/// requested earlier: so many that the cost of a second thread does not matter, and so few that an
/// interruption takes effect soon.
const WAITING: usize = 1 << 22;
/// The number of buffers of prefetched batches that two threads exchange: 2 if each holds one batch
/// of more than [`PREFETCHED_ENTRIES`] entries, and 1 if one batch is the whole epoch.
const BUFFERS: usize = 4;
/// What a buffer, or a step, keeps of each entry of a batch, with the spare room of vectors that grow.
const BYTES_PER_ENTRY: usize = 40;

/// The rows of a run. Batches are collected; then this thread steps through several of them while
/// another prefetches the next ones.
pub(super) struct SparseRows<'a, R: Rule> {
    data: &'a SparseDataset,
    batch_size: usize,
    stepper: Stepper<R>,
    buffers: Vec<PrefetchedBatches>,
    /// The order of the rows in this epoch, and the positions of the collected batches.
    order: Vec<u32>,
    waiting: Range<usize>,
}

/// The model and the memory that a step changes.
pub(super) struct Stepper<R: Rule> {
    loss: Loss,
    penalty: Penalty,
    /// The weights, followed by the bias.
    pub(super) parameters: Interleaved<R>,
    /// The index of the bias.
    bias: u32,
    /// The losses of this epoch's rows before they were learned from; empty unless requested.
    pub(super) before: Vec<f32>,
    /// Scratch memory: the elements that occur in a batch, their gradients, and the predictions.
    elements: Vec<u32>,
    sums: Vec<f32>,
    predictions: Vec<f32>,
}

impl<'a, R: Rule> SparseRows<'a, R> {
    pub(super) fn new(
        rule: R,
        data: &'a SparseDataset,
        training: &Training,
        parameters: &[f32],
    ) -> Result<Self> {
        let stepper = Stepper {
            loss: training.loss,
            penalty: training.penalty,
            parameters: Interleaved::new(rule, parameters, training.schedule.clone())?,
            bias: data.feature_count() as u32, // columns are counted in u32
            before: filled(0.0, if training.progressive { data.rows() } else { 0 })?,
            elements: Vec::new(),
            sums: Vec::new(),
            predictions: Vec::new(),
        };
        let batch_size = training.batch_size;
        let buffers = match batch_size {
            all if all == data.rows() => 1,
            long if entries(data, long) > PREFETCHED_ENTRIES => 2,
            _ => BUFFERS,
        };
        // What the buffers and the scratch memory grow to, as long as rows are of about one length.
        let held = entries(data, batch_size).max(PREFETCHED_ENTRIES.min(data.entry_count()));
        check::<u8>(held.saturating_mul(BYTES_PER_ENTRY * (buffers + 1)))?;
        Ok(Self {
            data,
            batch_size,
            stepper,
            buffers: (0..buffers).map(|_| PrefetchedBatches::default()).collect(),
            order: Vec::new(),
            waiting: 0..0,
        })
    }

    /// Begins an epoch that visits the rows in this order.
    pub(super) fn begin_epoch(&mut self, order: &[u32]) -> Result<()> {
        self.work();
        self.order.clear();
        reserve(&mut self.order, order.len())?;
        self.order.extend_from_slice(order);
        self.waiting = 0..0;
        Ok(())
    }

    /// Trains on a batch, now or later.
    pub(super) fn step(&mut self, batch: &Batch) {
        self.waiting.end = batch.rows.end;
        // At least several batches, so that one is prefetched while another is stepped.
        let max_waiting = WAITING.max(8 * entries(self.data, self.batch_size));
        if entries(self.data, self.waiting.len()) >= max_waiting {
            self.work();
        }
    }

    /// The stepper, after the steps of all batches so far.
    pub(super) fn stepped(&mut self) -> &mut Stepper<R> {
        self.work();
        &mut self.stepper
    }

    /// Steps through the collected batches.
    fn work(&mut self) {
        let rows = self.waiting.clone();
        self.waiting.start = rows.end;
        if entries(self.data, rows.len()) > PREFETCHED_ENTRIES && self.in_two_threads(rows.clone())
        {
            return;
        }
        let Some(prefetched) = self.buffers.first_mut() else { return };
        let mut first = rows.start;
        while first < rows.end {
            prefetched.fill(self.data, &self.order[..rows.end], first, self.batch_size);
            self.stepper.steps(prefetched, self.batch_size);
            first = prefetched.rows.end;
        }
    }

    /// Steps through `rows` while a second thread prefetches. Without a second thread, does nothing
    /// and returns false.
    fn in_two_threads(&mut self, rows: Range<usize>) -> bool {
        if rayon::current_num_threads() == 1 {
            return false; // as the user has requested
        }
        let Self { data, order, stepper, buffers, .. } = self;
        let (order, batch_size) = (&order[..rows.end], self.batch_size);
        let (free, mut empty) = channel();
        let (filled, full) = channel();
        for prefetched in buffers.drain(..) {
            let _ = free.send(prefetched); // `empty` still exists
        }
        let mut first = rows.start;
        let receive = &mut empty;
        let fill = move || {
            while first < order.len() {
                let Ok(mut prefetched): Result<PrefetchedBatches, _> = receive.recv() else {
                    return;
                };
                prefetched.fill(data, order, first, batch_size);
                first = prefetched.rows.end;
                if filled.send(prefetched).is_err() {
                    return; // the other thread has panicked
                }
            }
        };
        let done = thread::scope(|scope| {
            let thread = thread::Builder::new().name("wgpu-optim prefetch".to_owned());
            if thread.spawn_scoped(scope, fill).is_err() {
                return false;
            }
            // Moved here, so that it is dropped with this closure, even by a panic: otherwise the
            // other thread would wait forever.
            let free = free;
            for prefetched in full {
                stepper.steps(&prefetched, batch_size);
                let _ = free.send(prefetched);
            }
            true
        });
        buffers.extend(empty.try_iter());
        done
    }
}

impl<R: Rule> Stepper<R> {
    /// Steps through prefetched batches.
    fn steps(&mut self, prefetched: &PrefetchedBatches, batch_size: usize) {
        let rows = &prefetched.rows;
        for first in rows.clone().step_by(batch_size) {
            self.step(prefetched, first..rows.end.min(first + batch_size));
        }
    }

    fn step(&mut self, prefetched: &PrefetchedBatches, batch: Range<usize>) {
        let Self { loss, penalty, parameters, elements, sums, predictions, .. } = self;
        elements.clear();
        elements.extend_from_slice(prefetched.columns(batch.start));
        elements.push(self.bias);
        let gathered = parameters.gather(elements);
        let (weights, bias) = gathered.split_at(elements.len() - 1);
        predictions.resize(batch.len(), 0.0);
        each_row(batch.start, predictions, |position| {
            let Row { slots, values, .. } = prefetched.row(position);
            product(slots, values, |slot| weights[slot]) + bias[0]
        });
        if let Some(before) = self.before.get_mut(batch.clone()) {
            for ((term, &prediction), position) in
                before.iter_mut().zip(&*predictions).zip(batch.clone())
            {
                *term = loss.term(prediction, prefetched.row(position).target);
            }
        }
        sums.clear();
        sums.resize(weights.len(), 0.0);
        let mut bias_sum = 0.0;
        for (position, &prediction) in batch.clone().zip(&*predictions) {
            let Row { slots, values, target } = prefetched.row(position);
            let residual = loss.derivative(prediction, target);
            for (&slot, &value) in slots.iter().zip(values) {
                sums[slot as usize] += residual * value;
            }
            bias_sum += residual;
        }
        let count = batch.len() as f32;
        for (sum, &weight) in sums.iter_mut().zip(weights) {
            *sum = penalty.add(*sum / count, weight);
        }
        sums.push(bias_sum / count);
        parameters.step(sums, elements);
    }
}

/// The approximate number of entries in `rows` rows, with one per row for the bias.
fn entries(data: &SparseDataset, rows: usize) -> usize {
    ((1.0 + data.entry_count() as f64 / data.rows() as f64) * rows as f64) as usize
}

/// Fills `values` with the predictions of all rows, in the canonical order, or with their loss
/// terms.
pub(super) fn all_rows(
    data: &SparseDataset,
    parameters: &[f32],
    loss: Option<Loss>,
    values: &mut [f32],
) {
    let (weights, bias) = parameters.split_at(data.feature_count());
    each_row(0, values, |row| {
        let (columns, values) = data.row(row);
        let prediction = product(columns, values, |column| weights[column]) + bias[0];
        loss.map_or(prediction, |loss| loss.term(prediction, data.target()[row]))
    });
}

/// The sum of each value times its weight, in the canonical order.
#[inline(always)]
fn product(numbers: &[u32], values: &[f32], weight: impl Fn(usize) -> f32) -> f32 {
    let mut sums = [0.0_f32; 4];
    let (number_groups, number_rest) = numbers.as_chunks::<4>();
    let (value_groups, value_rest) = values.as_chunks::<4>();
    for (numbers, values) in number_groups.iter().zip(value_groups) {
        for lane in 0..4 {
            sums[lane] += values[lane] * weight(numbers[lane] as usize);
        }
    }
    for ((sum, &number), value) in sums.iter_mut().zip(number_rest).zip(value_rest) {
        *sum += value * weight(number as usize);
    }
    (sums[0] + sums[2]) + (sums[1] + sums[3])
}

/// Fills `values` with `value(row)` for each row from `first` on. Uses threads if there are many
/// rows.
fn each_row(first: usize, values: &mut [f32], value: impl Fn(usize) -> f32 + Sync) {
    let fill = |(task, values): (usize, &mut [f32])| {
        for (row, place) in (first + task * ROWS_PER_TASK..).zip(values) {
            *place = value(row);
        }
    };
    if values.len() > ROWS_PER_TASK {
        values.par_chunks_mut(ROWS_PER_TASK).enumerate().for_each(fill);
    } else {
        fill((0, values));
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use ndarray::Array1;

    use super::*;
    use crate::data::{epoch_order, initial_weights};
    use crate::linear::{Engine, Examples, train_blocking};
    use crate::{Adagrad, CpuOptimizer};

    /// 700 rows with up to 160 of 3000 features: several buffers of several batches each.
    fn data() -> SparseDataset {
        let (mut starts, mut entries) = (vec![0], Vec::new());
        for row in 0..700_u32 {
            let first = row.wrapping_mul(2_654_435_761) >> 20;
            entries.extend((0..row * 37 % 161).map(|k| first % 100 + 18 * k));
            starts.push(entries.len());
        }
        let values = (0..entries.len()).map(|at| (at * 7 % 23) as f32 / 16.0 - 0.5).collect();
        let target = Array1::from_iter((0..700_u16).map(|row| f32::from(u8::from(row % 3 == 0))));
        SparseDataset::new(3000, starts, entries, values, target).unwrap()
    }

    fn prediction(data: &SparseDataset, row: u32, parameters: &[f32]) -> f32 {
        let (columns, values) = data.row(row as usize);
        let mut sums = [0.0; 4];
        for (k, (&column, value)) in columns.iter().zip(values).enumerate() {
            sums[k % 4] += value * parameters[column as usize];
        }
        (sums[0] + sums[2]) + (sums[1] + sums[3]) + parameters[3000]
    }

    /// Trains by the definition, batch by batch. Returns the final parameters and the losses before
    /// learning.
    fn trained(data: &SparseDataset, rule: Adagrad, training: &Training) -> (Vec<f32>, Vec<f32>) {
        let loss = training.loss;
        let mut parameters = [initial_weights(3000, training.seed), vec![0.0]].concat();
        let mut optimizer = CpuOptimizer::new(rule, 3001).unwrap();
        let mut before = Vec::new();
        for epoch in 0..training.epochs {
            for batch in epoch_order(700, training.seed, epoch).chunks(training.batch_size) {
                let mut sums = vec![None; 3001];
                for &row in batch {
                    let (columns, values) = data.row(row as usize);
                    let target = data.target()[row as usize];
                    let predicted = prediction(data, row, &parameters);
                    before.push(loss.term(predicted, target));
                    let residual = loss.derivative(predicted, target);
                    for (&column, value) in columns.iter().zip(values).chain([(&3000, &1.0)]) {
                        *sums[column as usize].get_or_insert(0.0) += residual * value;
                    }
                }
                let found = (0..).zip(sums).filter_map(|(column, sum)| Some((column, sum?)));
                let (elements, grads): (Vec<u32>, Vec<f32>) =
                    found.map(|(column, sum)| (column, sum / batch.len() as f32)).unzip();
                optimizer.step_rows(&mut parameters, &grads, &elements).unwrap();
            }
        }
        (parameters, before)
    }

    /// What is requested between prefetched batches does not change the result.
    #[test]
    fn prefetched_batches_train_like_single_batches() {
        let data = data();
        let rule = Adagrad { learning_rate: 0.1, ..Adagrad::default() };
        for (batch_size, evaluate_every, progressive) in
            [(64, 150, true), (64, 0, false), (1, 0, false), (10, 333, true), (1000, 0, true)]
        {
            let training = Training {
                loss: Loss::Logistic,
                epochs: 3,
                batch_size,
                evaluate_every,
                progressive,
                ..Training::default()
            };
            let (parameters, before) = trained(&data, rule, &training);
            let mut reported = Vec::new();
            let found =
                train_blocking(Engine::Cpu, rule, Examples::from(&data), &training, |now| {
                    reported.push(now.progressive);
                    ControlFlow::Continue(())
                });
            let found = found.unwrap();
            assert_eq!(found.model.parameters(), parameters, "{training:?}");
            if progressive {
                let mean = |rows: usize| {
                    before[..rows].iter().map(|&term| f64::from(term)).sum::<f64>() / rows as f64
                };
                let rows = (0..12).map(|power| 1 << power).chain([2100]);
                let expected: Vec<_> = rows.map(mean).collect();
                let means: Vec<_> = found.progressive.iter().map(|point| point.loss).collect();
                assert_eq!(means, expected, "{training:?}");
                reported.dedup();
                assert!(
                    reported[0].is_none() && reported[1..].iter().flatten().eq(&found.progressive)
                );
            }
        }
    }
}
