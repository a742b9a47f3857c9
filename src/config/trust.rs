//! The settings of what is asked, and of what takes too long.

use std::time::Duration;

use super::given::{Given, Problem};
use super::listing::Listed;
use super::settings::unless_zero;
use super::source::{Source, Sourced};

/// The keys.
pub(super) const KEYS: [&str; 5] =
    ["approval_timeout_secs", "approvals_to_lead", "stall_secs", "shutdown_grace_secs", "events"];

const APPROVAL_SECS: u64 = 300;
const STALL_SECS: u64 = 600;
const GRACE_SECS: u64 = 5;
/// The end of the server takes less than ten seconds, whatever hangs.
const GRACE_MAX_SECS: u64 = 7;
/// The longest time, in seconds: a year.
const MAX_SECS: u64 = 31_536_000;

/// Whom to ask, and how long to wait.
#[derive(Debug, Clone)]
pub struct TrustSettings {
    /// How long what Codex asks waits for a decision before it is declined; `None` is for ever.
    pub approval_timeout: Option<Duration>,
    /// Whether the lead is asked by mail too, in Claude Code's form.
    pub approvals_to_lead: bool,
    /// After how long without an event an agent that works is shown as stalled; `None` is never.
    pub stall: Option<Duration>,
    /// How long running turns have to end when the server does.
    pub shutdown_grace: Duration,
    /// What the client hears of a turn while it runs.
    pub events: Events,
}

/// What the client hears of a turn while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Events {
    /// Nothing.
    Off,
    /// What the agent does, in short lines, as `notifications/progress`.
    Summary,
    /// That, and `codex/event` in the form of the lost `codex mcp-server`.
    All,
}

impl Events {
    const ALL: [(&str, Events); 3] = [("off", Events::Off), ("summary", Events::Summary), ("all", Events::All)];

    fn parse(word: &str) -> Result<Events, String> {
        let known = Events::ALL.into_iter().find(|(name, _)| *name == word);
        known.map(|(_, events)| events).ok_or_else(|| format!("expected off, summary or all, found {word:?}"))
    }

    fn word(self) -> &'static str {
        Events::ALL.into_iter().find(|(_, events)| *events == self).map_or("", |(name, _)| name)
    }
}

impl std::fmt::Display for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// What one source sets of it.
#[derive(Debug, Default)]
pub(super) struct TrustLayer {
    approval_secs: Option<Sourced<u64>>,
    to_lead: Option<Sourced<bool>>,
    stall_secs: Option<Sourced<u64>>,
    grace_secs: Option<Sourced<u64>>,
    events: Option<Sourced<Events>>,
}

impl TrustLayer {
    /// Takes the value of one of [`KEYS`]; `false` when `key` is none of them.
    pub(super) fn set(&mut self, key: &str, given: Given<'_>, at: &Source) -> Result<bool, Problem> {
        match key {
            "approval_timeout_secs" => self.approval_secs = Some(at.of(given.number(0..=MAX_SECS)?)),
            "approvals_to_lead" => self.to_lead = Some(at.of(given.boolean()?)),
            "stall_secs" => self.stall_secs = Some(at.of(given.number(0..=MAX_SECS)?)),
            "shutdown_grace_secs" => self.grace_secs = Some(at.of(given.number(0..=GRACE_MAX_SECS)?)),
            "events" => self.events = Some(at.of(given.parsed(Events::parse)?)),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// This layer, and where it says nothing, the weaker one.
    pub(super) fn over(self, weaker: TrustLayer) -> TrustLayer {
        TrustLayer {
            approval_secs: self.approval_secs.or(weaker.approval_secs),
            to_lead: self.to_lead.or(weaker.to_lead),
            stall_secs: self.stall_secs.or(weaker.stall_secs),
            grace_secs: self.grace_secs.or(weaker.grace_secs),
            events: self.events.or(weaker.events),
        }
    }

    /// Fills what is unset with the defaults, and lists all of it.
    pub(super) fn settle(self) -> (TrustSettings, Vec<Listed>) {
        let approval = self.approval_secs.unwrap_or(Source::Default.of(APPROVAL_SECS));
        let to_lead = self.to_lead.unwrap_or(Source::Default.of(false));
        let stall = self.stall_secs.unwrap_or(Source::Default.of(STALL_SECS));
        let grace = self.grace_secs.unwrap_or(Source::Default.of(GRACE_SECS));
        let events = self.events.unwrap_or(Source::Default.of(Events::Summary));
        let listing = vec![
            Listed::set("approval_timeout_secs", &approval),
            Listed::set("approvals_to_lead", &to_lead),
            Listed::set("stall_secs", &stall),
            Listed::set("shutdown_grace_secs", &grace),
            Listed::set("events", &events),
        ];
        let settings = TrustSettings {
            approval_timeout: unless_zero(approval.value),
            approvals_to_lead: to_lead.value,
            stall: unless_zero(stall.value),
            shutdown_grace: Duration::from_secs(grace.value),
            events: events.value,
        };
        (settings, listing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::Place;

    fn trust(lines: &str) -> TrustSettings {
        let file = format!("[plugins.atm-agent-mcp]\n{lines}");
        Place::new().file("repo/.atm.toml", &file).load(&[]).unwrap().settings.trust
    }

    #[test]
    fn nobody_waits_for_ever_unless_it_is_said() {
        let trust_of = |lines| {
            let trust = trust(lines);
            (trust.approval_timeout.map(|time| time.as_secs()), trust.stall.map(|time| time.as_secs()))
        };
        assert_eq!(trust_of(""), (Some(300), Some(600)));
        assert_eq!(trust_of("approval_timeout_secs = 0\nstall_secs = 0"), (None, None));
        let all = trust("approvals_to_lead = true\nshutdown_grace_secs = 1\nevents = 'all'");
        assert_eq!((all.approvals_to_lead, all.shutdown_grace.as_secs(), all.events), (true, 1, Events::All));
        assert_eq!(trust("").events, Events::Summary);
    }
}
