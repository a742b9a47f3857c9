//! The one place where the queue meets sessions: it takes what waits for an agent to that agent.
//!
//! Theory of operation. Each live session has a round (`round.rs`) of its own. It wakes when something arrives in the
//! agent's queue, and when the session would take something else than before. An idle agent gets a turn with the oldest
//! entries, up to ten; a busy one gets only what is urgent, into its turn. Entries are claimed under a delivery id before
//! they are sent, and acknowledged when the session has seen them arrive. After any doubt (a claim taken over from a dead
//! server, an answer that did not come, a turn that ended too early) the thread's history is asked for that id first.

mod ages;
mod message;
mod round;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::ids::AgentId;
use crate::queue::Queues;
use crate::session::{Handle, Roster};
use round::Round;

/// The courier of one server.
#[derive(Debug)]
pub struct Courier {
    task: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl Courier {
    /// Attends to everybody who is alive in the roster, and who will be. `limit` is for the turns that begin with a delivery.
    pub fn start(roster: Arc<Roster>, queues: Queues, limit: Option<Duration>) -> Courier {
        let (stop, stopped) = watch::channel(false);
        Courier { task: tokio::spawn(attend_to_all(roster, queues, limit, stopped)), stop }
    }

    /// Waits until the rounds of all sessions are over; they end with their sessions.
    pub async fn end(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the courier has failed");
        }
    }
}

async fn attend_to_all(
    roster: Arc<Roster>,
    queues: Queues,
    limit: Option<Duration>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut rounds = JoinSet::new();
    let mut attended: HashMap<AgentId, Handle> = HashMap::new();
    let mut comings = roster.comings();
    loop {
        attended.retain(|_, handle| !handle.is_over());
        for handle in roster.live() {
            if !attended.contains_key(handle.agent()) {
                attended.insert(handle.agent().clone(), handle.clone());
                rounds.spawn(Round::new(handle, queues.clone(), limit).run());
            }
        }
        tokio::select! {
            come = comings.changed() => if come.is_err() { break },
            _ = stopped.wait_for(|stopped| *stopped) => break,
            Some(_) = rounds.join_next() => {}
        }
    }
    while rounds.join_next().await.is_some() {}
}
