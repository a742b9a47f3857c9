//! What an agent's commands outlive, which is nothing: not their turn's end by us, not their agent, not the server.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::{OpenOptions, Receiver};

use crate::stage::{Begun, Scene, Server, Stage};

on_each_codex! {
    a_command_ends_with_its_interrupted_turn,
    a_command_ends_with_its_cancelled_call,
    a_command_ends_with_its_closed_agent,
    a_command_ends_with_a_server_that_stops,
    a_sandboxed_command_ends_with_a_server_that_is_killed,
    a_command_without_a_sandbox_ends_with_a_server_that_is_killed,
    a_sandboxed_command_ends_with_a_codex_that_is_killed,
    a_command_without_a_sandbox_ends_with_a_codex_that_is_killed,
}

/// With a sandbox around it, and with none.
const SANDBOXES: [&str; 2] = ["workspace-write", "danger-full-access"];

/// How long a command may live after that.
const SOON: Duration = Duration::from_secs(10);

/// A command that runs until it is ended, or until this is dropped; as long as it runs, it holds a pipe open.
struct Running {
    held: Receiver,
    _until: File,
}

impl Running {
    /// The prompt for it, and its pipes: one that it holds open, one whose end it waits for.
    fn prepared(project: &Path) -> (&'static str, Receiver, File) {
        for name in ["held", "until"] {
            let made = std::process::Command::new("mkfifo").arg(project.join(name)).status().expect("mkfifo");
            assert!(made.success());
        }
        let held = OpenOptions::new().open_receiver(project.join("held")).expect("a pipe");
        let until = File::options().read(true).write(true).open(project.join("until")).expect("a pipe");
        ("RUN exec 3>held; echo up >&3; (read -r _ <until) & wait", held, until)
    }

    async fn up(mut held: Receiver, until: File) -> Running {
        let mut said = [0; 3];
        held.read_exact(&mut said).await.expect("it runs");
        assert_eq!(&said, b"up\n");
        Running { held, _until: until }
    }

    /// Sees that it ends, with all that it started.
    async fn ends(mut self, of_what: &str) {
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(SOON, self.held.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "the command still runs: {of_what}");
    }
}

/// A world, its server, and ana in it who runs the command.
async fn ana(scene: &Scene, sandbox: &str) -> (Server, Begun, Running) {
    let server = scene.serve(&["--allow-full-access"]).await;
    let (prompt, held, until) = Running::prepared(&scene.project());
    let start = json!({"identity": "ana", "prompt": prompt, "sandbox": sandbox, "approval-policy": "never"});
    let call = server.begin("codex", start).await;
    (server, call, Running::up(held, until).await)
}

async fn a_command_ends_with_its_interrupted_turn(stage: Stage) {
    for sandbox in SANDBOXES {
        let scene = stage.again().plain().await;
        let (server, call, running) = ana(&scene, sandbox).await;
        server.call("agent_interrupt", json!({"identity": "ana"})).await.good();
        assert_eq!(call.result().await.bad().text("status"), "interrupted");
        running.ends(sandbox).await;
        scene.end(server).await;
    }
}

async fn a_command_ends_with_its_cancelled_call(stage: Stage) {
    for sandbox in SANDBOXES {
        let scene = stage.again().plain().await;
        let (server, call, running) = ana(&scene, sandbox).await;
        call.cancel().await;
        running.ends(sandbox).await;
        scene.end(server).await;
    }
}

async fn a_command_ends_with_its_closed_agent(stage: Stage) {
    for sandbox in SANDBOXES {
        let scene = stage.again().plain().await;
        let (server, call, running) = ana(&scene, sandbox).await;
        server.call("agent_close", json!({"identity": "ana"})).await.good();
        assert_eq!(call.result().await.bad().text("status"), "closed");
        running.ends(sandbox).await;
        scene.end(server).await;
    }
}

async fn a_command_ends_with_a_server_that_stops(stage: Stage) {
    for sandbox in SANDBOXES {
        let scene = stage.again().plain().await;
        let (server, call, running) = ana(&scene, sandbox).await;
        scene.end(server).await;
        drop(call);
        running.ends(sandbox).await;
    }
}

async fn a_sandboxed_command_ends_with_a_server_that_is_killed(stage: Stage) {
    with_a_killed_server(stage, "workspace-write").await;
}

async fn a_command_without_a_sandbox_ends_with_a_server_that_is_killed(stage: Stage) {
    with_a_killed_server(stage, "danger-full-access").await;
}

/// At the latest when the next server of the same user starts.
async fn with_a_killed_server(stage: Stage, sandbox: &str) {
    let scene = stage.plain().await;
    let (server, call, running) = ana(&scene, sandbox).await;
    let mut witness = server.codex().await.connect().await;
    server.kill().await;
    drop(call);
    while witness.incoming.recv().await.is_some() {}
    let next = scene.serve(&[]).await;
    next.call("codex", json!({"identity": "ben", "prompt": "SAY one"})).await.good();
    running.ends(sandbox).await;
    scene.end(next).await;
}

async fn a_sandboxed_command_ends_with_a_codex_that_is_killed(stage: Stage) {
    with_a_killed_codex(stage, "workspace-write").await;
}

async fn a_command_without_a_sandbox_ends_with_a_codex_that_is_killed(stage: Stage) {
    with_a_killed_codex(stage, "danger-full-access").await;
}

async fn with_a_killed_codex(stage: Stage, sandbox: &str) {
    let scene = stage.plain().await;
    let (server, call, running) = ana(&scene, sandbox).await;
    server.codex().await.kill();
    assert_eq!(call.result().await.bad().text("status"), "lost");
    running.ends(sandbox).await;
    scene.end(server).await;
}
