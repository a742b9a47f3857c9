//! Our program, as an MCP client has it.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use atm_agent_mcp::demo::world::World;
use atm_agent_mcp::ids::AgentId;
use serde_json::{Value, json};

use super::Error;

/// The team of every agent here.
pub(crate) const TEAM: &str = "bench";

/// Our program, spoken to in lines: what a client's own machinery costs is not ours.
pub(crate) struct Server {
    pub(crate) child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Server {
    /// Starts it in `dir`, and has its answer to `initialize`.
    pub(crate) fn start(world: &World, codex: &Path, dir: &Path) -> Result<Server, Error> {
        let mut command = world.command(Path::new(env!("CARGO_BIN_EXE_atm-agent-mcp")), codex).into_std();
        command.args(["serve", "--team", TEAM]).env("ATM_AGENT_MCP_MAX_CONCURRENT_THREADS", "1000");
        let mut child = command.current_dir(dir).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        let pipes = stdin.zip(stdout).ok_or("the server has no pipes")?;
        let mut server = Server { child, stdin: Some(pipes.0), stdout: BufReader::new(pipes.1) };
        server.initialize()?;
        Ok(server)
    }

    fn initialize(&mut self) -> Result<(), Error> {
        let client = json!({ "name": "bench", "version": "0" });
        let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client });
        self.exchange("initialize", &hello)?;
        self.say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }))
    }

    fn say(&mut self, message: &Value) -> Result<(), Error> {
        let stdin = self.stdin.as_mut().ok_or("the server's stdin is closed")?;
        Ok(stdin.write_all(format!("{message}\n").as_bytes())?)
    }

    /// A request, its answer, and the time between them.
    pub(crate) fn exchange(&mut self, method: &str, params: &Value) -> Result<(Value, Duration), Error> {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let mut line = String::new();
        let since = Instant::now();
        self.say(&request)?;
        self.stdout.read_line(&mut line)?;
        let took = since.elapsed();
        let mut answer: Value = serde_json::from_str(&line).map_err(|e| format!("{method}: {e} in {line:?}"))?;
        match answer["result"].take() {
            result if result.is_null() || result["isError"] == true => Err(format!("{method}: {line}").into()),
            result => Ok((result, took)),
        }
    }

    pub(crate) fn call(&mut self, tool: &str, arguments: &Value) -> Result<(Value, Duration), Error> {
        self.exchange("tools/call", &json!({ "name": tool, "arguments": arguments }))
    }

    /// Starts an agent, whose first turn says a word.
    pub(crate) fn agent(&mut self, name: &str) -> Result<AgentId, Error> {
        let (result, _) = self.call("codex", &json!({ "identity": name, "prompt": "SAY hi" }))?;
        Ok(AgentId::parse(result["structuredContent"]["agent_id"].as_str().unwrap_or_default())?)
    }

    /// A turn of an agent.
    pub(crate) fn reply(&mut self, name: &str, text: &str) -> Result<Duration, Error> {
        self.call("codex-reply", &json!({ "identity": name, "prompt": text })).map(|(_, took)| took)
    }

    /// Where its app-server can be reached.
    pub(crate) fn socket(&mut self) -> Result<PathBuf, Error> {
        let (status, _) = self.call("agent_status", &json!({}))?;
        let socket = status["structuredContent"]["codex"]["socket"].as_str();
        Ok(socket.ok_or("the app-server has no socket that a bare client could use")?.into())
    }
}

/// Leaves as a client does.
impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stdin.take());
        self.child.wait().ok();
    }
}
