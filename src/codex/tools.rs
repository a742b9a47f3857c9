//! Tools of ours in a thread: how Codex is told of them, how a call of one is read and answered.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::wire::ThreadOptions;
use crate::ids::{ThreadId, TurnId};

/// Tools in a namespace, as the model is told of them. Every name is `[a-zA-Z0-9_-]+`.
///
/// A model with ordinary tools calls `tool` in `namespace`, one that writes JavaScript `tools.namespace__tool({…})`; it
/// needs no approval under any policy. They stay with the thread for ever, as they were at its start, and sub-agents
/// that are given its history have them too (0.144.6 and 0.169.0).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename = "namespace")]
pub struct Tools {
    /// The namespace.
    pub name: String,
    /// What they are for.
    pub description: String,
    /// Each of them.
    pub tools: Vec<Tool>,
}

/// One tool.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename = "function", rename_all = "camelCase")]
pub struct Tool {
    /// What it is called in its namespace.
    pub name: String,
    /// What it does.
    pub description: String,
    /// The JSON schema of its arguments, an object.
    pub input_schema: Value,
}

/// What `thread/start` takes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ThreadStart<'a> {
    #[serde(flatten)]
    pub(super) options: &'a ThreadOptions,
    pub(super) dynamic_tools: [&'a Tools; 1],
}

/// A call of a tool. What cannot be read is empty: it is answered all the same.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ToolCall {
    /// In which thread: the agent's, or one of its sub-agents.
    pub thread_id: Option<ThreadId>,
    /// In which turn.
    pub turn_id: Option<TurnId>,
    /// Which call.
    pub call_id: String,
    /// Of which namespace.
    pub namespace: Option<String>,
    /// Which tool.
    pub tool: String,
    /// As the model wrote them: of any form.
    pub arguments: Value,
}

/// The answer to a call: what the tool gave, or what went wrong. Only the text says which: whether it was a success the
/// model is not told, and in JavaScript nothing is thrown (0.144.6 and 0.169.0).
pub(super) fn answer(result: &Result<String, String>) -> Value {
    let text = match result {
        Ok(text) => text.clone(),
        Err(why) => format!("Error: {why}"),
    };
    json!({ "contentItems": [{ "type": "inputText", "text": text }], "success": result.is_ok() })
}

/// An MCP server that Codex starts for one thread. It lasts as long as the thread is open, so every opening needs it again.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct McpServer {
    /// The program.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables of its environment, beside the few that Codex hands on.
    pub env: BTreeMap<String, String>,
}

impl ThreadOptions {
    /// The same with an MCP server beside the caller's own; its tools are approved.
    #[must_use]
    pub fn with_server(mut self, name: &str, server: &McpServer) -> ThreadOptions {
        let mut settings = json!(server);
        settings["default_tools_approval_mode"] = "approve".into();
        // Beside a nested table a dotted key might be lost: Codex takes the two in no order.
        match self.config.get_mut("mcp_servers").and_then(Value::as_object_mut) {
            Some(servers) => drop(servers.insert(name.to_owned(), settings)),
            None => drop(self.config.insert(format!("mcp_servers.{name}"), settings)),
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_of_ours_stands_beside_the_callers_own() {
        let server = McpServer {
            command: "atm".into(),
            args: vec!["agent-tools".into()],
            env: BTreeMap::from([("A".into(), "b".into())]),
        };
        let ours = json!({
            "command": "atm", "args": ["agent-tools"], "env": {"A": "b"}, "default_tools_approval_mode": "approve",
        });
        let config_with = |config: Value| {
            let Value::Object(config) = config else { panic!("an object") };
            Value::Object(ThreadOptions { config, ..ThreadOptions::default() }.with_server("atm", &server).config)
        };
        assert_eq!(config_with(json!({"x": 1})), json!({"x": 1, "mcp_servers.atm": ours}));
        assert_eq!(config_with(json!({"mcp_servers": {"own": {}}})), json!({"mcp_servers": {"own": {}, "atm": ours}}));
    }
}
