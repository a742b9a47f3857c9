//! A world in which Codex is the fake, and the stage on which it reports.

use std::path::{Path, PathBuf};

use atm_agent_mcp::demo::model::Reply;
use atm_agent_mcp::demo::world::World;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpListener;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::Command;

use crate::server::{Server, within};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_atm-agent-mcp");
pub(crate) const FAKE: &str = env!("CARGO_BIN_EXE_fake-codex");

/// The world, with a script for every fake that starts in it.
pub(crate) struct Stage {
    world: World,
    door: TcpListener,
}

impl Stage {
    /// Sets it up; the keys of `script` are those of `testing/fake_codex.rs`.
    pub(crate) async fn set(script: Value) -> Stage {
        let world = World::new(|_| Reply::Silence).await.unwrap();
        let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stage = Stage { world, door };
        stage.rewrite(script);
        stage
    }

    /// What the next fake does.
    pub(crate) fn rewrite(&self, mut script: Value) {
        script["stage"] = json!(self.door.local_addr().unwrap().to_string());
        std::fs::write(self.script(), script.to_string()).unwrap();
    }

    fn script(&self) -> PathBuf {
        self.world.codex_home().join("script.json")
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.world.home()
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.world.project()
    }

    /// Our program with these arguments.
    pub(crate) fn program(&self, args: &[&str]) -> Command {
        let mut command = self.world.command(Path::new(PROGRAM), Path::new(FAKE));
        // What runs at the end is interrupted at once, unless a test is about that.
        command.env("ATM_AGENT_MCP_SHUTDOWN_GRACE_SECS", "0");
        command.env("FAKE_CODEX_SCRIPT", self.script()).args(args);
        command
    }

    /// A script of the shell, which finds our program on its `PATH`.
    #[cfg(unix)]
    pub(crate) fn shell(&self, script: &str) -> Command {
        let ours = Path::new(PROGRAM).parent().unwrap().to_owned();
        let others = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([ours].into_iter().chain(std::env::split_paths(&others))).unwrap();
        let mut command = self.world.command(Path::new("sh"), Path::new(FAKE));
        command.env("PATH", path).args(["-c", script]);
        command
    }

    /// `atm-agent-mcp serve` with these flags.
    pub(crate) fn command(&self, flags: &[&str]) -> Command {
        self.program(&[&["serve"], flags].concat())
    }

    /// A server with these flags and an open session.
    pub(crate) async fn server(&self, flags: &[&str]) -> Server {
        Server::open(self.command(flags)).await
    }

    /// The next fake that comes on the stage.
    pub(crate) async fn codex(&self) -> Codex {
        let (stream, _) = within("a fake Codex", self.door.accept()).await.unwrap();
        let (hears, says) = stream.into_split();
        let mut codex = Codex { hears: BufReader::new(hears).lines(), says, pid: 0, args: vec![], heard: vec![] };
        let here = codex.next().await.expect("a fake that says who it is");
        codex.pid = u32::try_from(here["here"]["pid"].as_u64().unwrap()).unwrap();
        codex.args = serde_json::from_value(here["here"]["args"].clone()).unwrap();
        codex
    }

    /// Every file and directory below the home, sorted, without those that are just being written.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut directories = vec![self.home()];
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    directories.push(path.clone());
                }
                found.push(path);
            }
        }
        found.retain(|path| !path.file_name().unwrap().to_string_lossy().starts_with(".tmp"));
        found.sort();
        found
    }
}

/// One fake, from its birth to its end.
pub(crate) struct Codex {
    hears: Lines<BufReader<OwnedReadHalf>>,
    says: OwnedWriteHalf,
    pub(crate) pid: u32,
    pub(crate) args: Vec<String>,
    /// What it has received, as far as the test has read on.
    pub(crate) heard: Vec<Value>,
}

impl Codex {
    /// What it tells next; `None` when it has ended.
    async fn next(&mut self) -> Option<Value> {
        // A killed process's connection may end with a reset.
        let line = within("a word of the fake's", self.hears.next_line()).await.ok()??;
        Some(serde_json::from_str(&line).unwrap())
    }

    /// Reads on until it has received this request or notification, and gives its parameters.
    pub(crate) async fn got(&mut self, method: &str) -> Value {
        loop {
            let message = self.next().await.unwrap_or_else(|| panic!("the fake ended before {method}"));
            self.heard.push(message.clone());
            if message["method"] == method {
                return message["params"].clone();
            }
        }
    }

    /// Reads on until it has received an answer, and gives the whole of it.
    pub(crate) async fn answered(&mut self) -> Value {
        loop {
            let message = self.next().await.expect("an answer before its end");
            self.heard.push(message.clone());
            if message.get("method").is_none() {
                return message;
            }
        }
    }

    /// Lets one turn that waits go on.
    pub(crate) async fn go(&mut self) {
        self.says.write_all(b"go\n").await.unwrap();
    }

    /// Asks whether it lives, and reads everything that it received before it was asked.
    pub(crate) async fn lives(&mut self) {
        self.says.write_all(b"alive?\n").await.unwrap();
        loop {
            let message = self.next().await.expect("it lives");
            if message["echo"] == "alive?" {
                return;
            }
            self.heard.push(message);
        }
    }

    /// The methods that it has received, as far as the test has read on.
    pub(crate) fn methods(&self) -> Vec<&str> {
        self.heard.iter().filter_map(|message| message["method"].as_str()).collect()
    }

    /// Awaits its end.
    pub(crate) async fn gone(mut self) -> Vec<Value> {
        while let Some(message) = self.next().await {
            self.heard.push(message);
        }
        self.heard
    }
}
