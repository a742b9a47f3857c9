//! A Codex that is started to be looked at: what it knows, whether it has an account, what it starts for each thread.
//!
//! It is asked as an agent's would be, and leaves nothing behind: its threads are ephemeral, and read only.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::access::ConfigRead;
use super::event::{self, ThreadEvent};
use super::process::Process;
use super::run_dir::RunDir;
use super::wire::{self, Item, ThreadOpened, ThreadOptions, TurnStatus, UserInput, method};
use super::{CodexError, Launch, ServerInfo, StartError, launch};
use crate::ids::ThreadId;
use crate::policy::{ApprovalPolicy, Sandbox};
use crate::rpc::{CallError, Incoming, Peer, RpcError};

/// How long an answer may take; none of what is asked goes to anybody but Codex.
const DEADLINE: Duration = Duration::from_secs(15);

/// A running Codex of our own, without agents.
#[derive(Debug)]
pub struct Probe {
    process: Process,
    _run: RunDir,
    peer: Peer,
    incoming: Receiver<Incoming>,
    /// What was heard while something else was awaited, and when.
    heard: Vec<(Instant, Note)>,
    tasks: JoinSet<()>,
    info: ServerInfo,
    codex_home: Option<PathBuf>,
}

#[derive(Debug)]
struct Note {
    method: String,
    params: String,
}

/// Who pays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Login {
    /// The account that Codex has, if any.
    pub account: Option<Account>,
    /// Whether its model provider needs one of OpenAI's.
    pub requires_openai_auth: bool,
}

/// An account, as far as it may be told.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// `apiKey`, `chatgpt`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// What was paid for.
    #[serde(default)]
    pub plan_type: Option<String>,
}

/// The user's own configuration of Codex, as far as it matters to every thread.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct OwnSetup {
    /// The model, if one is set.
    pub model: Option<String>,
    /// Who has the model, if it is set.
    pub model_provider: Option<String>,
    model_providers: Option<BTreeMap<String, Provider>>,
    mcp_servers: Option<BTreeMap<String, Server>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Provider {
    env_key: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Server {
    #[serde(default = "yes")]
    enabled: bool,
}

fn yes() -> bool {
    true
}

impl OwnSetup {
    /// The variable that the model provider's key is read from, if it has one.
    pub fn key_variable(&self) -> Option<&str> {
        let provider = self.model_providers.as_ref()?.get(self.model_provider.as_ref()?)?;
        provider.env_key.as_deref()
    }

    /// The MCP servers that are started for each thread, by name.
    pub fn mcp_servers(&self) -> Vec<&str> {
        let servers = self.mcp_servers.iter().flatten();
        servers.filter(|(_, server)| server.enabled).map(|(name, _)| name.as_str()).collect()
    }
}

/// What Codex warns of at its start, in its words.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Warning {
    /// What.
    pub summary: String,
    /// More of it.
    #[serde(default)]
    pub details: Option<String>,
    /// The file that it is about.
    #[serde(default)]
    pub path: Option<PathBuf>,
    #[serde(default)]
    range: Option<Range>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Range {
    start: Spot,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Spot {
    line: u64,
}

impl Warning {
    /// The line of the file, counted from 1.
    pub fn line(&self) -> Option<u64> {
        self.range.as_ref().map(|range| range.start.line)
    }
}

/// How the start of an MCP server went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpStart {
    /// Which.
    pub name: String,
    /// How long it took, or was waited for.
    pub took: Duration,
    /// What came of it.
    pub end: McpEnd,
}

/// What came of the start of an MCP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum McpEnd {
    /// Its tools are there.
    Ready,
    /// Codex gave it up, and says why.
    Failed(String),
    /// Nobody waited longer.
    Pending,
}

/// What was said to one question, and by whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The text.
    pub text: String,
    /// The model, as Codex calls it.
    pub model: Option<String>,
}

impl Probe {
    /// Starts one, as a server of ours would.
    pub async fn start(launch: &Launch) -> Result<Probe, StartError> {
        let launch::Begun { process, run, peer, incoming, tasks, info, codex_home } = launch::begin(launch).await?;
        Ok(Probe { process, _run: run, peer, incoming, heard: Vec::new(), tasks, info, codex_home })
    }

    /// Which Codex this is.
    pub fn info(&self) -> &ServerInfo {
        &self.info
    }

    /// Where its settings and threads are.
    pub fn codex_home(&self) -> Option<&Path> {
        self.codex_home.as_deref()
    }

    /// Whether it has an account, and needs one.
    pub async fn login(&mut self) -> Result<Login, CodexError> {
        self.call(method::ACCOUNT_READ, &json!({})).await
    }

    /// The user's own configuration, where an agent would work.
    pub async fn setup(&mut self, cwd: &str) -> Result<OwnSetup, CodexError> {
        #[derive(Deserialize)]
        struct Read {
            #[serde(default)]
            config: OwnSetup,
        }
        let params = ConfigRead { cwd: Some(cwd), include_layers: false };
        self.call::<Read>(method::CONFIG_READ, &params).await.map(|read| read.config)
    }

    /// Whether it knows a method that cannot be called without parameters: it says then that one is missing, and of a
    /// method that it does not know that it is an unknown variant (0.144.6 and 0.169.0).
    pub async fn knows(&mut self, method: &'static str) -> Result<bool, CodexError> {
        match self.call::<serde_json::Value>(method, &json!({})).await {
            Ok(_) => Ok(true),
            Err(CodexError::Refused { message, .. }) => Ok(!message.contains("unknown variant")),
            Err(error) => Err(error),
        }
    }

    /// Whether a thread can be given tools of ours: what is no list of tools is refused by who reads it, and passed over by
    /// who does not.
    pub async fn takes_tools(&mut self) -> Result<bool, CodexError> {
        let wrong = json!({ "dynamicTools": 0, "ephemeral": true });
        match self.call::<serde_json::Value>(method::THREAD_START, &wrong).await {
            Ok(_) => Ok(false),
            Err(CodexError::Refused { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// What Codex has warned of since its start.
    pub fn warnings(&self) -> Vec<Warning> {
        let warnings = self.heard.iter().filter(|(_, note)| note.method == "configWarning");
        warnings.filter_map(|(_, note)| serde_json::from_str(&note.params).ok()).collect()
    }

    /// A thread that is kept nowhere and may write nowhere.
    pub async fn open_thread(&mut self, cwd: &str) -> Result<ThreadOpened, CodexError> {
        #[derive(Serialize)]
        struct Start {
            #[serde(flatten)]
            options: ThreadOptions,
            ephemeral: bool,
        }
        let options = ThreadOptions {
            cwd: Some(cwd.to_owned()),
            sandbox: Some(Sandbox::ReadOnly),
            approval_policy: Some(ApprovalPolicy::Never),
            ..ThreadOptions::default()
        };
        self.call(method::THREAD_START, &Start { options, ephemeral: true }).await
    }

    /// Waits until each of these MCP servers has started for the thread, or has not.
    pub async fn mcp_starts(&mut self, thread: &ThreadId, servers: &[&str], limit: Duration) -> Vec<McpStart> {
        #[derive(Deserialize)]
        struct Status {
            name: String,
            status: String,
            #[serde(default)]
            error: Option<String>,
        }
        let (asked, until) = (Instant::now(), Instant::now() + limit);
        let mut began: BTreeMap<String, Instant> = BTreeMap::new();
        let mut ends: BTreeMap<String, McpStart> = BTreeMap::new();
        let mut seen = 0;
        loop {
            for (at, note) in &self.heard[seen..] {
                let is_ours = event::thread_of(&note.params).is_some_and(|of| of == *thread);
                if note.method != "mcpServer/startupStatus/updated" || !is_ours {
                    continue;
                }
                let Ok(Status { name, status, error }) = serde_json::from_str(&note.params) else { continue };
                let end = match status.as_str() {
                    "starting" => {
                        began.insert(name, *at);
                        continue;
                    }
                    "ready" => McpEnd::Ready,
                    _ => McpEnd::Failed(error.unwrap_or(status)),
                };
                let took = at.saturating_duration_since(*began.get(&name).unwrap_or(&asked));
                ends.insert(name.clone(), McpStart { name, took, end });
            }
            seen = self.heard.len();
            let is_done = servers.iter().all(|name| ends.contains_key(*name));
            if is_done || !matches!(timeout_at(until, self.hear()).await, Ok(true)) {
                break;
            }
        }
        let pending = |name: &str| McpStart { name: name.to_owned(), took: asked.elapsed(), end: McpEnd::Pending };
        servers.iter().map(|name| ends.remove(*name).unwrap_or_else(|| pending(name))).collect()
    }

    /// Asks the model one question in a thread. The error says what came instead of an answer, in Codex's words.
    pub async fn ask(&mut self, opened: &ThreadOpened, question: &str, limit: Duration) -> Result<Answer, String> {
        let (thread, until) = (&opened.thread.id, Instant::now() + limit);
        let question = [question.to_owned()];
        let params =
            wire::TurnStart { thread_id: thread, input: UserInput::texts(&question), client_user_message_id: None };
        let mut seen = self.heard.len();
        self.call::<wire::TurnAnswer>(method::TURN_START, &params).await.map_err(|error| error.to_string())?;
        let (mut text, mut trouble) = (String::new(), String::new());
        loop {
            for (_, note) in &self.heard[seen..] {
                if event::thread_of(&note.params).is_none_or(|of| of != *thread) {
                    continue;
                }
                match event::read(&note.method, &note.params) {
                    Some(ThreadEvent::ItemCompleted { item: Item::AgentMessage { text: said, .. }, .. }) => text = said,
                    Some(ThreadEvent::Failed { error, .. }) => trouble = error.message,
                    Some(ThreadEvent::TurnEnded(turn)) if turn.status == TurnStatus::Completed => {
                        return Ok(Answer { text, model: opened.model.clone() });
                    }
                    Some(ThreadEvent::TurnEnded(turn)) => {
                        let why = turn.error.map_or(trouble, |error| error.message);
                        return Err(if why.is_empty() { "the turn ended without an answer".to_owned() } else { why });
                    }
                    _ => {}
                }
            }
            seen = self.heard.len();
            match timeout_at(until, self.hear()).await {
                Ok(true) => {}
                Ok(false) => return Err("Codex is gone".to_owned()),
                Err(_) if trouble.is_empty() => return Err(format!("no answer within {} s", limit.as_secs())),
                Err(_) => return Err(format!("no answer within {} s; {trouble}", limit.as_secs())),
            }
        }
    }

    /// Ends it.
    pub async fn end(mut self) {
        self.process.end().await;
        self.tasks.shutdown().await;
    }

    /// Hears one thing; whether there is anything more to be heard. What Codex asks is refused.
    async fn hear(&mut self) -> bool {
        let incoming = self.incoming.recv().await;
        let is_open = incoming.is_some();
        self.note(incoming);
        is_open
    }

    fn note(&mut self, incoming: Option<Incoming>) {
        match incoming {
            Some(Incoming::Notification { method, params }) => {
                self.heard.push((Instant::now(), Note { method, params: params.get().to_owned() }));
            }
            Some(Incoming::Request { id, .. }) => {
                let message = "nobody is here to answer".to_owned();
                self.peer.answer(&id, &Err(RpcError { code: -32600, message, data: None }));
            }
            None => {}
        }
    }

    async fn call<T: DeserializeOwned>(
        &mut self,
        method: &'static str,
        params: &impl Serialize,
    ) -> Result<T, CodexError> {
        let mut end = Box::pin(self.peer.call(method, params, DEADLINE).end());
        // Unheard, what it says would stand in the way of the answer.
        let answer = loop {
            tokio::select! {
                biased;
                answer = &mut end => break answer,
                Some(incoming) = self.incoming.recv() => self.note(Some(incoming)),
            }
        };
        match answer {
            Ok(text) => serde_json::from_str(text.get())
                .map_err(|error| CodexError::Strange { method, error: error.to_string() }),
            Err(CallError::Refused(error)) => Err(CodexError::Refused { method, message: error.message }),
            Err(CallError::TimedOut { after }) => Err(CodexError::Silent { method, after }),
            Err(CallError::Closed) => Err(CodexError::Lost(self.process.last_words().after("Codex is gone").into())),
        }
    }
}
