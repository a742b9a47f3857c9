//! A running server: builds the rooms, joins them, and takes them down in order.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rmcp::RoleServer;
use rmcp::service::{ServerInitializeError, Service, serve_server};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};

use crate::codex::{Codex, Environment, Launch, run_dir};
use crate::config::{Events, Settings};
pub use crate::courier::InboxSocket;
use crate::courier::{Courier, Desk, MailRules};
use crate::home::Home;
use crate::ids::{AgentId, AgentName};
use crate::journal::{Event, Journal};
use crate::mail::{Teams, TeamsSetup};
use crate::mcp::{AgentServer, Door, Server};
use crate::queue::{Limits, Queues};
use crate::session::{Caller, Found, FullAccess, McpServer, Record, Roster, RosterError, Setup, Who};
use crate::tools::{AgentTools, Office};

/// How long Codex may take to start and answer: a tool call says within 15 s that it does not.
const START_DEADLINE: Duration = Duration::from_secs(10);

/// How long the end of everything but Codex may take; Codex goes within two seconds, or is killed.
const END_MAX: Duration = Duration::from_millis(7_500);

/// What a server is started with.
#[derive(Debug, Clone)]
pub struct Serve {
    /// The settings.
    pub settings: Settings,
    /// Where things are kept.
    pub home: Home,
    /// Where relative directories begin if the client has no root.
    pub own_directory: PathBuf,
    /// The agent to continue at once.
    pub resume: Option<Resume>,
    /// The client's Claude Code session, if it has one.
    pub claude_session: Option<String>,
    /// The inbox socket of that session; used if the settings say so.
    pub inbox_socket: Option<InboxSocket>,
}

/// Which agent is continued at the start.
#[derive(Debug, Clone)]
pub enum Resume {
    /// The one that was active last.
    Last,
    /// By its id or its name.
    Named(String),
}

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Nobody to continue.
    #[error("no agent to resume: {0}")]
    Resume(String),
    /// Nobody to speak for.
    #[error("no agent to speak for (ATM_AGENT_MCP_SPEAKS_AS): {0}")]
    NoAgent(String),
    /// The client said something else than hello.
    #[error("the client did not open a session: {0}")]
    Handshake(String),
}

impl Serve {
    /// Serves one client on a pair of pipes until it leaves, or `stop` comes.
    pub async fn run<R, W>(self, reader: R, writer: W, stop: impl Future<Output = ()>) -> Result<(), ServeError>
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let Serve { settings, home, own_directory, resume, claude_session, inbox_socket } = self;
        let program = settings.codex_bin.clone();
        let environment = Environment::without(settings.env_remove.clone());
        let pieces = settings.trust.events == Events::All;
        let launch =
            Launch { program, environment, home: home.clone(), deadline: START_DEADLINE, pieces, overrides: &[] };
        let codex = Arc::new(Codex::new(launch));
        let dir = home.team(&settings.team);
        let agent_tools = agent_tools(&home, &settings, claude_session.as_deref());
        let teams = teams(&home, &settings, own_directory.clone(), claude_session);
        let journal = Journal::open(&home, &settings.team);
        let office = Office::new(teams.clone(), dir.clone(), settings.lead.clone(), journal.clone());
        let setup = Setup {
            team: settings.team.clone(),
            dir: dir.clone(),
            lead: settings.lead.clone(),
            default_name: settings.identity.clone().unwrap_or_else(default_name),
            limit: settings.max_concurrent_threads,
            full_access: full_access(&home, &settings),
            tools: Some(Arc::new(AgentTools::new(office.clone(), agent_tools))),
            approval_timeout: settings.trust.approval_timeout,
            stall: settings.trust.stall,
        };
        let roster = Arc::new(Roster::new(setup, codex.clone()));
        // Before any agent of theirs is continued: a Codex that still lives could still write to its thread.
        run_dir::sweep(&home);
        if let Some(resume) = resume {
            continue_one(&roster, &resume).await?;
        }
        let grace = settings.trust.shutdown_grace;
        let queues = Queues::new(home.team(&settings.team), queue_limits(&settings));
        let desk = Desk::new(teams, dir, settings.lead.clone(), journal.clone(), mail_rules(&settings));
        let desk = desk.with_socket(inbox_socket.filter(|_| settings.mail.inbox_socket));
        let courier = Courier::start(roster.clone(), queues.clone(), Some(desk), settings.request_timeout);
        let server = Server::new(roster.clone(), queues, office, journal.clone(), settings, own_directory);
        let attended = server.clone().attend();
        let door = Door::open(reader, writer);
        let left = door.left();
        // rmcp waits 5 s for calls that are under way when the client leaves; parked, they end at once.
        let parting = async {
            let why = tokio::select! {
                () = left => "the client has left",
                () = stop => "it was asked to end",
            };
            // One that nobody has used leaves nothing behind.
            if roster.codex().is_some() {
                went_through(&journal, "serve_end", why.to_owned(), None);
            }
            let until = Instant::now() + END_MAX;
            roster.leave_all(grace).await;
            timeout_at(until, roster.park_all()).await.ok();
            until
        };
        tokio::pin!(parting);
        let (served, until) = tokio::select! {
            served = attend(server, door) => (served, parting.await),
            until = &mut parting => (Ok(()), until),
            () = attended => unreachable!("it attends for ever"),
        };
        // What hangs is left: it is in files, and the next start goes on from there.
        let last = async {
            courier.end().await;
            let journal = journal.clone();
            tokio::task::spawn_blocking(move || journal.close()).await.ok();
        };
        if timeout_at(until, last).await.is_err() {
            let error = "something hangs, and is left as it is; the next start takes it up";
            tracing::warn!(error);
            went_through(&journal, "serve_end", String::new(), Some(error));
        }
        codex.shutdown().await;
        served
    }
}

fn full_access(home: &Home, settings: &Settings) -> FullAccess {
    if settings.allow_full_access { FullAccess::Allowed } else { FullAccess::Refused { settings: home.config_file() } }
}

/// A line in what the program goes through.
fn went_through(journal: &Journal, action: &str, result: String, error: Option<&str>) {
    let level = if error.is_some() { tracing::Level::WARN } else { tracing::Level::INFO };
    let result = Some(result.as_str()).filter(|result| !result.is_empty());
    journal.event(Event { level, action, agent: None, result, error });
}

/// What the settings let a queue take.
pub fn queue_limits(settings: &Settings) -> Limits {
    Limits { bytes: settings.queue_max_bytes, entries: settings.queue_max_entries, ttl: settings.queue_ttl }
}

/// The mail of one agent, for a thread that cannot have its tools otherwise.
#[derive(Debug, Clone)]
pub struct AgentMail {
    /// The settings.
    pub settings: Settings,
    /// Where things are kept.
    pub home: Home,
    /// Where it was started.
    pub own_directory: PathBuf,
    /// The client's Claude Code session, if it has one.
    pub claude_session: Option<String>,
}

impl AgentMail {
    /// Serves the tools of this agent on a pair of pipes until the other side leaves.
    pub async fn run<R, W>(self, agent: &str, reader: R, writer: W) -> Result<(), ServeError>
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let AgentMail { settings, home, own_directory, claude_session } = self;
        let dir = home.team(&settings.team);
        let id = AgentId::parse(agent).map_err(|error| ServeError::NoAgent(error.to_string()))?;
        let record = Record::load(&dir, &id).map_err(ServeError::NoAgent)?;
        let record = record.ok_or_else(|| ServeError::NoAgent(format!("the team {} has no {id}", settings.team)))?;
        let teams = teams(&home, &settings, own_directory, claude_session);
        let journal = Journal::open(&home, &settings.team);
        let office = Office::new(teams, dir, settings.lead.clone(), journal.clone());
        let caller = Caller { agent: id, name: record.identity };
        let served = attend(AgentServer::new(AgentTools::new(office, None), caller), Door::open(reader, writer)).await;
        tokio::task::spawn_blocking(move || journal.close()).await.ok();
        served
    }
}

fn teams(home: &Home, settings: &Settings, cwd: PathBuf, session_id: Option<String>) -> Teams {
    Teams::open(TeamsSetup {
        home: home.clone(),
        team: settings.team.clone(),
        is_named: settings.team_is_named,
        lead: settings.lead.clone(),
        cwd,
        session_id,
    })
}

/// Our own program as a server of the agents' tools, for threads that cannot have them otherwise.
fn agent_tools(home: &Home, settings: &Settings, claude_session: Option<&str>) -> Option<McpServer> {
    let command = std::env::current_exe().ok()?.to_str()?.to_owned();
    let env = [
        ("ATM_HOME", Some(home.root().to_str()?)),
        ("ATM_TEAM", Some(settings.team.as_str())),
        ("ATM_AGENT_MCP_LEAD", Some(settings.lead.as_str())),
        ("CLAUDE_CODE_SESSION_ID", claude_session),
    ];
    let set = |(name, value): (&str, Option<&str>)| Some((name.to_owned(), value?.to_owned()));
    let env = env.into_iter().filter_map(set).collect();
    Some(McpServer { command, args: vec!["agent-tools".to_owned()], env })
}

/// How the settings let mail be brought.
fn mail_rules(settings: &Settings) -> MailRules {
    let mail = settings.mail.clone();
    let (poll, messages, length) = (mail.poll, mail.messages, mail.length);
    let asks_lead = settings.trust.approvals_to_lead;
    MailRules { is_auto: Arc::new(move |agent| mail.is_auto(agent)), poll, messages, length, asks_lead }
}

fn default_name() -> AgentName {
    AgentName::parse("codex").expect("codex keeps the rule of names")
}

async fn attend(server: impl Service<RoleServer>, door: Door) -> Result<(), ServeError> {
    match serve_server(server, door).await {
        Ok(running) => {
            running.waiting().await.ok();
            Ok(())
        }
        // A client that leaves before it has said anything has not asked for anything.
        Err(ServerInitializeError::ConnectionClosed(_)) => Ok(()),
        Err(error) => Err(ServeError::Handshake(error.to_string())),
    }
}

async fn continue_one(roster: &Roster, resume: &Resume) -> Result<(), ServeError> {
    let who = match resume {
        Resume::Last => {
            let records = roster.records().map_err(|error| ServeError::Resume(error.to_string()))?;
            let last = records.into_iter().find(|record| record.thread_id.is_some() && !record.closed);
            let none = || ServeError::Resume(format!("the team {} has none that could be continued", roster.team()));
            Who::Agent(last.ok_or_else(none)?.agent_id)
        }
        Resume::Named(name) => Who::parse(name).map_err(|error| ServeError::Resume(error.to_string()))?,
    };
    let resumed = match roster.find(&who) {
        Ok(Found::Kept(record)) => roster.resume(&record.agent_id, |_| {}).await.map(drop),
        Ok(Found::Live(_)) => Ok(()),
        Err(error) => Err(error),
    };
    resumed.map_err(|error: RosterError| ServeError::Resume(error.to_string()))
}
