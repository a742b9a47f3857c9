//! What the courier needs of the team's mail.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::inbox_socket::InboxSocket;
use super::letters::Bounds;
use crate::home::TeamDir;
use crate::ids::AgentName;
use crate::journal::Journal;
use crate::mail::{Ledger, Post, Teams};
use crate::watch::Watcher;

/// How mail is brought.
#[derive(Clone)]
pub struct MailRules {
    /// Whether an agent's mail is delivered to it without its asking.
    pub is_auto: Arc<dyn Fn(&AgentName) -> bool + Send + Sync>,
    /// How long an inbox may go without a look, if the file system tells nothing of it.
    pub poll: Duration,
    /// How many messages are delivered at once, at least one.
    pub messages: usize,
    /// How much of one message is delivered, in characters.
    pub length: usize,
    /// Whether the lead is asked by mail what agents ask.
    pub asks_lead: bool,
}

/// The team's mail, for the courier; clones share it.
#[derive(Clone)]
pub struct Desk {
    pub(super) teams: Teams,
    pub(super) dir: TeamDir,
    pub(super) lead: AgentName,
    pub(super) journal: Journal,
    pub(super) ledger: Ledger,
    pub(super) watcher: Arc<Watcher>,
    pub(super) poll: Duration,
    pub(super) bounds: Bounds,
    pub(super) limit: Option<Duration>,
    pub(super) socket: Option<InboxSocket>,
    pub(super) asks_lead: bool,
    is_auto: Arc<dyn Fn(&AgentName) -> bool + Send + Sync>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("teams", &self.teams).finish_non_exhaustive()
    }
}

impl Desk {
    /// The mail of these teams; records and what else is kept is in `dir`.
    pub fn new(teams: Teams, dir: TeamDir, lead: AgentName, journal: Journal, rules: MailRules) -> Desk {
        let MailRules { is_auto, poll, messages, length, asks_lead } = rules;
        let ledger = Ledger::of(&dir);
        let (watcher, bounds) = (Arc::new(Watcher::new()), Bounds { messages, length });
        Desk { teams, dir, lead, journal, ledger, watcher, poll, bounds, limit: None, socket: None, asks_lead, is_auto }
    }

    /// With a socket on which the lead is told of what has ended, instead of by mail.
    pub fn with_socket(self, socket: Option<InboxSocket>) -> Desk {
        Desk { socket, ..self }
    }

    pub(super) fn with_limit(self, limit: Option<Duration>) -> Desk {
        Desk { limit, ..self }
    }

    pub(super) fn is_auto(&self, agent: &AgentName) -> bool {
        (self.is_auto)(agent)
    }

    /// What the lead is called in a team: Claude Code's own name in that of its session, ours in our own.
    pub(super) fn lead_in(&self, post: &Arc<dyn Post>) -> String {
        if post.team().is_of_session() { "team-lead".to_owned() } else { self.lead.to_string() }
    }
}
