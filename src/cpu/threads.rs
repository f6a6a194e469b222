//! Work divided among threads.

use std::collections::VecDeque;

/// The elements per thread from which waking another thread pays. 64 Ki elements are 1.25 MiB of
/// traffic, some tens of microseconds; waking a thread takes a few.
const ELEMENTS_PER_THREAD: usize = 1 << 16;

/// Work that can be divided.
pub(super) trait Divisible: Send + Sized {
    /// The estimated cost, in elements of a dense step.
    fn cost(&self) -> usize;

    /// Splits off a part of about this cost, which is at most that of the whole.
    fn split_at(self, cost: usize) -> (Self, Self);
}

/// The number of threads for work of this cost.
pub(super) fn threads(cost: usize) -> usize {
    let tasks = cost / ELEMENTS_PER_THREAD;
    // rayon starts its pool when asked for the number of threads, so small work does not ask.
    if tasks > 1 { tasks.min(rayon::current_num_threads()) } else { 1 }
}

/// Runs work in `parts` parts of about equal cost, and joins the results of neighbouring parts.
pub(super) fn run_parts<T: Divisible, O: Send>(
    work: T,
    parts: usize,
    run: &(impl Fn(T) -> O + Sync),
    join: &(impl Fn(O, O) -> O + Sync),
) -> O {
    if parts <= 1 {
        return run(work);
    }
    let left_parts = parts / 2;
    let middle = work.cost() / parts * left_parts;
    let (left, right) = work.split_at(middle);
    let (left, right) = fork(
        || run_parts(left, left_parts, run, join),
        || run_parts(right, parts - left_parts, run, join),
    );
    join(left, right)
}

/// Runs both functions, at the same time if a thread is free. `rayon::join` would leave a thread that
/// is not rayon's own idle, and wake it at the end, which takes as long as a step over 100,000
/// elements. This runs `left` on the thread that calls.
pub(super) fn fork<A: Send, B: Send>(
    left: impl FnOnce() -> A + Send,
    right: impl FnOnce() -> B + Send,
) -> (A, B) {
    if rayon::current_thread_index().is_some() {
        return rayon::join(left, right);
    }
    let mut of_right = None;
    let of_left = rayon::in_place_scope(|scope| {
        scope.spawn(|_| of_right = Some(right()));
        left()
    });
    let Some(of_right) = of_right else { unreachable!("a scope ends after what it has spawned") };
    (of_left, of_right)
}

/// Splits a list in order. An item that crosses the border is split itself.
impl<T: Divisible> Divisible for VecDeque<T> {
    fn cost(&self) -> usize {
        self.iter().map(T::cost).sum()
    }

    fn split_at(mut self, cost: usize) -> (Self, Self) {
        let (mut left, mut open) = (Self::with_capacity(self.len()), cost);
        while let Some(work) = self.pop_front() {
            let whole = work.cost();
            if whole > open {
                let (part, rest) = work.split_at(open);
                left.push_back(part);
                self.push_front(rest);
                break;
            }
            open -= whole;
            left.push_back(work);
        }
        (left, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Consecutive numbers, each of cost 1.
    impl Divisible for std::ops::Range<usize> {
        fn cost(&self) -> usize {
            self.len()
        }

        fn split_at(self, cost: usize) -> (Self, Self) {
            (self.start..self.start + cost, self.start + cost..self.end)
        }
    }

    /// 2, 3 and 5 numbers, whose third starts at 5.
    #[test]
    #[allow(clippy::single_range_in_vec_init, reason = "a list of one range is meant")]
    fn a_list_is_split_at_its_cost() {
        let list = VecDeque::from([0..2, 2..5, 5..10]);
        assert_eq!(list.cost(), 10);
        let cases = [
            (0, vec![0..0], vec![0..2, 2..5, 5..10]),
            (1, vec![0..1], vec![1..2, 2..5, 5..10]),
            (4, vec![0..2, 2..4], vec![4..5, 5..10]),
            (10, vec![0..2, 2..5, 5..10], vec![]),
        ];
        for (cost, left, right) in cases {
            assert_eq!(list.clone().split_at(cost), (left.into(), right.into()), "{cost}");
        }
    }

    /// Every number is in one part, and the parts are joined in order.
    #[test]
    fn parts_are_joined_in_order() {
        for parts in 1..8 {
            let list = VecDeque::from([0..1, 1..50, 50..57, 57..100]);
            let run =
                |list: VecDeque<std::ops::Range<usize>>| Vec::from_iter(list.into_iter().flatten());
            let join = |left: Vec<usize>, right| [left, right].concat();
            assert_eq!(run_parts(list, parts, &run, &join), Vec::from_iter(0..100), "{parts}");
        }
    }
}
