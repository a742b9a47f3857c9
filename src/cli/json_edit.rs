//! Changes one field of a JSON text, and leaves every other byte alone.
//!
//! The settings of other programs are theirs: their order, their spaces and what we do not know stay as they are.

use std::io::{self, Write};
use std::ops::Range;

use serde::Serialize;
use serde_json::ser::Formatter;
use serde_json::value::RawValue;

use crate::mail::InOrder;

/// Before a text that is JSON without it; Claude Code (2.1.330) reads over it, as others do.
const BOM: char = '\u{feff}';

/// The byte order mark of a file, if it has one, and what stands behind it.
pub(super) fn behind_bom(content: &str) -> (&str, &str) {
    content.split_at(if content.starts_with(BOM) { BOM.len_utf8() } else { 0 })
}

/// The fields of an object in their order; `None` for anything else.
pub(super) fn fields(object: &str) -> Option<Vec<(String, &str)>> {
    let InOrder(fields): InOrder<String, &RawValue> = serde_json::from_str(object).ok()?;
    Some(fields.into_iter().map(|(name, value)| (name, value.get())).collect())
}

/// The text of the value at a path of names; of a field that is there twice the last one, as `JSON.parse` takes it.
pub(super) fn value<'a>(text: &'a str, path: &[&str]) -> Option<&'a str> {
    path.iter().try_fold(text.trim(), |object, name| {
        fields(object)?.into_iter().rev().find(|(field, _)| field == name).map(|(_, value)| value)
    })
}

/// Why a text takes no field below these names: it is no JSON, or something on the way is no object. Values are not quoted.
pub(super) fn trouble(text: &str, above: &[&str]) -> Option<String> {
    if let Err(error) = serde_json::from_str::<&RawValue>(text) {
        return Some(format!("it is no JSON: {error}"));
    }
    let found = (0..=above.len()).map_while(|depth| Some((depth, value(text, &above[..depth])?)));
    let (depth, wrong) = found.into_iter().find(|(_, found)| fields(found).is_none())?;
    let what = match wrong.as_bytes()[0] {
        b'[' => "an array",
        b'"' => "a text",
        b'n' => "null",
        b't' | b'f' => "a boolean",
        b'{' => "an object with a name that is no Unicode",
        _ => "a number",
    };
    let whose = above[..depth].last().map_or("it".to_owned(), |name| format!("{name:?}"));
    let before = &text[..place(text, wrong).start];
    let (line, column) =
        (before.matches('\n').count() + 1, before.chars().rev().take_while(|c| *c != '\n').count() + 1);
    Some(format!("{whose} is {what}, and no object (line {line} column {column})"))
}

/// The text with this value at that path: in place of what is there, or as the last field of its object. Objects that lack
/// on the way are made. `None` if the text is no object, or something on the way is none.
pub(super) fn set(text: &str, path: &[&str], new: &impl Serialize) -> Option<String> {
    let mut compact = Vec::new();
    new.serialize(&mut serde_json::Serializer::with_formatter(&mut compact, OnOneLine)).ok()?;
    put(text, path, &serde_json::to_string_pretty(new).ok()?, &String::from_utf8(compact).ok()?)
}

/// Sets a value that is written over several lines, or on one where those around it are.
fn put(text: &str, path: &[&str], spread: &str, compact: &str) -> Option<String> {
    if let Some(old) = value(text, path) {
        let range = place(text, old);
        let new = if old.contains('\n') { deeper(spread, indent_at(text, range.start)) } else { compact.to_owned() };
        return Some(replaced(text, range, &new));
    }
    let (name, above) = path.split_last()?;
    let key = serde_json::to_string(name).ok()?;
    let Some(object) = value(text, above) else {
        let spread = format!("{{\n  {key}: {}\n}}", deeper(spread, "  "));
        return put(text, above, &spread, &format!("{{{key}: {compact}}}"));
    };
    let (fields, range) = (fields(object)?, place(text, object));
    let Some((_, last)) = fields.last() else {
        let outer = indent_at(text, range.start);
        let inner = format!("{outer}  ");
        let object = format!("{{\n{inner}{key}: {}\n{outer}}}", deeper(spread, &inner));
        return Some(replaced(text, range, &object));
    };
    let end = place(text, last).end;
    let field = if object.contains('\n') {
        let inner = indent_at(text, place(text, fields[0].1).start);
        format!(",\n{inner}{key}: {}", deeper(spread, inner))
    } else {
        format!(", {key}: {compact}")
    };
    Some(replaced(text, end..end, &field))
}

/// The text with the value at that path written so, as it is; `None` if there is none.
pub(super) fn restore(text: &str, path: &[&str], written: &str) -> Option<String> {
    Some(replaced(text, place(text, value(text, path)?), written))
}

/// An array with what `change` gives in place of its texts; how the others are written stays.
pub(super) fn with_texts(array: &str, change: impl Fn(&str) -> Option<String>) -> Option<String> {
    let items: Vec<&RawValue> = serde_json::from_str(array).ok()?;
    let mut edited = array.to_owned();
    for item in items.iter().rev() {
        let text: Option<String> = serde_json::from_str(item.get()).ok();
        if let Some(new) = text.and_then(|text| change(&text)) {
            edited.replace_range(place(array, item.get()), &serde_json::to_string(&new).ok()?);
        }
    }
    Some(edited)
}

/// The text without the field at that path; `None` if it is not there.
pub(super) fn remove(text: &str, path: &[&str]) -> Option<String> {
    let (name, above) = path.split_last()?;
    let object = place(text, value(text, above)?);
    let fields = fields(&text[object.clone()])?;
    let at = fields.iter().rposition(|(field, _)| field == name)?;
    let end_of = |at: usize| place(text, fields[at].1).end;
    let range = match (at, fields.len()) {
        (0, 1) => object.start + 1..object.end - 1,
        // With the comma that follows it.
        (0, _) => object.start + 1..end_of(0) + text[end_of(0)..].find(',')? + 1,
        // With the comma before it.
        _ => end_of(at - 1)..end_of(at),
    };
    Some(replaced(text, range, ""))
}

/// Where a part of a text is in it.
fn place(text: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr() - text.as_ptr().addr();
    start..start + part.len()
}

fn replaced(text: &str, range: Range<usize>, new: &str) -> String {
    [&text[..range.start], new, &text[range.end..]].concat()
}

/// The spaces with which the line begins that has this place.
fn indent_at(text: &str, at: usize) -> &str {
    let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let spaces = text[line..at].len() - text[line..at].trim_start().len();
    &text[line..line + spaces]
}

fn deeper(text: &str, indent: &str) -> String {
    text.replace('\n', &format!("\n{indent}"))
}

/// As people write it on one line.
struct OnOneLine;

impl OnOneLine {
    fn between<W: ?Sized + Write>(writer: &mut W, is_first: bool) -> io::Result<()> {
        if is_first { Ok(()) } else { writer.write_all(b", ") }
    }
}

impl Formatter for OnOneLine {
    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        OnOneLine::between(writer, first)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        OnOneLine::between(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    const FILE: &str = r#"{
  "b": 1.0,
  "mcpServers": {
    "x": {
      "args": [
        "a"
      ],  "command":"c"
    }
  },
  "a": "\ud800"
}
"#;

    #[test]
    fn a_value_is_replaced_and_every_other_byte_stays() {
        let edited = set(FILE, &["mcpServers", "x", "command"], &"new").unwrap();
        assert_eq!(edited, FILE.replace(r#""command":"c""#, r#""command":"new""#));
        let edited = set(FILE, &["mcpServers", "x", "args"], &["p", "q"]).unwrap();
        assert_eq!(edited, FILE.replace("        \"a\"\n", "        \"p\",\n        \"q\"\n"));
        let edited = set(r#"{"a":["x","y"],"b":1}"#, &["a"], &json!({"p": 1, "q": [2, 3]})).unwrap();
        assert_eq!(edited, r#"{"a":{"p": 1, "q": [2, 3]},"b":1}"#);
    }

    #[test]
    fn what_is_inserted_and_removed_again_leaves_the_bytes_as_they_were() {
        for (text, path) in [
            (FILE, &["mcpServers", "y"][..]),
            (FILE, &["new"]),
            (r#"{"a":1}"#, &["b"]),
            ("{\n\t\"a\": {}\n}", &["b"]),
            (" {} ", &["a"]),
        ] {
            let with = set(text, path, &json!({"command": "c", "args": ["s"]})).unwrap();
            assert_eq!(value(&with, &[path, &["command"]].concat()), Some("\"c\""), "{with}");
            assert_eq!(remove(&with, path).unwrap(), text);
        }
    }

    #[test]
    fn objects_that_lack_on_the_way_are_made() {
        let made = set("{}\n", &["mcpServers", "codex"], &json!({"command": "c"})).unwrap();
        assert_eq!(made, "{\n  \"mcpServers\": {\n    \"codex\": {\n      \"command\": \"c\"\n    }\n  }\n}\n");
        assert_eq!(set("[]", &["a"], &1), None);
        assert_eq!(set(r#"{"a": 1}"#, &["a", "b"], &1), None);
        assert_eq!(set("{", &["a"], &1), None);
    }

    #[test]
    fn texts_of_an_array_change_and_how_it_is_written_stays() {
        let change = |text: &str| (text == "a").then(|| "\"b\"".to_owned());
        assert_eq!(
            with_texts("[ \"a\",1 ,\n\"c\",\"a\"]", change).unwrap(),
            "[ \"\\\"b\\\"\",1 ,\n\"c\",\"\\\"b\\\"\"]"
        );
        assert_eq!(
            restore(FILE, &["mcpServers", "x", "args"], "[ ]").unwrap(),
            FILE.replace("[\n        \"a\"\n      ]", "[ ]")
        );
    }

    #[test]
    fn what_keeps_a_text_from_being_edited_is_named_with_its_place_and_not_quoted() {
        let of = |text: &str| trouble(text, &["mcpServers"]).unwrap_or_default();
        assert!(of("{\"a\": 1,\n}").ends_with("line 2 column 1"), "{}", of("{\"a\": 1,\n}"));
        assert_eq!(of(" [1]"), "it is an array, and no object (line 1 column 2)");
        assert_eq!(of("\"sk-secret\""), "it is a text, and no object (line 1 column 1)");
        assert_eq!(of("{\n\"mcpServers\": 7}"), "\"mcpServers\" is a number, and no object (line 2 column 15)");
        assert_eq!(of("{\"mcpServers\": {}}") + &of("{}"), "");
    }

    #[test]
    fn the_first_of_several_fields_is_removed_with_its_comma() {
        assert_eq!(remove("{\n  \"a\": 1 ,\n  \"b\": 2\n}", &["a"]).unwrap(), "{\n  \"b\": 2\n}");
        assert_eq!(remove(r#"{"a": 1, "b": 2}"#, &["b"]).unwrap(), r#"{"a": 1}"#);
        assert_eq!(remove("{}", &["a"]), None);
    }

    proptest! {
        #[test]
        fn other_fields_are_the_same_whatever_is_set_or_removed(
            names in prop::collection::btree_set("[a-c\"\\\\ ]{1,3}", 1..5), new in "[a-c\"\\\\ ]{1,3}", spread in any::<bool>(),
        ) {
            let object: Value = names.iter().enumerate().map(|(at, name)| (name.clone(), json!([at]))).collect();
            let text = if spread { serde_json::to_string_pretty(&object).unwrap() } else { object.to_string() };
            let mut expected = object.clone();
            expected[&new] = json!({"k": "v"});
            let edited = set(&text, &[&new], &json!({"k": "v"})).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Value>(&edited).unwrap(), &expected);
            let removed = remove(&edited, &[&new]).unwrap();
            expected.as_object_mut().unwrap().remove(&new);
            prop_assert_eq!(serde_json::from_str::<Value>(&removed).unwrap(), expected);
        }
    }
}
