//! Changes one field of a JSON object, or the elements of an array, and leaves every other byte alone.
//!
//! Claude's files are written by several programs, each with fields that the others do not know; what we do not change
//! must not change. So these files are never rebuilt from values: their text is cut up and put together again.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;

/// A text that JavaScript may have cut in the middle of a character: half a surrogate pair is JSON, but no UTF-8.
#[derive(Debug, PartialEq)]
pub(super) struct Lossy(pub(super) String);

impl<'de> Deserialize<'de> for Lossy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Lossy, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Lossy;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Lossy, E> {
                Ok(Lossy(String::from_utf8_lossy(bytes).into_owned()))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

/// The text of a JSON string; `None` for anything else.
pub(super) fn text(value: &RawValue) -> Option<String> {
    serde_json::from_str(value.get()).ok().map(|Lossy(text)| text)
}

/// What an object has, in its order, and each as often as it is there.
pub struct InOrder<K, V>(pub Vec<(K, V)>);

impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Deserialize<'de> for InOrder<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<InOrder<K, V>, D::Error> {
        struct Object<K, V>(PhantomData<(K, V)>);
        impl<'de, K: Deserialize<'de>, V: Deserialize<'de>> Visitor<'de> for Object<K, V> {
            type Value = Vec<(K, V)>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Object(PhantomData)).map(InOrder)
    }
}

/// The fields of an object whose names may be cut, and their values as they are written.
pub(super) struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Fields<'a> {
    /// Those of an object; `None` for anything else.
    pub(super) fn of(object: &'a str) -> Option<Fields<'a>> {
        let InOrder(fields) = serde_json::from_str(object).ok()?;
        Some(Fields(fields.into_iter().map(|(Lossy(name), value)| (name, value)).collect()))
    }

    /// The value of a field: the last one, as `JSON.parse` takes it.
    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().rev().find(|(field, _)| field == name).map(|(_, value)| *value)
    }

    /// The value of a field that is a text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.get(name).and_then(text)
    }

    /// Whether a field is `true`.
    pub(super) fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.get() == "true")
    }
}

/// The object with this field set to `value`: in its place, or else as the last.
pub(super) fn set(object: &str, name: &str, value: &str) -> Option<String> {
    let Fields(fields) = Fields::of(object)?;
    let mut changed = object.to_owned();
    let mut there = false;
    for (_, old) in fields.iter().rev().filter(|(field, _)| field == name) {
        changed.replace_range(span(object, old), value);
        there = true;
    }
    if !there {
        let body = object.trim_end().strip_suffix('}')?.trim_end().len();
        let comma = if fields.is_empty() { "" } else { "," };
        changed.insert_str(body, &format!("{comma}\"{name}\":{value}"));
    }
    Some(changed)
}

/// Where in `text` a value stands that was borrowed from it.
fn span(text: &str, value: &RawValue) -> Range<usize> {
    let start = value.get().as_ptr() as usize - text.as_ptr() as usize;
    start..start + value.get().len()
}

/// The elements of an array; an error for anything else.
pub(super) fn elements(array: &str) -> serde_json::Result<Vec<&RawValue>> {
    serde_json::from_str(array)
}

/// An array of these elements, a line each.
pub(super) fn array<'a>(elements: impl IntoIterator<Item = &'a str>) -> String {
    let mut array = String::from("[");
    for element in elements {
        array.push_str(if array.len() == 1 { "\n  " } else { ",\n  " });
        array.push_str(element);
    }
    array.push_str(if array.len() == 1 { "]" } else { "\n]" });
    array
}

/// The array with these elements behind those that are there, a line each; `None` for what does not end as an array does.
/// Nobody looks at what is there: in a long inbox that is most of what one message more costs.
pub(super) fn extended<'a>(array: &str, new: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let there = array.trim_end().strip_suffix(']')?.trim_end();
    let mut is_first = there.ends_with('[');
    let mut extended = there.to_owned();
    for element in new {
        extended.push_str(if is_first { "\n  " } else { ",\n  " });
        extended.push_str(element);
        is_first = false;
    }
    extended.push_str(if is_first { "]" } else { "\n]" });
    Some(extended)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_field_is_set_in_its_place_and_nothing_else_changes() {
        for (object, changed) in [
            (r#"{ "read" : false , "x":1.00 }"#, r#"{ "read" : true , "x":1.00 }"#),
            (
                "{\"a\": \"read\",\n  \"b\": {\"read\": 0}\n}",
                "{\"a\": \"read\",\n  \"b\": {\"read\": 0},\"read\":true\n}",
            ),
            (r#"{"read":0,"read":[1]}"#, r#"{"read":true,"read":true}"#),
            (r#"{"rea\u0064":null}"#, r#"{"rea\u0064":true}"#),
            ("{}", r#"{"read":true}"#),
            ("{ }", r#"{"read":true }"#),
        ] {
            assert_eq!(set(object, "read", "true").unwrap(), changed);
        }
        assert_eq!([set("[]", "read", "true"), set("7", "read", "true")], [None, None]);
    }

    #[test]
    fn a_text_that_was_cut_in_the_middle_of_a_character_is_still_a_text() {
        let fields = Fields::of(r#"{"text":"ab\ud83d","x\ude00":1,"n":7}"#).unwrap();
        assert!(fields.text("text").unwrap().starts_with("ab\u{fffd}"));
        assert_eq!((fields.text("n"), fields.text("absent")), (None, None));
    }

    #[test]
    fn an_array_is_put_together_from_what_it_was_cut_into() {
        for array_text in ["[]", "[\n  1\n]", "[\n  {\"a\":  1.0},\n  [ ],\n  \"\\ud83d\"\n]"] {
            let cut = elements(array_text).unwrap();
            assert_eq!(array(cut.into_iter().map(RawValue::get)), array_text);
        }
        assert!(["", "{}", "null", "[1", "[1]x"].iter().all(|text| elements(text).is_err()));
    }

    #[test]
    fn what_is_put_behind_an_array_changes_nothing_of_what_is_there() {
        for (array, longer) in [
            ("[]", "[\n  7,\n  \"]\"\n]"),
            (" [ ] \n", " [\n  7,\n  \"]\"\n]"),
            ("[\n  {\"a\":  1.0},\n  [ ]\n]\n", "[\n  {\"a\":  1.0},\n  [ ],\n  7,\n  \"]\"\n]"),
            ("[1 ,\t\"[\" ]", "[1 ,\t\"[\",\n  7,\n  \"]\"\n]"),
            ("[[]]", "[[],\n  7,\n  \"]\"\n]"),
        ] {
            assert_eq!(extended(array, ["7", "\"]\""]).unwrap(), longer);
            assert_eq!(elements(longer).unwrap().len(), elements(array).unwrap().len() + 2);
            let same: Vec<&str> = elements(array).unwrap().into_iter().map(RawValue::get).collect();
            let none = extended(array, []).unwrap();
            assert_eq!(elements(&none).unwrap().into_iter().map(RawValue::get).collect::<Vec<_>>(), same);
        }
        assert_eq!(extended("{}", ["7"]), None);
    }

    proptest! {
        #[test]
        fn what_is_set_is_found_and_the_rest_is_as_it_was(names in proptest::collection::vec("[a-c]{1,2}", 0..6)) {
            let fields: Vec<String> = names.iter().enumerate().map(|(n, name)| format!("\"{name}\" :  {n}.50")).collect();
            let object = format!("{{{}}}", fields.join(" , "));
            let changed = set(&object, "a", "[]").unwrap();
            let (Fields(before), after) = (Fields::of(&object).unwrap(), Fields::of(&changed).unwrap());
            prop_assert_eq!(after.get("a").unwrap().get(), "[]");
            let others = |fields: &[(String, &RawValue)]| -> Vec<String> {
                fields.iter().filter(|(n, _)| n != "a").map(|(n, v)| format!("{n}{v}")).collect()
            };
            prop_assert_eq!(others(&before), others(&after.0));
        }
    }
}
