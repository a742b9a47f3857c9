//! One server after the other, each with real Codex: started, killed, and asked how things stand.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use atm_agent_mcp::demo::world::{Client, World};
use atm_agent_mcp::steps;
use rmcp::RoleClient;
use rmcp::model::{CallToolRequestParams, CallToolResult};
use rmcp::service::Peer;
use serde_json::{Value, json};

use crate::armoury::Arm;

/// The agent's name.
pub(crate) const AGENT: &str = "chaos";
pub(crate) const TEAM: &str = "chaos";
/// How long a server may take to start; Codex takes a second.
const START: Duration = Duration::from_secs(60);
/// How long it may take to say how things stand.
const ANSWER: Duration = Duration::from_secs(5);
/// How long an armed one is left to come to its step.
const TIME_TO_FALL: Duration = Duration::from_secs(8);

/// What every server is started with.
#[derive(Debug)]
pub(crate) struct Programs {
    pub(crate) server: PathBuf,
    pub(crate) codex: PathBuf,
    /// What they print to stderr.
    pub(crate) log: PathBuf,
}

/// A server that runs.
#[derive(Debug)]
pub(crate) struct Server {
    client: Client,
    pid: u32,
    armed: Option<Arm>,
    since: Instant,
}

impl Server {
    /// Starts one; with an arm it may fall before it is there.
    pub(crate) async fn start(
        world: &World,
        programs: &Programs,
        flags: &[&str],
        armed: Option<Arm>,
    ) -> io::Result<Server> {
        let mut command = world.command(&programs.server, &programs.codex);
        let log = File::options().create(true).append(true).open(&programs.log)?;
        command.args(["serve", "--team", TEAM]).args(flags).stderr(log).env("ATM_LOG", "info");
        if let Some((step, time)) = armed {
            command.env(steps::KILL_AT, format!("{step}:{time}"));
        }
        let started = tokio::time::timeout(START, Client::start(command)).await;
        let mut client = started.map_err(io::Error::other)?.map_err(io::Error::other)?;
        let pid = client.server().id().unwrap_or_default();
        Ok(Server { client, pid, armed, since: Instant::now() })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// The step at which it is to fall.
    pub(crate) fn armed(&self) -> Option<&'static str> {
        self.armed.map(|(step, _)| step)
    }

    /// Whether it may be killed at random, or is left to come to its step.
    pub(crate) fn is_a_target(&self) -> bool {
        self.armed.is_none() || self.since.elapsed() > TIME_TO_FALL
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.client.server().try_wait()
    }

    /// Ends it with SIGKILL, and waits until its process is gone.
    pub(crate) async fn kill(&mut self) -> io::Result<()> {
        self.client.server().kill().await
    }

    /// Tells it to end with SIGTERM, and waits until its process is gone.
    pub(crate) async fn terminate(&mut self) -> io::Result<ExitStatus> {
        let pid = i32::try_from(self.pid).ok().and_then(rustix::process::Pid::from_raw);
        let pid = pid.ok_or_else(|| io::Error::other("a server without a process"))?;
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        match tokio::time::timeout(START, self.client.server().wait()).await {
            Ok(status) => status,
            Err(_) => {
                self.kill().await?;
                self.client.server().wait().await
            }
        }
    }

    /// Leaves it, as a client does.
    pub(crate) async fn leave(self) -> io::Result<ExitStatus> {
        self.client.leave().await
    }

    /// Whom to call.
    pub(crate) fn peer(&self) -> Peer<RoleClient> {
        self.client.service().peer().clone()
    }

    /// A tool's answer, if there is one in time.
    pub(crate) async fn ask(&self, tool: &'static str, arguments: Value) -> Option<Value> {
        let answer = tokio::time::timeout(ANSWER, self.client.call(tool, arguments)).await;
        let answer: CallToolResult = answer.ok()?.ok()?;
        answer.structured_content
    }

    /// Calls a tool; nobody waits for the answer.
    pub(crate) fn begin(&self, tool: &'static str, mut arguments: Value) {
        let peer = self.peer();
        let arguments = arguments.as_object_mut().map(std::mem::take).unwrap_or_default();
        tokio::spawn(async move { peer.call_tool(CallToolRequestParams::new(tool).with_arguments(arguments)).await });
    }

    /// The running Codex.
    pub(crate) async fn codex(&self) -> Option<i32> {
        i32::try_from(self.ask("agent_status", json!({})).await?["codex"]["pid"].as_i64()?).ok()
    }

    /// Whether the agent has nothing to do.
    pub(crate) async fn is_idle(&self) -> bool {
        let status = self.ask("agent_status", json!({"identity": AGENT})).await;
        status.is_some_and(|status| status["status"] == "idle")
    }
}

/// Keeps what the servers said, for whoever looks for a fault.
pub(crate) fn keep_log(world: &World) -> io::Result<()> {
    let kept = std::env::temp_dir().join(format!("atm-chaos-{}.log", std::process::id()));
    std::fs::copy(world.home().join("log"), &kept)?;
    eprintln!("what the servers said is in {}", kept.display());
    Ok(())
}
