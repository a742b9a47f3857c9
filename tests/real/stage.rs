//! What every promise stands on: a world with one Codex, servers in it, and results to look at.

use std::future::Future;
use std::ops::Index;
use std::path::{Path, PathBuf};
use std::time::Duration;

use atm_agent_mcp::demo::model::{Gate, Model, Reply, Request, spoken};
use atm_agent_mcp::demo::world::{Client, World};
use atm_agent_mcp::rpc::Connection;
use rmcp::RoleClient;
use rmcp::model::{CallToolRequest, CallToolRequestParams, CallToolResult, ClientRequest, ServerResult};
use rmcp::service::{PeerRequestOptions, RequestHandle};
use serde_json::{Value, json};
use tokio::net::UnixStream;
use tokio::process::Command;

/// No promise takes this long; it guards against hanging, and orders nothing.
const GUARD: Duration = Duration::from_secs(120);

/// Keeps a promise with one version of Codex, and sees that nothing of it is left.
pub(crate) async fn play<F: Future>(version: &str, promise: impl FnOnce(Stage) -> F) {
    let stage = Stage { codex: installed(version) };
    let played = tokio::time::timeout(GUARD, promise(stage)).await;
    assert!(played.is_ok(), "it hangs: not done in {} s", GUARD.as_secs());
}

/// The pinned Codex of that version.
pub(crate) fn installed(version: &str) -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join("codex");
    let all = std::env::var_os("ATM_TEST_CODEX_DIR").map_or_else(default, PathBuf::from);
    let codex = all.join(version).join("node_modules").join(".bin").join("codex");
    assert!(codex.exists(), "there is no {}: run `cargo xtask codex`", codex.display());
    codex
}

/// One version of Codex, to be put into a world.
pub(crate) struct Stage {
    codex: PathBuf,
}

impl Stage {
    /// The program, which on npm's terms is a script.
    pub(crate) fn codex(&self) -> &Path {
        &self.codex
    }

    /// The same Codex, for one world more.
    pub(crate) fn again(&self) -> Stage {
        Stage { codex: self.codex.clone() }
    }

    /// A world whose model does what the prompt says.
    pub(crate) async fn plain(self) -> Scene {
        self.with(spoken).await
    }

    /// A world whose model holds the answer to a prompt `HOLD name` until the gate of that name is open, and does
    /// what any other prompt says.
    pub(crate) async fn with_gates<const N: usize>(self, names: [&'static str; N]) -> (Scene, [Gate; N]) {
        let gates = names.map(|_| Gate::new());
        let kept = gates.clone();
        let script = move |request: &Request| {
            let prompt = request.last_user_text();
            let held = prompt.strip_prefix("HOLD ").and_then(|name| names.iter().position(|n| *n == name));
            match held {
                Some(at) => Reply::say(format!("{} is done", names[at])).after(&kept[at]),
                None => spoken(request),
            }
        };
        (self.with(script).await, gates)
    }

    /// A world whose model follows `script`.
    pub(crate) async fn with(self, script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Scene {
        let world = World::new(script).await.expect("a temporary world");
        Scene { world, codex: self.codex }
    }
}

/// A world, and the Codex that its servers run.
pub(crate) struct Scene {
    world: World,
    codex: PathBuf,
}

impl Scene {
    pub(crate) fn model(&self) -> &Model {
        self.world.model()
    }

    /// The request to the model that came last.
    pub(crate) fn asked_last(&self) -> Request {
        self.model().requests().pop().expect("the model was asked")
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.world.project()
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.world.home()
    }

    pub(crate) fn codex_home(&self) -> PathBuf {
        self.world.codex_home()
    }

    /// The Codex of this world, as npm installed it.
    pub(crate) fn codex(&self) -> &Path {
        &self.codex
    }

    /// Runs `serve` with these flags.
    pub(crate) async fn serve(&self, flags: &[&str]) -> Server {
        Server::start(self.command(flags)).await
    }

    /// The command that does so.
    pub(crate) fn command(&self, flags: &[&str]) -> Command {
        self.program(&[&["serve", "--team", "tests"], flags].concat())
    }

    /// Our program with these arguments.
    pub(crate) fn program(&self, args: &[&str]) -> Command {
        let mut command = self.world.command(Path::new(env!("CARGO_BIN_EXE_atm-agent-mcp")), &self.codex);
        // What runs at the end is interrupted at once.
        command.args(args).env("ATM_AGENT_MCP_SHUTDOWN_GRACE_SECS", "0");
        command
    }

    /// A program of somebody else in this world; it is given nothing of the caller's environment but where programs are.
    pub(crate) fn foreign(&self, program: &Path) -> Command {
        let ours = self.world.command(program, &self.codex);
        let given = ours.as_std().get_envs().filter_map(|(name, value)| Some((name, value?)));
        let mut command = Command::new(program);
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path))).envs(given);
        command.current_dir(self.project()).kill_on_drop(true);
        command
    }

    /// The same world with another program in place of Codex.
    pub(crate) fn with_codex(self, codex: PathBuf) -> Scene {
        Scene { codex, ..self }
    }

    /// Ends a server in good order, and sees that no Codex of this world is left.
    pub(crate) async fn end(&self, server: Server) {
        let status = server.client.leave().await.expect("a server that ends");
        assert!(status.success(), "{status}");
        assert_eq!(self.codexes(), Vec::<String>::new(), "a Codex that outlives its server");
    }

    /// What an app-server of ours with this world's Codex home has started, and is there yet.
    pub(crate) fn codexes(&self) -> Vec<String> {
        let mark = format!("CODEX_HOME={}", self.codex_home().display());
        let of_ours = |variables: &[u8]| {
            variables.split(|byte| *byte == 0).any(|variable| variable.starts_with(b"ATM_AGENT_MCP_RUN="))
        };
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
        let marked = processes.filter(|process| {
            let environment = std::fs::read(process.join("environ")).unwrap_or_default();
            of_ours(&environment) && environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
        });
        let lines = marked.map(|process| {
            let line = std::fs::read(process.join("cmdline")).unwrap_or_default();
            format!("{}: {}", process.display(), String::from_utf8_lossy(&line).replace('\0', " "))
        });
        lines.collect()
    }
}

/// A running server with its client.
pub(crate) struct Server {
    client: Client,
}

impl Server {
    /// Starts one, however it is called.
    pub(crate) async fn start(command: Command) -> Server {
        Server { client: Client::start(command).await.expect("a session") }
    }

    /// Calls a tool and waits for its result.
    pub(crate) async fn call(&self, tool: &'static str, arguments: Value) -> Told {
        Told(self.client.call(tool, arguments).await.expect("a result and no protocol error"))
    }

    /// Calls a tool, in order with other calls; the result is awaited later, or given up.
    pub(crate) async fn begin(&self, tool: &'static str, arguments: Value) -> Begun {
        let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
        let params = CallToolRequestParams::new(tool).with_arguments(arguments);
        let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
        let options = PeerRequestOptions::no_options();
        Begun(self.client.service().send_cancellable_request(request, options).await.expect("a call on its way"))
    }

    /// A round trip that asks for nothing.
    pub(crate) async fn ping(&self) {
        self.client.service().list_tools(None).await.expect("the tools");
    }

    /// The running Codex.
    pub(crate) async fn codex(&self) -> RunningCodex {
        let status = self.call("agent_status", json!({})).await.good();
        let codex = &status["codex"];
        let pid = codex["pid"].as_u64().and_then(|pid| i32::try_from(pid).ok()).expect("a process");
        RunningCodex { pid, socket: codex["socket"].as_str().expect("a socket").into() }
    }

    /// Waits until an agent has nothing to do, its results put aside or given.
    pub(crate) async fn rested(&self, agent: &str) -> Told {
        self.call("agent_wait", json!({"agents": [agent], "mode": "all"})).await.good()
    }

    /// Asks until an agent shows this status; for what happens on its own, and tells nobody.
    pub(crate) async fn shows(&self, agent: &str, status: &str) {
        while self.call("agent_status", json!({"identity": agent})).await.good()["status"] != status {}
    }

    /// Waits until the server has ended of itself, and tells how.
    pub(crate) async fn died(&mut self) -> std::process::ExitStatus {
        self.client.server().wait().await.expect("a process to wait for")
    }

    /// Ends a server that has no Codex.
    pub(crate) async fn leave(self) {
        assert!(self.client.leave().await.expect("a server that ends").success());
    }

    /// Asks the server to end, whatever it does, and waits until it has.
    pub(crate) async fn asked_to_end(mut self) -> std::process::ExitStatus {
        let server = self.client.server();
        let pid = server.id().and_then(|pid| i32::try_from(pid).ok()).expect("a process");
        let pid = rustix::process::Pid::from_raw(pid).expect("a process id");
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a process to ask");
        server.wait().await.expect("a process to wait for")
    }

    /// Ends the server with SIGKILL, and waits until its process is gone.
    pub(crate) async fn kill(mut self) {
        self.client.server().kill().await.expect("a process to kill");
    }
}

/// A call that has not ended.
pub(crate) struct Begun(RequestHandle<RoleClient>);

impl Begun {
    pub(crate) async fn result(self) -> Told {
        match self.0.await_response().await {
            Ok(ServerResult::CallToolResult(result)) => Told(result),
            other => panic!("not a tool's result: {other:?}"),
        }
    }

    /// Sends `notifications/cancelled`.
    pub(crate) async fn cancel(self) {
        self.0.cancel(Some("the test wants it no more".to_owned())).await.expect("a notification on its way");
    }
}

/// The Codex of a running server.
pub(crate) struct RunningCodex {
    pub(crate) pid: i32,
    pub(crate) socket: PathBuf,
}

impl RunningCodex {
    /// Ends it with SIGKILL.
    pub(crate) fn kill(&self) {
        self.signal(rustix::process::Signal::KILL);
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.pid).expect("a process id");
        rustix::process::kill_process(pid, signal).expect("a process to signal");
    }

    /// A connection of one's own to it, beside the server's.
    pub(crate) async fn connect(&self) -> Connection {
        let stream = UnixStream::connect(&self.socket).await.expect("it listens");
        Connection::over_socket(stream).await.expect("it speaks WebSocket")
    }
}

/// The result of a tool.
#[derive(Debug)]
pub(crate) struct Told(pub(crate) CallToolResult);

impl Told {
    /// It did what was asked.
    pub(crate) fn good(self) -> Told {
        assert_ne!(self.0.is_error, Some(true), "{self:?}");
        self
    }

    /// It did not.
    pub(crate) fn bad(self) -> Told {
        assert_eq!(self.0.is_error, Some(true), "{self:?}");
        self
    }

    /// A field that is a text.
    pub(crate) fn text(&self, field: &str) -> &str {
        self[field].as_str().unwrap_or_else(|| panic!("no text {field}: {self:?}"))
    }

    /// The answer, or what went wrong.
    pub(crate) fn content(&self) -> &str {
        self.text("content")
    }

    /// The texts beside the structure.
    pub(crate) fn texts(&self) -> Vec<&str> {
        self.0.content.iter().map(|block| block.as_text().expect("a text").text.as_str()).collect()
    }

    /// A field that is a list.
    pub(crate) fn list(&self, field: &str) -> &[Value] {
        self[field].as_array().unwrap_or_else(|| panic!("no list {field}: {self:?}"))
    }

    /// One field of each of a list.
    pub(crate) fn each(&self, list: &str, field: &str) -> Vec<&str> {
        self.list(list).iter().map(|one| one[field].as_str().unwrap_or_default()).collect()
    }

    /// Its notes, in one text.
    pub(crate) fn notes(&self) -> String {
        self["notes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
    }
}

impl Index<&str> for Told {
    type Output = Value;

    fn index(&self, field: &str) -> &Value {
        &self.0.structured_content.as_ref().expect("structured content")[field]
    }
}
