//! Prefetching for steps over sparse rows. It copies the rows of the next batches, which a shuffled
//! order scatters over memory, and finds the features that occur in each batch. This depends only
//! on the data, so one thread can prefetch while another steps.

use std::hint::black_box;
use std::ops::Range;

use crate::data::SparseDataset;

/// The number of entries that are prefetched at once, or one batch if it has more: few enough to
/// stay in a core's cache, and enough work to be worth a thread.
pub(super) const PREFETCHED_ENTRIES: usize = 1 << 15;
/// The number of rows whose cache lines are requested together, before they are copied.
const ROWS_AHEAD: usize = 16;

/// Copies of rows in the order of an epoch, batch by batch.
#[derive(Debug, Default)]
pub(super) struct PrefetchedBatches {
    /// The positions in the epoch's order that are prefetched.
    pub(super) rows: Range<usize>,
    /// The number of rows in a batch; the last one may have fewer.
    batch_size: usize,
    /// Where each row's entries end.
    ends: Vec<usize>,
    values: Vec<f32>,
    /// For each entry, the index of its column among the batch's columns.
    slots: Vec<u32>,
    targets: Vec<f32>,
    /// Where each batch's columns end.
    column_ends: Vec<usize>,
    /// The columns that occur in each batch, in the order of their first occurrence.
    columns: Vec<u32>,
    finder: Finder,
}

/// One row of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Row<'a> {
    pub(super) values: &'a [f32],
    /// For each value, the index of its column among the batch's columns.
    pub(super) slots: &'a [u32],
    pub(super) target: f32,
}

impl PrefetchedBatches {
    /// Copies the batches from position `first` of `order` on, at least one.
    pub(super) fn fill(
        &mut self,
        data: &SparseDataset,
        order: &[u32],
        first: usize,
        batch_size: usize,
    ) {
        self.ends.clear();
        self.values.clear();
        self.slots.clear();
        self.targets.clear();
        self.column_ends.clear();
        self.columns.clear();
        self.rows = first..first;
        self.batch_size = batch_size;
        let mut ahead = order[first..].chunks(ROWS_AHEAD).skip(1);
        for batch in order[first..].chunks(batch_size) {
            let begin = self.slots.len();
            for &row in batch {
                if self.ends.len().is_multiple_of(ROWS_AHEAD) {
                    touch(data, ahead.next().unwrap_or_default());
                }
                let (entries, values) = data.row(row as usize);
                self.slots.extend_from_slice(entries);
                self.values.extend_from_slice(values);
                self.targets.push(data.target()[row as usize]);
                self.ends.push(self.values.len());
            }
            self.finder.find(&mut self.slots[begin..], &mut self.columns);
            self.column_ends.push(self.columns.len());
            self.rows.end += batch.len();
            if self.values.len() >= PREFETCHED_ENTRIES {
                break;
            }
        }
    }

    /// The columns of the batch that begins at position `first`.
    pub(super) fn columns(&self, first: usize) -> &[u32] {
        let batch = (first - self.rows.start) / self.batch_size;
        let start = if batch == 0 { 0 } else { self.column_ends[batch - 1] };
        &self.columns[start..self.column_ends[batch]]
    }

    /// The row at a position.
    #[inline(always)]
    pub(super) fn row(&self, position: usize) -> Row<'_> {
        let index = position - self.rows.start;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        let entries = start..self.ends[index];
        Row {
            values: &self.values[entries.clone()],
            slots: &self.slots[entries],
            target: self.targets[index],
        }
    }
}

/// Reads a word of every cache line of these rows, and discards it. The lines arrive while other
/// rows are copied, many at a time, because no read here waits for another.
fn touch(data: &SparseDataset, rows: &[u32]) {
    const LINE: usize = 64 / size_of::<f32>();
    let mut mixed = 0;
    for &row in rows {
        let (entries, values) = data.row(row as usize);
        mixed ^= entries.iter().step_by(LINE).fold(0, |mixed, &entry| mixed ^ entry);
        mixed ^= values.iter().step_by(LINE).fold(0, |mixed, &value| mixed ^ value.to_bits());
        mixed ^= data.target()[row as usize].to_bits();
    }
    black_box(mixed);
}

/// Finds the distinct columns of a batch with a hash table of the batch's size, so that no memory
/// of the size of all columns is read.
#[derive(Debug, Default)]
struct Finder {
    /// A column in the upper half and its index plus 1 in the lower half; 0 in an empty place.
    table: Vec<u64>,
}

impl Finder {
    /// Appends the distinct columns of `entries` to `columns`, in the order of their first
    /// occurrence. Replaces each entry by the index of its column among those appended.
    fn find(&mut self, entries: &mut [u32], columns: &mut Vec<u32>) {
        // At most half full, so that few probes find a place.
        let bits = (2 * entries.len()).next_power_of_two().trailing_zeros().max(1);
        self.table.clear();
        self.table.resize(1 << bits, 0);
        let first = columns.len();
        let mask = self.table.len() - 1;
        for entry in entries {
            let column = *entry;
            // Fibonacci hashing: the upper bits of the product depend on all bits of the column.
            let hash = u64::from(column).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mut place = (hash >> (64 - bits)) as usize;
            *entry = loop {
                let found = self.table[place];
                if found == 0 {
                    columns.push(column);
                    let slot = (columns.len() - first) as u64;
                    self.table[place] = u64::from(column) << 32 | slot;
                    break slot as u32 - 1;
                }
                if (found >> 32) as u32 == column {
                    break found as u32 - 1;
                }
                place = (place + 1) & mask;
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array1;

    fn data() -> SparseDataset {
        let rows: [&[u32]; 5] = [&[0, 3], &[], &[1, 3, 9], &[3], &[0, 9]];
        let mut starts = vec![0];
        starts.extend(rows.iter().scan(0, |end, row| {
            *end += row.len();
            Some(*end)
        }));
        let entries = rows.concat();
        let values = (1..=entries.len()).map(|value| value as f32).collect();
        let target = Array1::from_iter((0..5).map(|row| row as f32));
        SparseDataset::new(10, starts, entries, values, target).unwrap()
    }

    #[test]
    fn batches_have_columns_of_their_own() {
        let mut prefetched = PrefetchedBatches::default();
        prefetched.fill(&data(), &[2, 4, 1, 0, 3], 0, 2);
        assert_eq!(prefetched.rows, 0..5);
        // Rows 2 and 4, then 1 and 0, then 3.
        assert_eq!(prefetched.columns(0), [1, 3, 9, 0]);
        assert_eq!(prefetched.columns(2), [0, 3]);
        assert_eq!(prefetched.columns(4), [3]);
        let row = |values, slots, target| Row { values, slots, target };
        assert_eq!(prefetched.row(0), row(&[3.0, 4.0, 5.0], &[0, 1, 2], 2.0));
        assert_eq!(prefetched.row(1), row(&[7.0, 8.0], &[3, 2], 4.0));
        assert_eq!(prefetched.row(2), row(&[], &[], 1.0));
        assert_eq!(prefetched.row(4), row(&[6.0], &[0], 3.0));
        prefetched.fill(&data(), &[2, 4, 1, 0, 3], 2, 2);
        assert_eq!(prefetched.rows, 2..5);
        assert_eq!(prefetched.row(3), row(&[1.0, 2.0], &[0, 1], 0.0));
    }

    /// Columns whose hashes fill the table's last places, so that probing continues at its start.
    #[test]
    fn colliding_columns_are_distinguished() {
        let columns: Vec<u32> = (0..4096).map(|k| k * 1_048_573).collect();
        let mut entries: Vec<u32> = columns.iter().chain(columns.iter().rev()).copied().collect();
        let mut found = vec![7];
        Finder::default().find(&mut entries, &mut found);
        assert_eq!(found[1..], columns);
        let slots: Vec<u32> = (0..4096).chain((0..4096).rev()).collect();
        assert_eq!(entries, slots);
    }

    #[test]
    fn prefetching_ends_with_a_whole_batch() {
        let rows = PREFETCHED_ENTRIES; // of two entries each
        let starts = (0..=rows).map(|row| 2 * row).collect();
        let entries = [0, 1].repeat(rows);
        let values = vec![1.0; 2 * rows];
        let data = SparseDataset::new(2, starts, entries, values, Array1::zeros(rows)).unwrap();
        let order: Vec<u32> = (0..rows as u32).collect();
        let mut prefetched = PrefetchedBatches::default();
        prefetched.fill(&data, &order, 0, 1000);
        assert_eq!(prefetched.rows, 0..17_000); // 16,384 rows would be enough
        prefetched.fill(&data, &order, 17_000, rows);
        assert_eq!(prefetched.rows, 17_000..rows);
    }
}
