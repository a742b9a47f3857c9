//! What is to be done with the unread mail of an agent. Rules only.

use crate::ids::MessageId;
use crate::mail::envelope::{AROUND_MAX, Letter};
use crate::mail::frame::{self, Frame};
use crate::mail::{Message, Urgency};

/// The longest message to an agent, in characters. Codex refuses more (0.144.6 and 0.169.0: 1,048,576).
const ALL_MAX: usize = 1024 * 1024;

/// The agents' tool that reads mail.
const TOOL: &str = "atm.read";

/// How much is delivered at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// How many messages, at least one.
    pub(super) messages: usize,
    /// How much of one, in characters.
    pub(super) length: usize,
}

/// Which mail is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// What an idle agent gets: the oldest.
    All,
    /// The oldest alone: it was lost before, and nobody else is to be lost with it.
    First,
    /// What joins a running turn.
    Urgent,
    /// Nothing but its end: the agent reads its mail itself.
    End,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Todo {
    /// There is nothing.
    Nothing,
    /// These go to the agent, a part each.
    Deliver(Vec<MessageId>, Vec<String>),
    /// The lead wants the agent to end.
    ShutDown(Box<Message>, String),
}

/// The request of this lead that the agent ends, if the message is that.
pub(super) fn shutdown(message: &Message, lead: &str) -> Option<String> {
    match Frame::parse(&message.text).filter(|_| message.from == lead) {
        Some(Frame::ShutdownRequest { request_id, .. }) => Some(request_id),
        _ => None,
    }
}

impl Todo {
    /// Whether something is to be done with this message.
    pub(super) fn concerns(&self, id: &MessageId) -> bool {
        match self {
            Todo::Nothing => false,
            Todo::Deliver(ids, _) => ids.contains(id),
            Todo::ShutDown(message, _) => message.id == *id,
        }
    }
}

/// What is to be done with this mail, the oldest first, in the inbox of this team with this lead.
pub(super) fn todo(unread: &[Message], wanted: Wanted, bounds: Bounds, team: &str, lead: &str) -> Todo {
    let most = match wanted {
        Wanted::First => 1,
        Wanted::All | Wanted::Urgent | Wanted::End => {
            bounds.messages.min(ALL_MAX / (bounds.length + AROUND_MAX)).max(1)
        }
    };
    let (mut ids, mut parts) = (Vec::new(), Vec::new());
    let is_wanted = |message: &&Message| match wanted {
        Wanted::All | Wanted::First => true,
        // An end is never urgent: it comes after the turn.
        Wanted::Urgent => message.urgency == Urgency::Urgent && shutdown(message, lead).is_none(),
        Wanted::End => shutdown(message, lead).is_some(),
    };
    for message in unread.iter().filter(is_wanted).take(most) {
        // Only who leads may end somebody; from anybody else it is a wish to be read.
        if let Some(request) = shutdown(message, lead) {
            if ids.is_empty() {
                return Todo::ShutDown(Box::new(message.clone()), request);
            }
            break;
        }
        let text = frame::readable(&message.text);
        // 0.144.6 joins the parts in its history.
        let apart = if ids.is_empty() { "" } else { "\n" };
        let letter = Letter {
            from: &message.from,
            team,
            at: message.at,
            id: message.id.as_str(),
            summary: message.summary.as_deref(),
            text: &text,
            tool: TOOL,
        };
        parts.push(format!("{apart}{}", letter.part(bounds.length)));
        ids.push(message.id.clone());
    }
    if ids.is_empty() { Todo::Nothing } else { Todo::Deliver(ids, parts) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { messages: 3, length: 100 };

    fn message(from: &str, text: &str) -> Message {
        Message {
            id: MessageId::next(),
            from: from.to_owned(),
            text: text.to_owned(),
            timestamp: "2026-11-25T13:12:38.123Z".to_owned(),
            at: "2026-11-25T13:12:38.123Z".parse().ok(),
            read: false,
            summary: None,
            urgency: if text.starts_with("[urgent]") { Urgency::Urgent } else { Urgency::Normal },
        }
    }

    fn done(unread: &[Message], wanted: Wanted) -> Todo {
        todo(unread, wanted, BOUNDS, "red", "boss")
    }

    const SHUT_DOWN: &str = r#"{"type":"shutdown_request","requestId":"shutdown-1@ana","from":"boss","timestamp":"2026-11-25T13:12:38.123Z"}"#;

    #[test]
    fn the_oldest_go_first_as_many_as_may_and_each_in_an_envelope() {
        let unread = ["one", "two", "three", "four"].map(|text| message("ben", text));
        let Todo::Deliver(ids, parts) = done(&unread, Wanted::All) else { panic!("there is mail") };
        assert_eq!(ids, unread.each_ref().map(|message| message.id.clone())[..3]);
        for (part, message) in parts.iter().zip(&unread) {
            assert!(
                part.contains(&message.text) && part.contains("from=\"ben\"") && part.contains(message.id.as_str())
            );
        }
        let Todo::Deliver(first, _) = done(&unread, Wanted::First) else { panic!("there is mail") };
        assert_eq!(first, ids[..1]);
        assert_eq!(done(&[], Wanted::All), Todo::Nothing);
    }

    #[test]
    fn only_what_is_urgent_joins_a_turn() {
        let pressing = Message { urgency: Urgency::Urgent, ..message("boss", SHUT_DOWN) };
        let unread = [message("ben", "later"), message("ben", "[urgent] now"), pressing];
        let Todo::Deliver(ids, _) = done(&unread, Wanted::Urgent) else { panic!("there is mail") };
        assert_eq!(ids, [unread[1].id.clone()]);
    }

    #[test]
    fn a_shutdown_waits_for_what_is_before_it_and_is_the_leads_only() {
        let unread = [message("ben", "first"), message("boss", SHUT_DOWN), message("ben", "never read")];
        let Todo::Deliver(ids, _) = done(&unread, Wanted::All) else { panic!("there is mail") };
        assert_eq!(ids, [unread[0].id.clone()]);
        let Todo::ShutDown(asked, request) = done(&unread[1..], Wanted::All) else { panic!("it is the lead's") };
        assert_eq!((&asked.id, request.as_str()), (&unread[1].id, "shutdown-1@ana"));
        let Todo::Deliver(_, parts) = done(&[message("ben", SHUT_DOWN)], Wanted::All) else { panic!("a wish") };
        assert!(parts[0].contains("asks you to shut down") && !parts[0].contains("shutdown_request"), "{}", parts[0]);
    }

    #[test]
    fn whose_mail_is_not_brought_is_ended_all_the_same() {
        let unread = [message("ben", "first"), message("ben", SHUT_DOWN), message("boss", SHUT_DOWN)];
        let Todo::ShutDown(asked, _) = done(&unread, Wanted::End) else { panic!("it is the lead's") };
        assert_eq!(asked.id, unread[2].id);
        assert_eq!(done(&unread[..2], Wanted::End), Todo::Nothing);
    }

    #[test]
    fn a_long_message_is_cut_and_all_together_are_what_codex_takes() {
        let long = message("ben", &"x".repeat(5000));
        let Todo::Deliver(_, parts) = done(std::slice::from_ref(&long), Wanted::All) else { panic!("there is mail") };
        assert!(parts[0].chars().count() <= BOUNDS.length + AROUND_MAX && parts[0].contains("4900 more characters"));
        let many = vec![message("ben", &"x".repeat(100_000)); 100];
        let bounds = Bounds { messages: 100, length: 100_000 };
        let Todo::Deliver(_, parts) = todo(&many, Wanted::All, bounds, "red", "boss") else { panic!("there is mail") };
        assert!(parts.iter().map(|part| part.chars().count()).sum::<usize>() <= ALL_MAX && parts.len() == 10);
    }
}
