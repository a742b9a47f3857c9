//! Every setting with its value and where it came from, for `atm-agent-mcp config`.

use serde::Serialize;

use super::source::{Source, Sourced};

/// One setting as it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// The key, as in the table `[plugins.atm-agent-mcp]`; `team` is `default_team` of `[core]`.
    pub key: String,
    /// The value; `None` when nobody set it, so that it is not passed to Codex.
    pub value: Option<String>,
    /// Where the value came from.
    pub source: Source,
}

impl Listed {
    /// A setting that always has a value.
    pub(super) fn set(key: &str, set: &Sourced<impl ToString>) -> Self {
        Listed { key: key.to_owned(), value: Some(set.value.to_string()), source: set.source.clone() }
    }

    /// A setting that may have none, with how to show it.
    pub(super) fn maybe<T>(key: &str, set: &Option<Sourced<T>>, show: impl FnOnce(&T) -> String) -> Self {
        let key = key.to_owned();
        match set {
            Some(set) => Listed { key, value: Some(show(&set.value)), source: set.source.clone() },
            None => Listed { key, value: None, source: Source::Default },
        }
    }
}
