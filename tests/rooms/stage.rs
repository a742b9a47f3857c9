//! Server and client over pipes in memory, and a Codex whose every word the test says itself.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use atm_agent_mcp::codex::{Codex, Environment, Launch};
use atm_agent_mcp::config::{self, Events, ServeFlags, Sources};
use atm_agent_mcp::courier::Courier;
use atm_agent_mcp::home::Home;
use atm_agent_mcp::ids::AgentName;
use atm_agent_mcp::journal::Journal;
use atm_agent_mcp::mail::{Teams, TeamsSetup};
use atm_agent_mcp::mcp::{Door, Server};
use atm_agent_mcp::queue::{Limits, Queues};
use atm_agent_mcp::rpc::Connection;
use atm_agent_mcp::session::{FullAccess, Roster, Setup, Toolbox};
use atm_agent_mcp::tools::{AgentTools, Office};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines};

/// How much a pipe holds, in bytes, as on Linux.
const PIPE: usize = 64 * 1024;

/// The whole of it.
pub(crate) struct Stage {
    pub(crate) codex: Script,
    pub(crate) client: McpClient,
    pub(crate) queues: Queues,
    journal: Journal,
    audit: PathBuf,
    _courier: Courier,
    _dir: tempfile::TempDir,
}

/// The app-server's side.
pub(crate) struct Script {
    connection: Connection,
}

/// The client's side, raw.
pub(crate) struct McpClient {
    writer: DuplexStream,
    lines: Lines<BufReader<DuplexStream>>,
}

impl Stage {
    /// Server, client and Codex, with hands shaken.
    pub(crate) async fn open(flags: ServeFlags) -> Stage {
        Stage::open_with(flags, None).await
    }

    /// The same, with tools for the agents.
    pub(crate) async fn open_with(flags: ServeFlags, tools: Option<Arc<dyn Toolbox>>) -> Stage {
        Stage::joined(flags, &[], |_| tools).await
    }

    /// The same, with the tools of mail for the agents.
    pub(crate) async fn with_mail() -> Stage {
        Stage::joined(ServeFlags::default(), &[], |office| Some(Arc::new(AgentTools::new(office.clone(), None)))).await
    }

    /// The same, for a client that wants this of `events`.
    pub(crate) async fn with_events(events: &str) -> Stage {
        Stage::joined(ServeFlags::default(), &[("ATM_AGENT_MCP_EVENTS", events)], |_| None).await
    }

    async fn joined(
        flags: ServeFlags,
        env: &[(&str, &str)],
        tools: impl FnOnce(&Office) -> Option<Arc<dyn Toolbox>>,
    ) -> Stage {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let env = |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).into());
        let loaded = config::load(&Sources { flags: &flags, env: &env, cwd: dir.path(), home: &home }).unwrap();
        let settings = loaded.settings;
        let teams = Teams::open(TeamsSetup {
            home: home.clone(),
            team: settings.team.clone(),
            is_named: false,
            lead: settings.lead.clone(),
            cwd: dir.path().to_owned(),
            session_id: None,
        });
        let journal = Journal::open(&home, &settings.team);
        let office = Office::new(teams, home.team(&settings.team), settings.lead.clone(), journal.clone());
        let (ours, theirs) = Connection::memory();
        let launch = Launch {
            program: None,
            environment: Environment::default(),
            home: home.clone(),
            deadline: Duration::from_secs(10),
            pieces: settings.trust.events == Events::All,
            overrides: &[],
        };
        let setup = Setup {
            team: settings.team.clone(),
            dir: home.team(&settings.team),
            lead: settings.lead.clone(),
            default_name: AgentName::parse("codex").unwrap(),
            limit: settings.max_concurrent_threads,
            full_access: FullAccess::Allowed,
            tools: tools(&office),
            approval_timeout: settings.trust.approval_timeout,
            stall: settings.trust.stall,
        };
        let roster = Arc::new(Roster::new(setup, Arc::new(Codex::joined_to(ours, launch))));
        let queues = Queues::new(home.team(&settings.team), Limits::default());
        let courier = Courier::start(roster.clone(), queues.clone(), None, settings.request_timeout);
        let (team, audit) = (queues.clone(), home.team(&settings.team).audit());
        let server = Server::new(roster, queues, office, journal.clone(), settings, dir.path().to_owned());
        let ((client_end, server_in), (server_out, client_in)) = (tokio::io::duplex(PIPE), tokio::io::duplex(PIPE));
        tokio::spawn(server.clone().attend());
        tokio::spawn(async move {
            let running = rmcp::service::serve_server(server, Door::open(server_in, server_out)).await.unwrap();
            running.waiting().await.unwrap();
        });
        let mut client = McpClient { writer: client_end, lines: BufReader::new(client_in).lines() };
        let hello =
            json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
        client.send(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello})).await;
        client.answer_to(0).await;
        client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
        Stage {
            codex: Script { connection: theirs },
            client,
            queues: team,
            journal,
            audit,
            _courier: courier,
            _dir: dir,
        }
    }

    /// The lines of the journal, which ends.
    pub(crate) fn audit(&self) -> Vec<Value> {
        self.journal.close();
        let text = std::fs::read_to_string(&self.audit).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Starts the agent `codex` and brings it to a running turn; the call has the id 1, the turn is `turn-1`.
    pub(crate) async fn with_running_turn(flags: ServeFlags) -> Stage {
        Stage::open(flags).await.at_work().await
    }

    /// The same on a stage that is open.
    pub(crate) async fn at_work(mut self) -> Stage {
        self.client.call(1, "codex", &json!({"prompt": "work"})).await;
        self.codex.shake_hands().await;
        self.codex.open_thread().await;
        self.codex.accept_turn("turn-1").await;
        self.codex.say("turn/started", &turn("turn-1", "inProgress"));
        self
    }
}

/// What `turn/started` and `turn/completed` carry.
pub(crate) fn turn(id: &str, status: &str) -> Value {
    json!({"threadId": "thread-1", "turn": {"id": id, "status": status, "items": []}})
}

/// An agent's message, complete.
pub(crate) fn said(turn: &str, text: &str) -> Value {
    json!({"threadId": "thread-1", "turnId": turn, "item": {"type": "agentMessage", "id": "m", "text": text}})
}

impl Script {
    /// The next thing that is said to Codex, but for the question what its own settings are: there are none.
    pub(crate) async fn hear(&mut self) -> Value {
        loop {
            let line = self.connection.incoming.recv().await.expect("the server speaks");
            let heard: Value = serde_json::from_str(&line).unwrap();
            if heard["method"] != "config/read" {
                return heard;
            }
            self.answer(&heard, &json!({}));
        }
    }

    /// The next request, which must be this one.
    pub(crate) async fn expect(&mut self, method: &str) -> Value {
        let heard = self.hear().await;
        assert_eq!(heard["method"], method, "{heard}");
        heard
    }

    /// Answers a request.
    pub(crate) fn answer(&self, request: &Value, result: &Value) {
        self.connection.outgoing.send(json!({"id": request["id"], "result": result}).to_string()).unwrap();
    }

    /// Refuses a request.
    pub(crate) fn refuse(&self, request: &Value, why: &str) {
        let error = json!({"code": -32600, "message": why});
        self.connection.outgoing.send(json!({"id": request["id"], "error": error}).to_string()).unwrap();
    }

    /// Says something of its own accord.
    pub(crate) fn say(&self, method: &str, params: &Value) {
        self.connection.outgoing.send(json!({"method": method, "params": params}).to_string()).unwrap();
    }

    /// Asks something under this request id.
    pub(crate) fn asks(&self, id: u64, method: &str, params: &Value) {
        self.connection.outgoing.send(json!({"id": id, "method": method, "params": params}).to_string()).unwrap();
    }

    pub(crate) async fn shake_hands(&mut self) {
        let hello = self.expect("initialize").await;
        self.answer(&hello, &json!({"userAgent": "atm-agent-mcp/0.169.0 (script)"}));
        self.expect("initialized").await;
    }

    pub(crate) async fn open_thread(&mut self) {
        let start = self.expect("thread/start").await;
        self.answer(&start, &json!({"thread": {"id": "thread-1"}, "model": "m"}));
    }

    /// An agent is closed: its commands in the background are ended, and nothing more of its thread is to be told.
    pub(crate) async fn lets_go(&mut self) {
        for method in ["thread/backgroundTerminals/clean", "thread/unsubscribe"] {
            let request = self.expect(method).await;
            self.answer(&request, &json!({}));
        }
    }

    pub(crate) async fn accept_turn(&mut self, id: &str) {
        let start = self.expect("turn/start").await;
        self.answer(&start, &json!({"turn": {"id": id, "status": "inProgress", "items": []}}));
    }
}

impl McpClient {
    pub(crate) async fn send(&mut self, message: &Value) {
        self.writer.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }

    /// Calls a tool, with a progress token of the same number.
    pub(crate) async fn call(&mut self, id: u64, tool: &str, arguments: &Value) {
        let params = json!({"name": tool, "arguments": arguments, "_meta": {"progressToken": id}});
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})).await;
    }

    /// The next line.
    pub(crate) async fn next(&mut self) -> Value {
        serde_json::from_str(&self.lines.next_line().await.unwrap().expect("the server speaks")).unwrap()
    }

    /// The results of many calls, whatever the order in which they come.
    pub(crate) async fn results_of(&mut self, ids: std::ops::RangeInclusive<u64>) -> Vec<Value> {
        let mut results = std::collections::BTreeMap::new();
        while results.len() < ids.clone().count() {
            let mut line = self.next().await;
            if let Some(id) = line["id"].as_u64().filter(|id| ids.contains(id)) {
                results.insert(id, line["result"].take());
            }
        }
        results.into_values().collect()
    }

    /// The answer to a request; what comes before it is passed over.
    pub(crate) async fn answer_to(&mut self, id: u64) -> Value {
        loop {
            let line = self.next().await;
            if line["id"] == id {
                return line;
            }
        }
    }
}
