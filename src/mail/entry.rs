//! An entry of an inbox: what one of ours looks like, and what is read of anybody's. Rules only.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

use super::MailError;
use super::frame::is_urgent;
use super::splice::{self, Fields};
use crate::ids::{Address, MessageId};

/// The longest message, its summary included, in bytes.
pub const MESSAGE_MAX: usize = 1024 * 1024;

/// A message to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Who says it.
    pub from: Address,
    /// What.
    pub text: String,
    /// The same in a few words.
    pub summary: Option<String>,
    /// The sender's colour on the recipient's screen.
    pub color: Option<String>,
    /// Whether it may join a running turn.
    pub urgency: Urgency,
}

/// Whether a message waits for the end of the running turn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Urgency {
    /// It waits.
    #[default]
    Normal,
    /// It joins the turn.
    Urgent,
}

/// A message in an inbox, as far as we know its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its own id or, if it has none, one derived from what it says.
    pub id: MessageId,
    /// Who says it: whatever the writer put there.
    pub from: String,
    /// What.
    pub text: String,
    /// When, in the writer's words; empty if it does not say.
    pub timestamp: String,
    /// The same, if it can be understood.
    pub at: Option<Timestamp>,
    /// Whether it has been read.
    pub read: bool,
    /// The same in a few words.
    pub summary: Option<String>,
    /// Whether it may join a running turn.
    pub urgency: Urgency,
}

/// Why a draft cannot be sent, if it cannot.
pub(super) fn check(draft: &Draft) -> Result<(), MailError> {
    let bytes = draft.text.len() + draft.summary.as_ref().map_or(0, String::len);
    if bytes > MESSAGE_MAX {
        let why =
            format!("it has {bytes} bytes, at most {MESSAGE_MAX} are allowed. Put it into a file and send its path");
        return Err(MailError::Message(why));
    }
    if draft.text.trim().is_empty() {
        return Err(MailError::Message("its text is blank".to_owned()));
    }
    Ok(())
}

/// The text of a new entry, with what each of its readers needs: Claude Code drops one without `timestamp`, or whose
/// `summary` is null (2.1.330); atm 0.14 refuses the whole inbox without `read`, and knows a message by `message_id`.
pub(super) fn write(draft: &Draft, id: &MessageId, now: Timestamp) -> String {
    #[derive(Serialize)]
    struct Written<'a> {
        from: String,
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        summary: Option<&'a str>,
        timestamp: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        color: Option<&'a str>,
        #[serde(rename = "msgV")]
        version: u32,
        msg_id: &'a MessageId,
        message_id: &'a MessageId,
        r#type: &'static str,
        read: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        priority: Option<&'static str>,
    }
    let written = Written {
        from: draft.from.to_string(),
        text: &draft.text,
        summary: draft.summary.as_deref(),
        timestamp: format!("{now:.3}"),
        color: draft.color.as_deref(),
        version: 1,
        msg_id: id,
        message_id: id,
        r#type: "message",
        read: false,
        priority: (draft.urgency == Urgency::Urgent).then_some("urgent"),
    };
    serde_json::to_string(&written).expect("texts and numbers are JSON")
}

/// What each entry says; `None` for what is no message, which is left alone.
///
/// Entries with one id that say the same are one message that was written twice. An id that is used again for something
/// else does not count, so that no message can hide behind another.
pub(super) fn read(entries: &[&RawValue]) -> Vec<Option<Message>> {
    let mut said: HashMap<MessageId, [String; 3]> = HashMap::new();
    let mut equal: HashMap<[String; 3], usize> = HashMap::new();
    let read = entries.iter().map(|entry| {
        let fields = Fields::of(entry.get())?;
        let (from, text) = (fields.text("from")?, fields.text("text")?);
        let timestamp = fields.text("timestamp").unwrap_or_default();
        let says = [from.clone(), timestamp.clone(), text.clone()];
        let own = ["msg_id", "message_id"].into_iter().filter_map(|name| fields.text(name));
        let own = own.filter_map(|id| MessageId::parse(&id).ok()).next();
        let id = own.filter(|id| said.get(id).is_none_or(|already| *already == says)).unwrap_or_else(|| {
            let nth = equal.entry(says.clone()).or_default();
            *nth += 1;
            MessageId::derived(&from, &timestamp, &text, *nth - 1)
        });
        said.insert(id.clone(), says);
        let urgent = is_urgent(fields.text("priority").as_deref(), &text);
        Some(Message {
            id,
            at: timestamp.parse().ok(),
            read: fields.is_true("read"),
            summary: fields.text("summary"),
            urgency: if urgent { Urgency::Urgent } else { Urgency::Normal },
            from,
            text,
            timestamp,
        })
    });
    read.collect()
}

/// The entry, read.
pub(super) fn marked(entry: &str) -> Option<String> {
    splice::set(entry, "read", "true")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn draft(text: &str) -> Draft {
        let from = Address::parse("arch").unwrap();
        Draft { from, text: text.to_owned(), summary: None, color: None, urgency: Urgency::Normal }
    }

    fn read_all(array: &str) -> Vec<Option<Message>> {
        read(&splice::elements(array).unwrap())
    }

    /// Claude Code's own test of an entry (2.1.330): it deletes what does not pass.
    fn claude_keeps(entry: &serde_json::Value) -> bool {
        let is_text = |name: &str| entry[name].is_string();
        let if_there = |name: &str, is: fn(&serde_json::Value) -> bool| entry.get(name).is_none_or(is);
        ["from", "text", "timestamp"].into_iter().all(is_text)
            && ["type", "color", "summary", "from_plugin"].into_iter().all(|name| if_there(name, |v| v.is_string()))
            && if_there("read", |v| v.is_boolean())
    }

    #[test]
    fn an_entry_of_ours_has_what_every_reader_needs() {
        let now = "2026-11-25T13:12:38.1234567Z".parse().unwrap();
        let id = MessageId::next();
        let written = write(&Draft { summary: Some("s".into()), ..draft("hi") }, &id, now);
        let expected = format!(
            r#"{{"from":"arch","text":"hi","summary":"s","timestamp":"2026-11-25T13:12:38.123Z","msgV":1,"msg_id":"{id}","message_id":"{id}","type":"message","read":false}}"#
        );
        assert_eq!(written, expected);
        let urgent = write(&Draft { urgency: Urgency::Urgent, ..draft("hi") }, &id, now);
        assert!(urgent.contains(r#""priority":"urgent""#) && !urgent.contains("summary"), "{urgent}");
    }

    #[test]
    fn what_cannot_be_sent_is_refused_at_the_door() {
        let why = |draft: &Draft| check(draft).unwrap_err().to_string();
        assert!(why(&draft(" \n")).contains("blank"));
        assert!(why(&draft(&"x".repeat(2_000_000))).contains("2000000 bytes, at most 1048576"));
        let summary = Draft { summary: Some("x".repeat(MESSAGE_MAX)), ..draft("x") };
        assert!(why(&summary).contains("1048577 bytes"));
        assert!(check(&draft(&"x".repeat(MESSAGE_MAX))).is_ok());
    }

    #[test]
    fn entries_of_every_writer_are_understood() {
        let all = read_all(
            r#"[
            {"from":"lead","text":"claude","timestamp":"2026-11-25T13:12:38.123Z","msgV":1,"msg_id":"m-1","type":"message","read":false},
            {"from":"a","text":"atm","timestamp":"2026-11-25T13:12:38.123456789+00:00","read":true,"summary":"s","message_id":"m-2"},
            {"from":"a","text":"old","timestamp":"yesterday"},
            {"from":"a","text":"[urgent] now","read":"yes","summary":null,"msg_id":7}
        ]"#,
        );
        let [Some(claude), Some(atm), Some(old), Some(urgent)] = &all[..] else { panic!("{all:?}") };
        assert_eq!((claude.id.as_str(), claude.read, claude.urgency), ("m-1", false, Urgency::Normal));
        assert_eq!((atm.id.as_str(), atm.read, atm.summary.as_deref()), ("m-2", true, Some("s")));
        assert!(atm.at > claude.at && old.at.is_none() && !old.read);
        assert_eq!(old.id, MessageId::derived("a", "yesterday", "old", 0));
        assert_eq!((urgent.urgency, urgent.read, urgent.timestamp.as_str()), (Urgency::Urgent, false, ""));
    }

    #[test]
    fn what_is_no_message_is_none() {
        let all = read_all(r#"[null, 7, "x", [], {}, {"from":"a"}, {"from":"a","text":null}, {"from":1,"text":"x"}]"#);
        assert!(all.len() == 8 && all.iter().all(Option::is_none));
    }

    #[test]
    fn equal_messages_without_an_id_are_two_and_one_written_twice_is_one() {
        let ids = |array: &str| -> Vec<MessageId> { read_all(array).into_iter().map(|m| m.unwrap().id).collect() };
        let bare = r#"{"from":"a","text":"ok","timestamp":"t"}"#;
        let [one, two] = &ids(&format!("[{bare},{bare}]"))[..] else { panic!("two") };
        assert_ne!(one, two);
        let known = r#"{"from":"a","text":"ok","timestamp":"t","msg_id":"m"}"#;
        let hidden = r#"{"from":"b","text":"behind it","timestamp":"t","msg_id":"m"}"#;
        let ids = ids(&format!("[{known},{hidden},{known}]"));
        assert_eq!((ids[0].as_str(), &ids[2]), ("m", &ids[0]));
        assert_eq!(ids[1], MessageId::derived("b", "t", "behind it", 0), "no message hides behind another's id");
    }

    proptest! {
        #[test]
        fn nothing_that_claude_would_drop_is_ever_written(
            text in any::<String>(),
            summary in any::<Option<String>>(),
            color in any::<Option<String>>(),
            urgent in any::<bool>(),
        ) {
            let urgency = if urgent { Urgency::Urgent } else { Urgency::Normal };
            let draft = Draft { summary, color, urgency, ..draft(&text) };
            let id = MessageId::next();
            let written = write(&draft, &id, Timestamp::now());
            prop_assert!(claude_keeps(&serde_json::from_str(&written).unwrap()), "{written}");
            let read = read_all(&format!("[{written}]")).remove(0).unwrap();
            prop_assert_eq!((read.id, read.text, read.summary), (id, text, draft.summary));
            prop_assert!(marked(&written).unwrap().contains(r#""read":true"#) && !read.read);
        }
    }
}
