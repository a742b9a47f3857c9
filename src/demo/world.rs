//! A world of its own: a scripted model, a home, a Codex home and a project in a temporary directory.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use rmcp::model::{CallToolRequestParams, CallToolResult};
use rmcp::serve_client;
use rmcp::service::{RoleClient, RunningService, ServiceError};
#[cfg(unix)]
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use serde_json::Value;
use tokio::process::{Child, Command};

use super::model::{API_KEY_VAR, Model, Reply, Request};
use crate::codex::run_dir;
use crate::home::Home;

/// The world; it goes with its owner, and so does what its servers have started.
#[derive(Debug)]
pub struct World {
    dir: tempfile::TempDir,
    model: Model,
}

impl World {
    /// Makes one, with a model that follows `script`.
    pub async fn new(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> io::Result<World> {
        let model = Model::start(script).await?;
        let dir = tempfile::Builder::new().prefix("atm-world-").tempdir()?;
        let world = World { dir, model };
        for made in [world.home(), world.codex_home(), world.project()] {
            std::fs::create_dir(made)?;
        }
        std::fs::write(world.codex_home().join("config.toml"), world.model.codex_config())?;
        Ok(world)
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// What stands for the user's home.
    pub fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// What stands for `~/.codex`.
    pub fn codex_home(&self) -> PathBuf {
        self.dir.path().join("codex")
    }

    /// A directory to work in.
    pub fn project(&self) -> PathBuf {
        self.dir.path().join("project")
    }

    /// Our program in this world, with this Codex; nothing of the caller's settings reaches it.
    pub fn command(&self, program: &Path, codex: &Path) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ["ATM_", "CODEX_", "OPENAI_", "CLAUDE"].iter().any(|prefix| text.starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command
            .env("ATM_HOME", self.home())
            // Codex starts a shell that reads the user's own settings.
            .env("HOME", self.home())
            .env("CODEX_HOME", self.codex_home())
            .env("ATM_AGENT_MCP_CODEX_BIN", codex)
            .env(API_KEY_VAR, "none")
            .current_dir(self.project())
            .kill_on_drop(true);
        command
    }
}

/// What servers were killed in it is ended before the directory goes: a Codex would go on to write there.
impl Drop for World {
    fn drop(&mut self) {
        run_dir::sweep(&Home::at(self.home()));
    }
}

/// A server's process. Dropped, it is killed, and dead.
#[derive(Debug)]
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.start_kill().ok();
        // What it had locked is free when it is gone, and not before.
        #[cfg(unix)]
        if let Some(pid) = self.0.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw) {
            waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).ok();
        }
    }
}

/// An MCP client, with the server that it started.
#[derive(Debug)]
pub struct Client {
    service: RunningService<RoleClient, ()>,
    server: Server,
}

impl Client {
    /// Starts a server and opens a session with it.
    pub async fn start(mut command: Command) -> Result<Client, String> {
        let server = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut server = Server(server.map_err(|error| format!("the server cannot be started: {error}"))?);
        let (Some(stdout), Some(stdin)) = (server.0.stdout.take(), server.0.stdin.take()) else {
            return Err("the server has no pipes".to_owned());
        };
        let service = serve_client((), (stdout, stdin)).await.map_err(|error| format!("no session: {error}"))?;
        Ok(Client { service, server })
    }

    /// The session.
    pub fn service(&self) -> &RunningService<RoleClient, ()> {
        &self.service
    }

    /// The server's process.
    pub fn server(&mut self) -> &mut Child {
        &mut self.server.0
    }

    /// Calls a tool.
    pub async fn call(&self, tool: &'static str, arguments: Value) -> Result<CallToolResult, ServiceError> {
        let mut params = CallToolRequestParams::new(tool);
        if let Value::Object(arguments) = arguments {
            params = params.with_arguments(arguments);
        }
        self.service.call_tool(params).await
    }

    /// Leaves, as a client does: closes the server's stdin and waits for its end.
    pub async fn leave(mut self) -> io::Result<ExitStatus> {
        self.service.close().await.ok();
        drop(self.service);
        self.server.0.wait().await
    }
}
