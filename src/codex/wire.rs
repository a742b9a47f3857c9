//! Our part of the protocol of `codex app-server`: what we send and what we read of what it sends.
//!
//! A hand-written subset, tolerant of fields and variants that it does not know. `tests/real` checks it against the
//! schema that the installed Codex prints. Shapes as seen with 0.144.6 and 0.169.0.

pub use super::item::{Change, ChangeKind, Execution, Item, Part};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::path::PathBuf;

use super::access::SandboxOfThread;
use crate::ids::{DeliveryId, ThreadId, TurnId};
use crate::policy::{ApprovalPolicy, Sandbox};

/// The methods we call.
pub(super) mod method {
    pub(in crate::codex) const INITIALIZE: &str = "initialize";
    pub(in crate::codex) const INITIALIZED: &str = "initialized";
    pub(in crate::codex) const ACCOUNT_READ: &str = "account/read";
    pub(in crate::codex) const CONFIG_READ: &str = "config/read";
    pub(in crate::codex) const THREAD_START: &str = "thread/start";
    pub(in crate::codex) const THREAD_RESUME: &str = "thread/resume";
    pub(in crate::codex) const THREAD_UNSUBSCRIBE: &str = "thread/unsubscribe";
    pub(in crate::codex) const THREAD_INJECT_ITEMS: &str = "thread/inject_items";
    pub(in crate::codex) const THREAD_TURNS_LIST: &str = "thread/turns/list";
    pub(in crate::codex) const TURN_START: &str = "turn/start";
    pub(in crate::codex) const TURN_STEER: &str = "turn/steer";
    pub(in crate::codex) const TURN_INTERRUPT: &str = "turn/interrupt";
    pub(in crate::codex) const TERMINALS_CLEAN: &str = "thread/backgroundTerminals/clean";
}

/// The pieces of answers, which only some have use for.
pub(super) const PIECES: &str = "item/agentMessage/delta";

/// Notifications that we have no use for: asked not to be sent. The deltas are most of the traffic of a turn.
pub(super) const OPTED_OUT: [&str; 15] = [
    "account/rateLimits/updated",
    "command/exec/outputDelta",
    PIECES,
    "item/commandExecution/outputDelta",
    "item/fileChange/outputDelta",
    "item/fileChange/patchUpdated",
    "item/plan/delta",
    "item/reasoning/summaryPartAdded",
    "item/reasoning/summaryTextDelta",
    "item/reasoning/textDelta",
    "rawResponseItem/completed",
    "remoteControl/status/changed",
    "thread/readState/changed",
    "turn/diff/updated",
    "turn/plan/updated",
];

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Initialize {
    pub(super) client_info: ClientInfo,
    pub(super) capabilities: Capabilities,
}

#[derive(Debug, Serialize)]
pub(super) struct ClientInfo {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) version: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Capabilities {
    pub(super) experimental_api: bool,
    pub(super) opt_out_notification_methods: Vec<&'static str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Initialized {
    pub(super) user_agent: String,
    pub(super) codex_home: Option<std::path::PathBuf>,
}

/// What a thread is opened with, at its start and again at each resume (0.169.0 brings `workspace-write` back as
/// read-only, and forgets `config`, unless they are passed again). What is `None` is not sent: Codex's own settings hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ThreadOptions {
    /// Where the agent works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// The model's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Where commands may write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<Sandbox>,
    /// When Codex asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval_policy: Option<ApprovalPolicy>,
    /// Instead of Codex's own instructions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_instructions: Option<String>,
    /// Beside them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub developer_instructions: Option<String>,
    /// Values like those of `codex -c`, nested or with dotted keys.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub config: Map<String, Value>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ThreadResume<'a> {
    pub(super) thread_id: &'a ThreadId,
    pub(super) exclude_turns: bool,
    #[serde(flatten)]
    pub(super) options: &'a ThreadOptions,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OfThread<'a> {
    pub(super) thread_id: &'a ThreadId,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct InjectItems<'a> {
    pub(super) thread_id: &'a ThreadId,
    pub(super) items: [Value; 1],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TurnsList<'a> {
    pub(super) thread_id: &'a ThreadId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cursor: Option<&'a str>,
    pub(super) limit: u32,
    pub(super) sort_direction: &'static str,
    pub(super) items_view: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TurnStart<'a> {
    pub(super) thread_id: &'a ThreadId,
    pub(super) input: Vec<UserInput<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client_user_message_id: Option<&'a DeliveryId>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TurnSteer<'a> {
    pub(super) thread_id: &'a ThreadId,
    pub(super) expected_turn_id: &'a TurnId,
    pub(super) input: Vec<UserInput<'a>>,
    pub(super) client_user_message_id: &'a DeliveryId,
}

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub(super) enum UserInput<'a> {
    Text {
        text: &'a str,
        #[serde(rename = "text_elements")]
        text_elements: [(); 0],
    },
}

impl<'a> UserInput<'a> {
    /// A message of these parts. The model is given them apart; 0.144.6 joins them in the history, with nothing between.
    pub(super) fn texts(parts: &'a [String]) -> Vec<UserInput<'a>> {
        parts.iter().map(|text| UserInput::Text { text, text_elements: [] }).collect()
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TurnInterrupt<'a> {
    pub(super) thread_id: &'a ThreadId,
    pub(super) turn_id: &'a TurnId,
}

/// What `thread/start` and `thread/resume` answer.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ThreadOpened {
    /// The thread.
    pub thread: Thread,
    /// The model that Codex chose or was told.
    #[serde(default)]
    pub model: Option<String>,
    /// Where its commands may write.
    #[serde(default)]
    pub sandbox: SandboxOfThread,
    /// Who has the model.
    #[serde(default)]
    pub model_provider: Option<String>,
    /// Where the agent works.
    #[serde(default)]
    pub cwd: Option<String>,
    /// When Codex asks, in its own words.
    #[serde(default)]
    pub approval_policy: Value,
    /// How hard the model thinks.
    #[serde(default)]
    pub reasoning_effort: Option<String>,
}

/// A thread.
#[derive(Debug, Clone, Deserialize)]
pub struct Thread {
    /// Its id.
    pub id: ThreadId,
    /// The file in which Codex keeps it, if it says so.
    #[serde(default)]
    pub path: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
pub(super) struct TurnAnswer {
    pub(super) turn: Turn,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TurnPage<T> {
    pub(super) data: Vec<T>,
    #[serde(default)]
    pub(super) next_cursor: Option<String>,
}

/// A turn, in an event or in the history.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Turn {
    /// Its id.
    pub id: TurnId,
    /// What has become of it.
    pub status: TurnStatus,
    /// Why it failed.
    #[serde(default)]
    pub error: Option<TurnError>,
    /// What was said and done; in `turn/completed` the last answer only, or nothing.
    #[serde(default)]
    pub items: Vec<Item>,
    /// When it began, in seconds since 1970.
    #[serde(default)]
    pub started_at: Option<i64>,
    /// When it ended.
    #[serde(default)]
    pub completed_at: Option<i64>,
    /// How long it took.
    #[serde(default)]
    pub duration_ms: Option<u64>,
}

/// What has become of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TurnStatus {
    /// It came to its end.
    Completed,
    /// Somebody ended it.
    Interrupted,
    /// It could not go on.
    Failed,
    /// It runs.
    InProgress,
    /// A status that a later Codex invents.
    #[serde(other)]
    Unknown,
}

/// Why a turn failed.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TurnError {
    /// In Codex's words.
    pub message: String,
    /// More of them.
    #[serde(default)]
    pub additional_details: Option<String>,
    /// Of which kind, in its own form.
    #[serde(default)]
    pub codex_error_info: Option<Value>,
}

/// Tokens, counted by Codex, read in its words or in ours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tokens {
    /// All.
    #[serde(alias = "totalTokens")]
    pub total_tokens: u64,
    /// Read by the model.
    #[serde(alias = "inputTokens")]
    pub input_tokens: u64,
    /// Of these, from its cache.
    #[serde(alias = "cachedInputTokens")]
    pub cached_input_tokens: u64,
    /// Written by the model.
    #[serde(alias = "outputTokens")]
    pub output_tokens: u64,
    /// Of these, thinking.
    #[serde(alias = "reasoningOutputTokens")]
    pub reasoning_output_tokens: u64,
}

/// The tokens of a thread.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenUsage {
    /// Of the whole thread.
    pub total: Tokens,
    /// Of the model's last answer.
    pub last: Tokens,
    /// How many fit.
    #[serde(default)]
    pub model_context_window: Option<u64>,
}
