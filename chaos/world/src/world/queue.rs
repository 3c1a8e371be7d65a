//! What is going to happen, in the order of true time.
//!
//! Intuition: a diary whose next line is always the earliest one. Two lines for one instant are read in the order
//! in which they were written, so a run has one order and no other.
//! Invariant: what is taken out never lies before what was taken out earlier.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A heap of (time, sequence) over a slab of events; the events themselves never move.
#[derive(Debug)]
pub struct Queue<E> {
    heap: BinaryHeap<Reverse<(u64, u64, u32)>>,
    slab: Vec<Option<E>>,
    free: Vec<u32>,
    sequence: u64,
    now_ns: u64,
}

impl<E> Queue<E> {
    pub fn new() -> Queue<E> {
        Queue { heap: BinaryHeap::new(), slab: Vec::new(), free: Vec::new(), sequence: 0, now_ns: 0 }
    }

    /// An event in the past happens now.
    pub fn push(&mut self, at_ns: u64, event: E) {
        let place = match self.free.pop() {
            Some(place) => {
                self.slab[place as usize] = Some(event);
                place
            }
            None => {
                self.slab.push(Some(event));
                u32::try_from(self.slab.len() - 1).expect("fewer than four billion events wait at once")
            }
        };
        self.sequence += 1;
        self.heap.push(Reverse((at_ns.max(self.now_ns), self.sequence, place)));
    }

    pub fn pop(&mut self) -> Option<(u64, E)> {
        let Reverse((at_ns, _, place)) = self.heap.pop()?;
        assert!(at_ns >= self.now_ns, "time does not go back");
        self.now_ns = at_ns;
        self.free.push(place);
        Some((at_ns, self.slab[place as usize].take().expect("a queued event is in its place")))
    }

    pub fn len(&self) -> usize {
        self.heap.len()
    }

    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

impl<E> Default for Queue<E> {
    fn default() -> Queue<E> {
        Queue::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn comes_out_by_time_and_then_by_order_of_entry(times in prop::collection::vec(0_u64..20, 0..200)) {
            let mut queue = Queue::new();
            for (i, at) in times.iter().enumerate() {
                queue.push(*at, i);
            }
            let mut expected: Vec<_> = times.iter().copied().zip(0..times.len()).collect();
            expected.sort();
            let got: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
            prop_assert_eq!(got, expected);
        }
    }

    #[test]
    fn an_event_in_the_past_happens_now() {
        let mut queue = Queue::new();
        queue.push(10, 'a');
        assert_eq!(queue.pop(), Some((10, 'a')));
        queue.push(3, 'b');
        assert_eq!(queue.pop(), Some((10, 'b')));
    }
}
