//! A latch between a script and its test: the reply waits at it, the test opens it by hand.

use std::sync::Arc;

use tokio::sync::watch;

/// A latch that a [`Reply::Held`](super::Reply::Held) waits at; once opened it stays open, and clones are the same latch.
#[derive(Debug, Clone, Default)]
pub struct Gate {
    state: Arc<watch::Sender<State>>,
}

#[derive(Debug, Default)]
struct State {
    reached: bool,
    open: bool,
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Gate {
        Gate::default()
    }

    /// Lets through all who wait and all who come later.
    pub fn open(&self) {
        self.state.send_modify(|state| state.open = true);
    }

    /// Waits until a reply is at the gate, or has gone through: its `response.created` has been streamed by then.
    pub async fn reached(&self) {
        self.until(|state| state.reached).await;
    }

    pub(super) async fn pass(&self) {
        self.state.send_modify(|state| state.reached = true);
        self.until(|state| state.open).await;
    }

    /// Waits until nobody is at the gate.
    #[cfg(test)]
    pub(super) async fn left(&self) {
        self.state.closed().await;
    }

    async fn until(&self, holds: impl FnMut(&State) -> bool) {
        // It fails only when no sender is left, and `self` holds one.
        let _ = self.state.subscribe().wait_for(holds).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_gate_tells_who_reached_it_and_holds_them_until_it_opens() {
        let gate = Gate::new();
        let passing = tokio::spawn({
            let gate = gate.clone();
            async move { gate.pass().await }
        });
        gate.reached().await;
        assert!(!passing.is_finished());
        gate.open();
        passing.await.unwrap();
    }

    #[tokio::test]
    async fn an_open_gate_stays_open() {
        let gate = Gate::new();
        gate.open();
        gate.pass().await;
        gate.pass().await;
        gate.reached().await;
    }
}
