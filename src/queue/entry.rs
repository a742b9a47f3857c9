//! What stands in an entry's file: our own form, or any text from anybody. Rules only.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The version of the stored form.
const VERSION: u32 = 1;
/// The longest name of a sender or a kind that is enqueued, in bytes.
const NAME_MAX: usize = 256;
/// How long a file that is not JSON must have been left alone before it counts as whole.
pub(super) const QUIET: Duration = Duration::from_millis(500);
/// How long JSON may take to be closed, and an empty file to be filled, before they hold up what is behind them no more.
pub(super) const UNFINISHED: Duration = Duration::from_secs(2);

/// Something to say to an agent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// The text; it reaches the agent unchanged.
    pub text: String,
    /// Who says it; shown to the agent if it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What it is, in the writer's own word: `steer`, `hook` …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Whether it may join a running turn.
    #[serde(default)]
    pub urgency: Urgency,
    /// When it is of no use any more; then it is buried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// Whether a text waits for the end of the running turn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Urgency {
    /// It waits.
    #[default]
    Normal,
    /// It joins the turn.
    Urgent,
}

/// Our form of an entry's file.
#[derive(Debug, Serialize, Deserialize)]
struct Stored<T> {
    v: u32,
    #[serde(flatten)]
    text: T,
    #[serde(default)]
    enqueued_at: Option<Timestamp>,
}

/// The content of the file of a new entry.
pub(super) fn write(text: &Text, now: Timestamp) -> serde_json::Result<Vec<u8>> {
    let mut content = serde_json::to_vec(&Stored { v: VERSION, text, enqueued_at: Some(now) })?;
    content.push(b'\n');
    Ok(content)
}

/// What a file is found to be.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    /// An entry, with the time it says it was made at.
    Whole(Text, Option<Timestamp>),
    /// It may still be being written; looked at again, it may be whole after this time.
    Unfinished(Duration),
    /// Nobody will ever be able to say this.
    Unusable(String),
}

/// Reads a file that was last changed `age` ago. At most `most` bytes of text are an entry.
///
/// What is not an entry in our form *is* the text. JSON that is closed is whole; anything else is whole when it has been
/// left alone for a while, for a writer may write in place.
pub(super) fn read(content: &[u8], age: Duration, most: usize) -> Content {
    if content.is_empty() {
        return Content::Unfinished(UNFINISHED);
    }
    let is_json = content.trim_ascii_start().first().is_some_and(|first| matches!(first, b'{' | b'['));
    if is_json {
        match serde_json::from_slice::<serde_json::Value>(content) {
            Ok(value) => return Content::of(ours(value), content, most),
            Err(error) if error.is_eof() && age < UNFINISHED => return Content::Unfinished(UNFINISHED - age),
            Err(_) => {}
        }
    }
    if age < QUIET {
        return Content::Unfinished(QUIET - age);
    }
    Content::of(None, content, most)
}

impl Content {
    fn of(ours: Option<Stored<Text>>, content: &[u8], most: usize) -> Content {
        let (text, at) = match (ours, std::str::from_utf8(content)) {
            (Some(stored), _) => (stored.text, stored.enqueued_at),
            (None, Ok(text)) => (Text { text: text.to_owned(), ..Text::default() }, None),
            (None, Err(error)) => {
                return Content::Unusable(format!("it is not UTF-8: byte {} is wrong", error.valid_up_to() + 1));
            }
        };
        match too_much(&text, most) {
            Some(why) => Content::Unusable(why),
            None => Content::Whole(text, at),
        }
    }
}

/// Why a text cannot be an entry, if it cannot.
pub(super) fn too_much(text: &Text, most: usize) -> Option<String> {
    if text.text.len() > most {
        Some(format!("its text has {} bytes, at most {most} are allowed", text.text.len()))
    } else if text.text.trim().is_empty() {
        Some("its text is blank".to_owned())
    } else {
        None
    }
}

/// Why the names in it are too long to be shown, if they are.
pub(super) fn too_long_a_name(text: &Text) -> Option<String> {
    let names = [("from", &text.from), ("kind", &text.kind)];
    let long =
        names.into_iter().find_map(|(what, name)| Some((what, name.as_ref()?.len())).filter(|(_, l)| *l > NAME_MAX));
    long.map(|(what, length)| format!("its {what} has {length} bytes, at most {NAME_MAX} are allowed"))
}

/// An entry in our form; other JSON is just text. A later version is read as far as we know it.
fn ours(value: serde_json::Value) -> Option<Stored<Text>> {
    serde_json::from_value(value).ok().filter(|stored: &Stored<Text>| stored.v >= VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MOST: usize = 1 << 20;
    const OLD: Duration = Duration::from_secs(60);

    fn plain(text: &str) -> Content {
        Content::Whole(Text { text: text.to_owned(), ..Text::default() }, None)
    }

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let text = Text {
            text: "line\nline \u{0} \u{1F600}".into(),
            from: Some("ci".into()),
            kind: Some("hook".into()),
            urgency: Urgency::Urgent,
            expires_at: Some("2030-01-02T03:04:05Z".parse().unwrap()),
        };
        let now = Timestamp::now();
        let content = write(&text, now).unwrap();
        assert_eq!(read(&content, Duration::ZERO, MOST), Content::Whole(text, Some(now)));
    }

    #[test]
    fn a_foreign_writer_needs_only_version_and_text() {
        let Content::Whole(text, None) = read(br#"{"v":1,"text":"hi","later":[1]}"#, Duration::ZERO, MOST) else {
            panic!("an entry");
        };
        assert_eq!((text.text.as_str(), text.urgency), ("hi", Urgency::Normal));
    }

    #[test]
    fn what_is_no_entry_is_the_text_itself() {
        for text in [
            "look at the tests\n",
            "  two\r\nlines, not trimmed \n\n",
            r#"{"text":"no version"}"#,
            r#"{"v":0,"text":"too early"}"#,
            r#"{"v":1,"text":7}"#,
            r#"{"v":1,"text":"x","urgency":"soon"}"#,
            r#"[1, 2]"#,
            "{ not json",
            "\u{feff}with a mark",
        ] {
            assert_eq!(read(text.as_bytes(), OLD, MOST), plain(text), "{text}");
        }
    }

    #[test]
    fn what_may_still_be_written_is_left_alone() {
        let unfinished = |content: &[u8], age| matches!(read(content, age, MOST), Content::Unfinished(_));
        let (soon, later) = (Duration::from_millis(499), Duration::from_millis(1999));
        assert!(unfinished(b"", OLD), "an empty file is never a message");
        assert!(unfinished(b"half a sen", soon) && !unfinished(b"half a sen", QUIET));
        assert!(unfinished(br#"{"v":1,"text":"half"#, later) && !unfinished(br#"{"v":1,"text":"half"#, UNFINISHED));
        assert!(unfinished(b"\xf0\x9f", soon), "half a character");
        assert!(!unfinished(br#"{"v":1,"text":"whole"}"#, Duration::ZERO));
        assert!(!unfinished(br#"{"any":"closed JSON"}"#, Duration::ZERO));
    }

    #[test]
    fn what_nobody_can_say_is_told_why() {
        let why = |content: &[u8]| match read(content, OLD, 10) {
            Content::Unusable(why) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(why(b"ab\xff"), "it is not UTF-8: byte 3 is wrong");
        assert_eq!(why(b"eleven byte"), "its text has 11 bytes, at most 10 are allowed");
        assert_eq!(why(br#"{"v":1,"text":"eleven byte"}"#), "its text has 11 bytes, at most 10 are allowed");
        assert_eq!(why(b" \n\t"), "its text is blank");
        assert_eq!(why(br#"{"v":1,"text":""}"#), "its text is blank");
    }

    proptest! {
        #[test]
        fn any_text_comes_back_unchanged_in_both_forms(text in "\\PC*[^\\s]\\PC*") {
            let entry = Text { text: text.clone(), ..Text::default() };
            let written = write(&entry, Timestamp::UNIX_EPOCH).unwrap();
            prop_assert_eq!(read(&written, Duration::ZERO, MOST), Content::Whole(entry, Some(Timestamp::UNIX_EPOCH)));
            if !text.trim_start().starts_with(['{', '[']) {
                prop_assert_eq!(read(text.as_bytes(), OLD, MOST), plain(&text));
            }
        }

        /// A reader that comes while a writer writes never takes a piece for the whole.
        #[test]
        fn no_beginning_of_an_entry_is_taken_for_one(text in "\\PC{1,40}[^\\s]", cut in 0.0..1.0f64) {
            let written = write(&Text { text, ..Text::default() }, Timestamp::UNIX_EPOCH).unwrap();
            let cut = ((written.len() - 2) as f64 * cut) as usize;
            prop_assert!(matches!(read(&written[..cut], Duration::ZERO, MOST), Content::Unfinished(_)));
        }
    }
}
