//! What the tools of mail take, and what a client's or an agent's model is told of it.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use schemars::transform::transform_subschemas;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::refusal::Refusal;
use crate::plain::{both_ends, shown};

/// How much of what is wrong with an argument is told, in characters.
const QUOTED_MAX: usize = 800;

/// A message to one member.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["to", "message"]))]
pub struct SendArgs {
    /// To whom: a member's name, or name@team for a member of another team.
    pub to: Option<String>,
    /// What to say, at most 1048576 bytes. One that begins with the word urgent in square brackets joins what the recipient does now, instead of waiting for its end.
    pub message: Option<String>,
    /// The same in a few words.
    pub summary: Option<String>,
}

/// A message to every member.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["message"]))]
pub struct BroadcastArgs {
    /// What to say, at most 1048576 bytes.
    pub message: Option<String>,
    /// The same in a few words.
    pub summary: Option<String>,
    /// Which team; left out, one's own.
    pub team: Option<String>,
}

/// Which messages to read.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReadMailArgs {
    /// Also those that were read before.
    pub all: bool,
    /// Whether they are marked as read: true unless it is said otherwise.
    pub mark_read: Option<bool>,
    /// At most so many, of unread ones the oldest, with all the newest: 1 to 200, default 20.
    #[schemars(range(min = 1, max = 200))]
    pub limit: Option<usize>,
    /// Not older than this: a time such as 2026-01-31T12:00:00Z.
    pub since: Option<String>,
    /// Only from this sender.
    pub from: Option<String>,
    /// Instead, what you sent, and what became of it.
    pub sent: bool,
    /// Only the message with this id, the whole of it.
    pub id: Option<String>,
    /// With id: where to begin, in characters; a cut message says where to go on.
    pub offset: Option<usize>,
}

/// Nothing at all.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Nothing {}

/// Reads arguments.
pub fn parse<T: DeserializeOwned + Default>(arguments: Value) -> Result<T, Refusal> {
    if arguments.is_null() {
        return Ok(T::default());
    }
    serde_path_to_error::deserialize(arguments).map_err(|error| Refusal::argument(unread(error)))
}

/// What is wrong with arguments: which, and what it must be.
pub fn unread(error: serde_path_to_error::Error<serde_json::Error>) -> String {
    let path = error.path().to_string();
    let named = if path == "." { String::new() } else { format!("argument {}: ", shown(&path)) };
    // A value or a name that is quoted may be as long as a line; what it must be is said behind it.
    format!("{named}{}", both_ends(&error.into_inner().to_string(), QUOTED_MAX))
}

/// The schema of an argument type, in the plain form that every client takes: no references, no null.
pub fn object_schema<T: JsonSchema>() -> Map<String, Value> {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.meta_schema = None;
        settings.inline_subschemas = true;
    });
    let settings = settings.with_transform(plain as fn(&mut schemars::Schema));
    match settings.into_generator().into_root_schema_for::<T>().to_value() {
        Value::Object(mut object) => {
            object.remove("title");
            object.remove("description");
            object
        }
        _ => Map::new(),
    }
}

/// An argument that may be left out need not also be null.
fn plain(schema: &mut schemars::Schema) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            schema.insert("type".into(), one);
        }
    }
    schema.remove("default");
    schema.remove("format");
    transform_subschemas(&mut plain, schema);
}
