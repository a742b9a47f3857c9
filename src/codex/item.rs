//! What stands in a turn, as far as we read it.

use serde::Deserialize;

use crate::ids::ThreadId;

/// Something said or done in a turn.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Item {
    /// What the model was told.
    UserMessage {
        /// What its sender calls it; of ours, the delivery.
        #[serde(default)]
        client_id: Option<String>,
        /// In parts.
        #[serde(default)]
        content: Vec<Part>,
    },
    /// What the model said.
    AgentMessage {
        /// The text.
        #[serde(default)]
        text: String,
        /// `commentary` for what is not the answer.
        #[serde(default)]
        phase: Option<String>,
    },
    /// A command that was run.
    CommandExecution(Execution),
    /// Files that were changed.
    FileChange {
        /// Its id.
        #[serde(default)]
        id: String,
        /// Which, and how.
        #[serde(default)]
        changes: Vec<Change>,
        /// What has become of it: `inProgress`, `completed`, `failed`, `declined`.
        #[serde(default)]
        status: Option<String>,
    },
    /// A tool of an MCP server that was called.
    McpToolCall {
        /// The server.
        #[serde(default)]
        server: String,
        /// The tool.
        #[serde(default)]
        tool: String,
    },
    /// A tool of ours that was called.
    DynamicToolCall {
        /// Its id, that of the call.
        #[serde(default)]
        id: String,
        /// Its namespace.
        #[serde(default)]
        namespace: Option<String>,
        /// The tool.
        #[serde(default)]
        tool: String,
    },
    /// Sub-agents that were begun or spoken to, with the older tools for it (`spawn_agent` of `multi_agent_v1`).
    CollabAgentToolCall {
        /// What was done.
        #[serde(default)]
        tool: String,
        /// Their threads.
        #[serde(default)]
        receiver_thread_ids: Vec<ThreadId>,
    },
    /// A sub-agent that was begun, or has ended, with the newer tools (of `collaboration`).
    SubAgentActivity {
        /// Its thread.
        #[serde(default)]
        agent_thread_id: Option<ThreadId>,
    },
    /// A search of the web.
    WebSearch {
        /// For what.
        #[serde(default)]
        query: String,
    },
    /// The model thinks.
    Reasoning {},
    /// The history is made shorter.
    ContextCompaction {},
    /// A kind that we have no use for, or that a later Codex invents.
    #[serde(other)]
    Other,
}

/// A command that runs, or has run.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Execution {
    /// Its id.
    pub id: String,
    /// As a shell line.
    pub command: String,
    /// Where.
    pub cwd: Option<String>,
    /// What has become of it: `inProgress`, `completed`, `failed`, `declined`.
    pub status: Option<String>,
    /// What it has printed, once it ended.
    pub aggregated_output: Option<String>,
    /// Its exit code, once it ended.
    pub exit_code: Option<i64>,
    /// How long it took, once it ended.
    pub duration_ms: Option<u64>,
}

/// A part of a user's message.
#[derive(Debug, Clone, Deserialize)]
pub struct Part {
    /// Its text, if it is text.
    #[serde(default)]
    pub text: Option<String>,
}

/// A changed file.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Change {
    /// Which.
    pub path: String,
    /// Whether it is new, gone, or changed.
    pub kind: ChangeKind,
    /// The change as a diff; of a new file, its content.
    pub diff: String,
}

/// How a file is changed.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ChangeKind {
    /// `add`, `delete` or `update`.
    #[serde(rename = "type")]
    pub name: String,
    /// Where an updated file is moved to.
    pub move_path: Option<String>,
}
