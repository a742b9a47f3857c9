//! Which calls are in flight: rules only.
//!
//! Codex answers some requests never when it is flooded (of 1,000 at once 340 were silent, seen with 0.169.0), so at
//! most [`IN_FLIGHT`] are sent before one ends; the others wait here in the order in which they came.

use std::collections::{HashMap, VecDeque};

/// How many calls are on the wire at once.
pub const IN_FLIGHT: usize = 32;

/// Calls on the wire, and calls that wait to go there. `M` is a text to send, `T` who waits for its answer.
#[derive(Debug)]
pub struct Pending<M, T> {
    in_flight: HashMap<u64, T>,
    backlog: VecDeque<(u64, M, T)>,
}

impl<M, T> Default for Pending<M, T> {
    fn default() -> Self {
        Pending { in_flight: HashMap::new(), backlog: VecDeque::new() }
    }
}

impl<M, T> Pending<M, T> {
    /// Takes a call; what comes back is to be sent now.
    pub fn offer(&mut self, id: u64, message: M, waiter: T) -> Option<M> {
        if self.in_flight.len() < IN_FLIGHT {
            self.in_flight.insert(id, waiter);
            return Some(message);
        }
        self.backlog.push_back((id, message, waiter));
        None
    }

    /// A call has ended, by its answer or because nobody waits for it any more: who waited, and what is sent next.
    pub fn settle(&mut self, id: u64) -> (Option<T>, Option<M>) {
        if let Some(waiter) = self.in_flight.remove(&id) {
            let next = self.backlog.pop_front().map(|(id, message, waiter)| {
                self.in_flight.insert(id, waiter);
                message
            });
            return (Some(waiter), next);
        }
        let waiting = self.backlog.iter().position(|(waiting, ..)| *waiting == id);
        (waiting.and_then(|at| self.backlog.remove(at)).map(|(_, _, waiter)| waiter), None)
    }

    /// The other side is gone: everybody who waits.
    pub fn fail_all(&mut self) -> Vec<T> {
        let backlog = self.backlog.drain(..).map(|(_, _, waiter)| waiter);
        self.in_flight.drain().map(|(_, waiter)| waiter).chain(backlog).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_call_ends_once_and_never_more_than_the_limit_are_on_the_wire(
            ends in proptest::collection::vec(0u64..120, 0..200),
        ) {
            let mut pending = Pending::default();
            let mut sent: Vec<u64> = (0..100).filter_map(|id| pending.offer(id, id, id)).collect();
            let mut ended = Vec::new();
            for id in ends {
                let (waiter, next) = pending.settle(id);
                ended.extend(waiter);
                sent.extend(next);
                prop_assert!(pending.in_flight.len() <= IN_FLIGHT);
            }
            let mut in_order = sent.clone();
            in_order.sort_unstable();
            prop_assert_eq!(sent, in_order, "calls go out in the order in which they came");
            ended.extend(pending.fail_all());
            ended.sort_unstable();
            prop_assert_eq!(ended, (0..100).collect::<Vec<_>>());
        }
    }
}
