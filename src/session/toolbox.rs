//! The tools that agents have from us, whatever they are for.

use std::fmt::{self, Debug};

use futures_util::future::BoxFuture;
use serde_json::Value;

pub use crate::codex::tools::{McpServer, Tool, Tools};
use crate::ids::{AgentId, AgentName};

/// Who calls a tool: the agent whose thread it is, whatever the arguments say. A sub-agent calls as the agent that it
/// belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Which agent.
    pub agent: AgentId,
    /// Its name.
    pub name: AgentName,
}

/// What is done when an agent's model has something; dropped, the model may never have it.
pub type Then = BoxFuture<'static, ()>;

/// What a tool gave.
pub struct Given {
    /// For the model.
    pub text: String,
    /// Done when the model has it, whatever is killed then. Never done, the model may have it all the same.
    pub once_seen: Option<Then>,
}

impl From<String> for Given {
    fn from(text: String) -> Given {
        Given { text, once_seen: None }
    }
}

impl Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Given").field("text", &self.text).finish_non_exhaustive()
    }
}

/// What a tool gave, or what went wrong and what to do: text for the model, which is told that it is an error.
pub type ToolResult = Result<Given, String>;

/// Tools for agents.
pub trait Toolbox: Debug + Send + Sync {
    /// Which there are. A thread keeps those with which it was started: a later version is called by the names of an
    /// earlier one.
    fn tools(&self) -> &Tools;

    /// A sentence on them for an agent's instructions.
    fn introduction(&self) -> Option<&str> {
        None
    }

    /// An MCP server with the same tools, for a thread that cannot have them otherwise: its Codex refuses them, or it was
    /// started without.
    fn server(&self, _caller: &Caller) -> Option<McpServer> {
        None
    }

    /// Calls one of [`Toolbox::tools`]. The future is dropped when nobody waits for the result any more: the turn is over, or
    /// the agent is closed, or Codex is gone.
    fn call<'a>(&'a self, caller: Caller, tool: &'a str, arguments: Value) -> BoxFuture<'a, ToolResult>;
}
