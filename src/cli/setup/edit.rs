//! What an edit of somebody's JSON file did: how it is told whether it is still so, and what the bytes were before.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::super::claude_config::Launch;
use super::super::json_edit;
use super::lost::Variable;

/// How an edit has left an entry and its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Edit {
    entry: Uuid,
    /// `None` where what it replaced is not ours to keep.
    bytes: Option<Bytes>,
}

/// How it has left the file, and what it replaced there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Bytes {
    file: Uuid,
    splice: Splice,
}

/// What an entry starts, as it is written there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Written {
    command: String,
    args: String,
}

/// A part of a text that was put in place of another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Splice {
    at: usize,
    old: String,
    new: usize,
}

/// What tells two contents apart.
pub(super) fn fingerprint(content: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, content.as_bytes())
}

impl Edit {
    /// One that made one text of the other, at that path.
    pub(super) fn of(before: &str, after: &str, path: &[&str]) -> Option<Edit> {
        let bytes = Bytes { file: fingerprint(after), splice: Splice::between(before, after) };
        Some(Edit { bytes: Some(bytes), ..Edit::of_entry(json_edit::value(after, path)?) })
    }

    /// One of which only the entry is known that it has left.
    pub(super) fn of_entry(entry: &str) -> Edit {
        Edit { entry: mark(entry), bytes: None }
    }

    /// Whether the entry is still as it was left. Spaces do not count: Claude Code writes its file anew whenever it changes it.
    pub(super) fn has_left(&self, entry: &str) -> bool {
        mark(entry) == self.entry
    }

    /// The whole text as it was before, if nothing in it has changed since.
    pub(super) fn undone(&self, text: &str) -> Option<String> {
        let bytes = self.bytes.as_ref().filter(|bytes| bytes.file == fingerprint(text))?;
        bytes.splice.undone(text)
    }
}

impl Written {
    /// What is written in an entry. What `variables` are set to among the arguments is left out.
    pub(super) fn of(entry: &str, variables: &[Variable]) -> Option<Written> {
        let is_set =
            |arg: &str| variables.iter().find(|variable| arg == format!("{}={}", variable.name, variable.value));
        let args = json_edit::value(entry, &["args"])?;
        Some(Written {
            command: json_edit::value(entry, &["command"])?.to_owned(),
            args: json_edit::with_texts(args, |arg| is_set(arg).map(|variable| format!("{}=", variable.name)))?,
        })
    }

    /// What that starts.
    pub(super) fn launch(&self) -> Option<Launch> {
        let command = serde_json::from_str(&self.command).ok()?;
        Some(Launch { command, args: serde_json::from_str(&self.args).ok()? })
    }

    /// Whether an entry starts that again; what `variables` are set to is not known.
    pub(super) fn is_in(&self, entry: &str, variables: &[String]) -> bool {
        let Ok(Launch { command, args }) = serde_json::from_str(entry) else { return false };
        let without_value = |arg: String| match arg.split_once('=') {
            Some((name, _)) if variables.iter().any(|one| one == name) => format!("{name}="),
            _ => arg,
        };
        self.launch() == Some(Launch { command, args: args.into_iter().map(without_value).collect() })
    }

    /// A text with this at the path of an entry. What its environment sets are again what `variables` are set to.
    pub(super) fn restored(&self, text: &str, path: &[&str], variables: &[String]) -> Option<String> {
        let value_of = |name: &str| -> Option<String> {
            serde_json::from_str(json_edit::value(text, &[path, &["env", name]].concat())?).ok()
        };
        let args = json_edit::with_texts(&self.args, |arg| {
            let name = arg.strip_suffix('=').filter(|name| variables.iter().any(|one| one == name))?;
            Some(format!("{name}={}", value_of(name)?))
        })?;
        let text = json_edit::restore(text, &[path, &["command"]].concat(), &self.command)?;
        json_edit::restore(&text, &[path, &["args"]].concat(), &args)
    }
}

/// What an entry says, however it is written. One that cannot be read as values (half of a surrogate pair) is its text.
fn mark(entry: &str) -> Uuid {
    fingerprint(&serde_json::from_str::<Value>(entry).map_or_else(|_| entry.to_owned(), |value| value.to_string()))
}

/// Whether an entry is nothing but what Claude Code (2.1.330) writes for a server that is started so.
pub(super) fn is_as_added(entry: &str, launch: &Launch) -> bool {
    let Ok(Value::Object(mut fields)) = serde_json::from_str(entry) else { return false };
    for (name, usual) in [("type", Value::from("stdio")), ("env", Value::Object(serde_json::Map::new()))] {
        if fields.get(name) == Some(&usual) {
            fields.remove(name);
        }
    }
    serde_json::to_value(launch).is_ok_and(|launch| launch == Value::Object(fields))
}

impl Splice {
    /// The one part in which two texts differ.
    fn between(before: &str, after: &str) -> Splice {
        let same = before.bytes().zip(after.bytes()).take_while(|(one, two)| one == two).count();
        // A letter is cut by neither end.
        let whole = |at: &usize| before.is_char_boundary(*at) && after.is_char_boundary(*at);
        let at = (0..=same).rev().find(whole).unwrap_or(0);
        let (old, new) = (&before[at..], &after[at..]);
        let same = old.bytes().rev().zip(new.bytes().rev()).take_while(|(one, two)| one == two).count();
        let whole = |end: &usize| old.is_char_boundary(old.len() - end) && new.is_char_boundary(new.len() - end);
        let end = (0..=same).rev().find(whole).unwrap_or(0);
        Splice { at, old: old[..old.len() - end].to_owned(), new: new.len() - end }
    }

    fn undone(&self, text: &str) -> Option<String> {
        let (head, tail) = (text.get(..self.at)?, text.get(self.at + self.new..)?);
        Some([head, &self.old, tail].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_edited_comes_back_to_the_byte(before in "[a-cä日]{0,6}", after in "[a-cä日]{0,6}") {
            let [before, after] = [before, after].map(|text| format!("{{\"a\": \"{text}\"}}"));
            let edit = Edit::of(&before, &after, &["a"]).unwrap();
            prop_assert_eq!(edit.undone(&after), Some(before));
            prop_assert_eq!(edit.undone(&format!("{after} ")), None);
        }
    }

    #[test]
    fn an_entry_is_as_it_was_left_however_it_is_written_and_not_with_a_field_more() {
        let edit = Edit::of_entry(r#"{"command": "c", "args": ["s"], "env": {}}"#);
        assert!(edit.has_left("{\n\"command\":\"c\",\"args\":[\"s\"],\"env\":{}}"));
        assert!(!edit.has_left(r#"{"command": "c", "args": ["s"], "env": {"A": "b"}}"#));
        let launch = Launch { command: "c".to_owned(), args: vec!["s".to_owned()] };
        assert!(is_as_added(r#"{"type": "stdio", "command": "c", "args": ["s"], "env": {}}"#, &launch));
        assert!(!is_as_added(r#"{"type": "stdio", "command": "c", "args": ["s"], "env": {"A": "b"}}"#, &launch));
    }
}
