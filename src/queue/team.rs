//! The queues of a team's agents, and word of what leaves them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::watch;

use super::{Arrivals, Limits, Queue, QueueError};
use crate::home::TeamDir;
use crate::ids::AgentId;
use crate::watch::Watcher;

/// The queues of one team; clones share them.
#[derive(Debug, Clone)]
pub struct Queues {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    dir: TeamDir,
    limits: Limits,
    known: Mutex<HashMap<AgentId, Queue>>,
    /// Made at the first need: it takes a thread.
    watcher: OnceLock<Arc<Watcher>>,
    settled: watch::Sender<()>,
}

impl Queues {
    /// The queues in the team's directory.
    pub fn new(dir: TeamDir, limits: Limits) -> Queues {
        let (known, watcher, settled) = (Mutex::default(), OnceLock::new(), watch::Sender::default());
        Queues { shared: Arc::new(Shared { dir, limits, known, watcher, settled }) }
    }

    /// The queue of one agent.
    pub fn of(&self, agent: &AgentId) -> Queue {
        let mut known = self.shared.known.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = || Queue::at(self.shared.dir.queue(agent), self.shared.limits);
        known.entry(agent.clone()).or_insert_with(queue).clone()
    }

    /// Watches the queue of one agent.
    pub fn watch(&self, agent: &AgentId) -> Result<Arrivals, QueueError> {
        Arrivals::of(&self.of(agent), self.shared.watcher.get_or_init(|| Arc::new(Watcher::new())))
    }

    /// An entry of one of them was delivered or buried by this process.
    pub fn settled(&self) {
        self.shared.settled.send_replace(());
    }

    /// Hears of it.
    pub fn settlements(&self) -> watch::Receiver<()> {
        self.shared.settled.subscribe()
    }
}
