//! The settings of mail.

use std::collections::BTreeMap;
use std::time::Duration;

use super::given::{Given, Problem};
use super::listing::Listed;
use super::source::{Source, Sourced};
use crate::ids::AgentName;

/// The keys that are values.
pub(super) const KEYS: [&str; 5] =
    ["auto_mail", "mail_poll_interval_ms", "max_mail_messages", "max_mail_message_length", "inbox_socket"];
/// The table that says for single agents what `auto_mail` says for all.
pub(super) const PER_AGENT: &str = "per_thread_auto_mail";

const POLL_MS: u64 = 5_000;
const MESSAGES: u64 = 10;
const LENGTH: u64 = 4_096;

/// How mail reaches agents.
#[derive(Debug, Clone)]
pub struct MailSettings {
    auto: bool,
    per_agent: BTreeMap<AgentName, bool>,
    /// How long an inbox may go without a look, if the file system tells nothing of it.
    pub poll: Duration,
    /// How many messages are delivered at once, at least one.
    pub messages: usize,
    /// How much of one message is delivered, in characters.
    pub length: usize,
    /// Whether the lead is told of what has ended on the inbox socket of its Claude Code session, if it has one.
    pub inbox_socket: bool,
}

impl MailSettings {
    /// Whether an agent's mail is delivered to it without its asking.
    pub fn is_auto(&self, agent: &AgentName) -> bool {
        self.per_agent.get(agent).copied().unwrap_or(self.auto)
    }
}

/// What one source sets of it.
#[derive(Debug, Default)]
pub(super) struct MailLayer {
    auto: Option<Sourced<bool>>,
    poll_ms: Option<Sourced<u64>>,
    messages: Option<Sourced<u64>>,
    length: Option<Sourced<u64>>,
    inbox_socket: Option<Sourced<bool>>,
    pub(super) per_agent: BTreeMap<AgentName, Sourced<bool>>,
}

impl MailLayer {
    /// Takes the value of one of [`KEYS`]; `false` when `key` is none of them.
    pub(super) fn set(&mut self, key: &str, given: Given<'_>, at: &Source) -> Result<bool, Problem> {
        match key {
            "auto_mail" => self.auto = Some(at.of(given.boolean()?)),
            "mail_poll_interval_ms" => self.poll_ms = Some(at.of(given.number(100..=3_600_000)?)),
            "max_mail_messages" => self.messages = Some(at.of(given.number(1..=100)?)),
            "max_mail_message_length" => self.length = Some(at.of(given.number(100..=100_000)?)),
            "inbox_socket" => self.inbox_socket = Some(at.of(given.boolean()?)),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// This layer, and where it says nothing, the weaker one.
    pub(super) fn over(self, weaker: MailLayer) -> MailLayer {
        let mut per_agent = weaker.per_agent;
        per_agent.extend(self.per_agent);
        MailLayer {
            auto: self.auto.or(weaker.auto),
            poll_ms: self.poll_ms.or(weaker.poll_ms),
            messages: self.messages.or(weaker.messages),
            length: self.length.or(weaker.length),
            inbox_socket: self.inbox_socket.or(weaker.inbox_socket),
            per_agent,
        }
    }

    /// Fills what is unset with the defaults, and lists all of it.
    pub(super) fn settle(self) -> (MailSettings, Vec<Listed>) {
        let auto = self.auto.unwrap_or(Source::Default.of(true));
        let poll = self.poll_ms.unwrap_or(Source::Default.of(POLL_MS));
        let messages = self.messages.unwrap_or(Source::Default.of(MESSAGES));
        let length = self.length.unwrap_or(Source::Default.of(LENGTH));
        let inbox_socket = self.inbox_socket.unwrap_or(Source::Default.of(false));
        let mut listing = vec![
            Listed::set("auto_mail", &auto),
            Listed::set("mail_poll_interval_ms", &poll),
            Listed::set("max_mail_messages", &messages),
            Listed::set("max_mail_message_length", &length),
            Listed::set("inbox_socket", &inbox_socket),
        ];
        let of_one = |(agent, set): (&AgentName, &Sourced<bool>)| Listed::set(&format!("{PER_AGENT}.{agent}"), set);
        listing.extend(self.per_agent.iter().map(of_one));
        let settings = MailSettings {
            auto: auto.value,
            per_agent: self.per_agent.into_iter().map(|(agent, set)| (agent, set.value)).collect(),
            poll: Duration::from_millis(poll.value),
            messages: super::settings::number(messages.value),
            length: super::settings::number(length.value),
            inbox_socket: inbox_socket.value,
        };
        (settings, listing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::testing::Place;

    #[test]
    fn mail_is_delivered_to_all_but_those_of_whom_it_is_said_otherwise() {
        let name = |name: &str| AgentName::parse(name).unwrap();
        let auto = |place: &Place| {
            let mail = place.load(&[]).unwrap().settings.mail;
            ["ana", "ben"].map(|agent| mail.is_auto(&name(agent)))
        };
        let file = |lines: &str| Place::new().file("repo/.atm.toml", &format!("[plugins.atm-agent-mcp]\n{lines}"));
        assert_eq!(auto(&Place::new()), [true, true]);
        assert_eq!(auto(&file("auto_mail = false")), [false, false]);
        let one = file("per_thread_auto_mail = { ana = false }");
        assert_eq!(auto(&one), [false, true]);
        let user = "[plugins.atm-agent-mcp]\nauto_mail = false\nper_thread_auto_mail.ben = true";
        assert_eq!(auto(&one.file("home/.config/atm/config.toml", user)), [false, true]);
    }
}
