//! An error that a model reads: one sentence on what failed and what to do, and a word for programs.

use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::{Map, Value, json};

use super::codes;
use crate::plain;
use crate::session::RosterError;

/// A call that cannot be done. The codes are those of atm-agent-mcp 0.14.0.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolError {
    code: &'static str,
    message: String,
    more: Map<String, Value>,
}

impl ToolError {
    /// Arguments that cannot be used; the message names the argument and what is allowed.
    pub fn arguments(message: impl Into<String>) -> ToolError {
        ToolError::new("INVALID_SESSION_PARAMS", message)
    }

    /// Any other. Whatever others say in it: it is one line, and bounded.
    pub fn new(code: &'static str, message: impl Into<String>) -> ToolError {
        ToolError { code, message: plain::error(&message.into()), more: Map::new() }
    }

    /// There is no such agent; what is not there has been said. Clients of atm-agent-mcp 0.14.0 know how that begins.
    pub fn not_found(what: &str) -> ToolError {
        ToolError::new(
            "SESSION_NOT_FOUND",
            format!(
                "{what}. agent_sessions lists the agents, with include_closed also those that were closed; codex starts one."
            ),
        )
    }

    /// With a fact that a program may want.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> ToolError {
        let value = match value.into() {
            Value::String(text) => Value::String(plain::error(&text)),
            other => other,
        };
        self.more.insert(key.to_owned(), value);
        self
    }

    /// The sentence.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The result that carries it.
    pub fn into_result(self) -> CallToolResult {
        let mut fields = self.more;
        let code = codes::of(self.code);
        fields.insert("error".into(), json!(self.code));
        fields.insert("code".into(), json!(code.number));
        fields.insert("error_source".into(), json!(code.side.word()));
        fields.insert("content".into(), json!(self.message));
        fields.insert("status".into(), json!("error"));
        let mut result = CallToolResult::error(vec![ContentBlock::text(self.message)]);
        result.structured_content = Some(Value::Object(fields));
        result
    }
}

impl From<RosterError> for ToolError {
    fn from(error: RosterError) -> ToolError {
        let message = error.to_string();
        match error {
            RosterError::NameTaken { name, .. } => {
                ToolError::new("IDENTITY_CONFLICT", message).with("identity", name.as_str())
            }
            RosterError::TooMany { limit, .. } => ToolError::new("MAX_SESSIONS_EXCEEDED", message).with("max", limit),
            RosterError::NotFound(_) => ToolError::not_found(&message),
            RosterError::Elsewhere { agent, pid, .. } => {
                ToolError::new("SESSION_ELSEWHERE", message).with("agent_id", agent.as_str()).with("pid", pid)
            }
            RosterError::FullAccess { .. } => ToolError::arguments(message).with("setting", "allow_full_access"),
            RosterError::NoDirectory { path, .. } => {
                ToolError::arguments(message).with("path", path.display().to_string())
            }
            RosterError::Ends => ToolError::new("SERVER_ENDS", message),
            RosterError::Unreadable { path, .. } => {
                ToolError::new("FILES", message).with("path", path.display().to_string())
            }
            RosterError::Closed { agent, .. } => {
                ToolError::new("SESSION_CLOSED", message).with("agent_id", agent.as_str())
            }
            RosterError::Files { path, .. } => {
                ToolError::new("FILES", message).with("path", path.display().to_string())
            }
        }
    }
}
