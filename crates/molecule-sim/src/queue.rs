//! The event queue: planned events by time; those of the same time in the order of planning.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use molecule_proto::Time;

/// Planned events by time.
#[derive(Debug)]
pub(crate) struct EventQueue<T> {
    order: BinaryHeap<Reverse<(Time, u64)>>,
    plans: BTreeMap<u64, T>,
    planned: u64,
}

impl<T> EventQueue<T> {
    pub(crate) fn new() -> Self {
        Self { order: BinaryHeap::new(), plans: BTreeMap::new(), planned: 0 }
    }

    pub(crate) fn plan(&mut self, at: Time, what: T) {
        self.planned += 1;
        self.order.push(Reverse((at, self.planned)));
        self.plans.insert(self.planned, what);
    }

    /// Takes the next event, if its time has come by `by`.
    pub(crate) fn next(&mut self, by: Time) -> Option<(Time, T)> {
        if self.order.peek().is_none_or(|Reverse((at, _))| *at > by) {
            return None;
        }
        let Reverse((at, number)) = self.order.pop()?;
        self.plans.remove(&number).map(|what| (at, what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_comes_first_and_then_the_order_of_planning() {
        let mut queue = EventQueue::new();
        let at = Time::from_nanos;
        for (moment, what) in [(5, 'c'), (1, 'a'), (5, 'd'), (2, 'b'), (9, 'e')] {
            queue.plan(at(moment), what);
        }
        let order: String = std::iter::from_fn(|| queue.next(at(5))).map(|(_, what)| what).collect();
        assert_eq!(order, "abcd");
    }
}
