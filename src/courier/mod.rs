//! The one place where queue and mail meet sessions: it takes what waits for an agent to that agent.
//!
//! Theory of operation. Each live session has a round (`round.rs`) of its own. It wakes when something arrives in the
//! agent's queue, and when the session would take something else than before. An idle agent gets a turn with the oldest
//! entries, up to ten; a busy one gets only what is urgent, into its turn. Entries are claimed under a delivery id before
//! they are sent, and acknowledged when the session has seen them arrive. After any doubt (a claim taken over from a dead
//! server, an answer that did not come, a turn that ended too early) the thread's history is asked for that id first.
//!
//! Mail is brought in the same way, by a round for each team that the agent is in (`inbox.rs`), which also sees to its place
//! there: what is on its way is kept in a file (`mail/under_way.rs`) instead of a claim, for an inbox is shared with programs that
//! know no claims, and marked read instead of acknowledged. What an agent has read itself, and nobody came to mark, is settled in
//! the same place (`own_reading.rs`). One round at a time goes to the session (`door.rs`). The lead
//! hears of turns that have ended in the background (`notices.rs`), by mail or on the socket of its session
//! (`inbox_socket.rs`).

mod ages;
mod desk;
mod door;
mod history;
mod inbox;
mod inbox_socket;
mod letters;
mod membership;
mod message;
mod notices;
mod own_reading;
mod pace;
mod permission;
mod replying;
mod round;
mod shutdown;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::ids::AgentId;
use crate::mail::Ours;
use crate::queue::Queues;
use crate::session::identity::Lock;
use crate::session::{Handle, Roster};
pub use desk::{Desk, MailRules};
use door::Door;
use inbox::InboxRound;
pub use inbox_socket::InboxSocket;
use round::Round;

/// The courier of one server.
#[derive(Debug)]
pub struct Courier {
    task: JoinHandle<()>,
    stop: watch::Sender<bool>,
}

impl Courier {
    /// Attends to everybody who is alive in the roster, and who will be. `limit` is for the turns that begin with a delivery;
    /// without a desk there is no mail.
    pub fn start(roster: Arc<Roster>, queues: Queues, desk: Option<Desk>, limit: Option<Duration>) -> Courier {
        let (stop, stopped) = watch::channel(false);
        let desk = desk.map(|desk| desk.with_limit(limit));
        let rounds = Rounds { roster, queues, desk, limit, tasks: JoinSet::new() };
        Courier { task: tokio::spawn(rounds.attend_to_all(stopped)), stop }
    }

    /// Waits until the rounds of all sessions are over; they end with their sessions.
    pub async fn end(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the courier has failed");
        }
    }
}

/// Whatever is needed to attend to somebody, and those who are attended to.
struct Rounds {
    roster: Arc<Roster>,
    queues: Queues,
    desk: Option<Desk>,
    limit: Option<Duration>,
    tasks: JoinSet<()>,
}

impl Rounds {
    async fn attend_to_all(mut self, mut stopped: watch::Receiver<bool>) {
        // Beside everything else: a lock that hangs is not to hold up the queues.
        let clearing = self.desk.clone().map(|desk| self.tasks.spawn(clear_up(self.roster.clone(), desk)));
        let mut attended: HashMap<AgentId, Handle> = HashMap::new();
        let mut comings = self.roster.comings();
        loop {
            attended.retain(|_, handle| !handle.is_over());
            for handle in self.roster.live() {
                if !attended.contains_key(handle.agent()) {
                    attended.insert(handle.agent().clone(), handle.clone());
                    self.attend(&handle);
                }
            }
            tokio::select! {
                come = comings.changed() => if come.is_err() { break },
                _ = stopped.wait_for(|stopped| *stopped) => break,
                Some(_) = self.tasks.join_next() => {}
            }
        }
        if let Some(clearing) = clearing {
            clearing.abort();
        }
        while self.tasks.join_next().await.is_some() {}
    }

    fn attend(&mut self, handle: &Handle) {
        let door: Arc<Door> = Arc::default();
        let journal = self.desk.as_ref().map(|desk| desk.journal.clone());
        self.tasks.spawn(Round::new(handle.clone(), door.clone(), self.queues.clone(), journal, self.limit).run());
        let Some(desk) = &self.desk else { return };
        for post in desk.teams.all() {
            let (handle, roster) = (handle.clone(), self.roster.clone());
            self.tasks.spawn(InboxRound::new(handle, roster, desk.clone(), post.clone(), door.clone()).run());
        }
        self.tasks.spawn(notices::tell_the_lead(handle.clone(), desk.clone()));
        if desk.asks_lead {
            self.tasks.spawn(permission::ask_the_lead(handle.clone(), desk.clone()));
        }
    }
}

/// Ends what servers of ours left undone that were killed.
async fn clear_up(roster: Arc<Roster>, desk: Desk) {
    let leaving = desk.clone();
    tokio::task::spawn_blocking(move || take_out_the_dead(&leaving)).await.ok();
    shutdown::of_those_away(&roster, &desk).await;
}

/// Takes those out of the teams who are not alive.
fn take_out_the_dead(desk: &Desk) {
    desk.teams.make_named();
    for post in desk.teams.all() {
        let is_alive = |ours: &Ours| Lock::is_held(&desk.dir.agent_lock(&ours.agent_id));
        match post.remove_ours(&|_, ours| ours.team != *desk.teams.ours() || is_alive(ours)) {
            Ok(gone) if !gone.is_empty() => tracing::info!(team = %post.team(), ?gone, "members that are gone"),
            Ok(_) => {}
            Err(error) => tracing::warn!(team = %post.team(), %error, "members that are gone stay in the team"),
        }
    }
}
