//! What Codex asks of its client, and how it is answered.

use serde::Deserialize;
use serde_json::{Value, json};

use super::tools::{self, ToolCall};
use crate::rpc::{Id, Peer, RpcError};

/// A request of Codex's. Unanswered, its turn would hang for ever (0.169.0 has no time-out for them).
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// To run a command.
    Command {
        /// As a shell line.
        command: String,
        /// Why, in the model's words.
        reason: Option<String>,
    },
    /// To change files.
    FileChange {
        /// Why, in the model's words.
        reason: Option<String>,
    },
    /// To have more permissions.
    Permissions {
        /// Why, in the model's words.
        reason: Option<String>,
    },
    /// What the user thinks.
    UserInput,
    /// A question of an MCP server, the approval of one of its tools included.
    Elicitation {
        /// Which server.
        server: String,
    },
    /// To call a tool of ours.
    ToolCall(ToolCall),
    /// Something that we do not know, or that only the protocol's first version asked (`execCommandApproval`).
    Unknown {
        /// The method.
        method: String,
    },
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Params {
    command: Value,
    reason: Option<String>,
    server_name: String,
}

/// An answer that Codex waits for. It is given when this is dropped: the refusal, unless there is a better one.
#[derive(Debug)]
pub struct Owed {
    peer: Peer,
    id: Id,
    answer: Result<Value, RpcError>,
}

impl Owed {
    pub(super) fn new(peer: &Peer, id: Id, ask: &Ask) -> Owed {
        Owed { peer: peer.clone(), id, answer: ask.refusal() }
    }

    /// Answers the call of a tool with what it gave, or with what went wrong.
    pub fn gave(mut self, result: &Result<String, String>) {
        self.answer = Ok(tools::answer(result));
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        self.peer.answer(&self.id, &self.answer);
    }
}

impl Ask {
    /// Reads a request.
    pub(super) fn read(method: &str, params: &str) -> Ask {
        let Params { command, reason, server_name: server } = serde_json::from_str(params).unwrap_or_default();
        match method {
            "item/commandExecution/requestApproval" => {
                Ask::Command { command: command.as_str().unwrap_or_default().to_owned(), reason }
            }
            "item/fileChange/requestApproval" => Ask::FileChange { reason },
            "item/permissions/requestApproval" => Ask::Permissions { reason },
            "item/tool/requestUserInput" => Ask::UserInput,
            "mcpServer/elicitation/request" => Ask::Elicitation { server },
            "item/tool/call" => Ask::ToolCall(serde_json::from_str(params).unwrap_or_default()),
            _ => Ask::Unknown { method: method.to_owned() },
        }
    }

    /// The answer that refuses it and lets the turn go on.
    fn refusal(&self) -> Result<Value, RpcError> {
        match self {
            Ask::Command { .. } | Ask::FileChange { .. } => Ok(json!({ "decision": "decline" })),
            Ask::Permissions { .. } => Ok(json!({ "permissions": {}, "scope": "turn" })),
            Ask::UserInput => Ok(json!({ "answers": {} })),
            Ask::Elicitation { .. } => Ok(json!({ "action": "decline", "content": null })),
            Ask::ToolCall(ToolCall { tool, .. }) => Ok(tools::answer(&Err(format!(
                "The tool {tool} gave no answer: no agent of this server has this thread now, or the turn of the call is over."
            )))),
            Ask::Unknown { method } => {
                Err(RpcError { code: -32601, message: format!("this client does not know {method}"), data: None })
            }
        }
    }

    /// What was asked, in one short line.
    pub fn summary(&self) -> String {
        let because = |reason: &Option<String>| reason.as_ref().map(|r| format!(" ({r})")).unwrap_or_default();
        match self {
            Ask::Command { command, reason } => format!("to run `{command}`{}", because(reason)),
            Ask::FileChange { reason } => format!("to change files{}", because(reason)),
            Ask::Permissions { reason } => format!("for more permissions{}", because(reason)),
            Ask::UserInput => "a question to the user".into(),
            Ask::Elicitation { server } => format!("of the MCP server {server}"),
            Ask::ToolCall(ToolCall { tool, .. }) => format!("to call the tool {tool}"),
            Ask::Unknown { method } => format!("{method}, which this version does not know"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_asked_has_an_answer() {
        let command = Ask::read("item/commandExecution/requestApproval", r#"{"command":"touch a","reason":"need it"}"#);
        assert_eq!(command.summary(), "to run `touch a` (need it)");
        assert_eq!(command.refusal().unwrap()["decision"], "decline");
        let unknown = Ask::read("item/new/thing", "not even JSON");
        assert_eq!(unknown.refusal().unwrap_err().code, -32601);
        for garbage in ["not even JSON", "[]", r#"{"tool": 7}"#, r#"{"turnId": ""}"#] {
            assert_eq!(Ask::read("item/tool/call", garbage).refusal().unwrap()["success"], false, "{garbage}");
        }
    }
}
