//! Another client on the same thread: what `codex resume --remote` does when a human attaches.

use std::path::Path;

use atm_agent_mcp::rpc::{CallError, Connection, Incoming, Peer};
use serde_json::{Value, json};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::limits::DEADLINE;
use crate::stage::{Server, Stage};

on_each_codex! {
    a_second_client_follows_the_turns_of_a_thread,
    a_turn_that_a_human_started_is_waited_for_and_is_not_taken_for_ours,
    a_human_who_interrupts_our_turn_is_told_apart_from_us,
    a_second_client_that_leaves_takes_nothing_with_it,
}

/// A client of a server's Codex, beside the server.
pub(crate) struct Second {
    peer: Peer,
    incoming: mpsc::Receiver<Incoming>,
    _tasks: JoinSet<()>,
}

impl Second {
    pub(crate) async fn attach(server: &Server) -> Second {
        Second::over(server.codex().await.connect().await).await
    }

    /// The same, of a Codex that listens there.
    pub(crate) async fn at(socket: &Path) -> Second {
        let stream = UnixStream::connect(socket).await.expect("it listens");
        Second::over(Connection::over_socket(stream).await.expect("it speaks WebSocket")).await
    }

    async fn over(connection: Connection) -> Second {
        let mut tasks = JoinSet::new();
        let (peer, incoming) = Peer::start(connection, &mut tasks);
        let second = Second { peer, incoming, _tasks: tasks };
        let client = json!({"name": "human", "version": "1"});
        let hello = json!({"clientInfo": client, "capabilities": {"experimentalApi": true}});
        second.call("initialize", hello).await.expect("it is taken");
        second.peer.notify("initialized");
        second
    }

    pub(crate) async fn call(&self, method: &str, params: Value) -> Result<Value, String> {
        match self.peer.call(method, &params, DEADLINE).end().await {
            Ok(result) => Ok(serde_json::from_str(result.get()).expect("JSON")),
            Err(CallError::Refused(error)) => Err(error.message),
            Err(error) => panic!("{method}: {error}"),
        }
    }

    /// Opens a thread that is open already, and hears of it from then on.
    pub(crate) async fn resume(&mut self, thread: &str) {
        let opened = self.call("thread/resume", json!({"threadId": thread, "excludeTurns": true})).await;
        assert_eq!(opened.expect("it can be opened twice")["thread"]["id"], thread);
    }

    /// Types a prompt; tells the turn's id.
    pub(crate) async fn says(&self, thread: &str, prompt: &str) -> String {
        let input = json!([{"type": "text", "text": prompt}]);
        let turn = self.call("turn/start", json!({"threadId": thread, "input": input})).await.expect("a turn");
        turn["turn"]["id"].as_str().expect("an id").to_owned()
    }

    /// Answers the next request of this method.
    pub(crate) async fn answers(&mut self, awaited: &str, result: Value) {
        loop {
            match self.incoming.recv().await.expect("an open connection") {
                Incoming::Request { id, method, .. } if method == awaited => return self.peer.answer(&id, &Ok(result)),
                _ => {}
            }
        }
    }

    /// The next notification of this method, or request.
    pub(crate) async fn hears(&mut self, awaited: &str) -> Value {
        loop {
            let (Incoming::Request { method, params, .. } | Incoming::Notification { method, params }) =
                self.incoming.recv().await.expect("an open connection");
            if method == awaited {
                return serde_json::from_str(params.get()).expect("JSON");
            }
        }
    }
}

async fn a_second_client_follows_the_turns_of_a_thread(stage: Stage) {
    let scene = stage.plain().await;
    let server = scene.serve(&[]).await;
    let first = server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    let thread = first.text("threadId");
    let mut human = Second::attach(&server).await;
    human.resume(thread).await;

    let ours = server.begin("codex-reply", json!({"identity": "ana", "prompt": "SAY two"})).await;
    let started = human.hears("turn/started").await;
    let ended = human.hears("turn/completed").await;
    let ours = ours.result().await.good();
    assert_eq!((&started["threadId"], &started["turn"]["id"]), (&ours["threadId"], &ours["turn_id"]));
    assert_eq!((&ended["turn"]["id"], &ended["turn"]["status"]), (&ours["turn_id"], &json!("completed")));
    scene.end(server).await;
}

async fn a_turn_that_a_human_started_is_waited_for_and_is_not_taken_for_ours(stage: Stage) {
    let (scene, [human_done]) = stage.with_gates(["human"]).await;
    let server = scene.serve(&[]).await;
    let first = server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    let thread = first.text("threadId");
    let mut human = Second::attach(&server).await;
    human.resume(thread).await;
    let theirs = human.says(thread, "HOLD human").await;
    human_done.reached().await;
    server.shows("ana", "running").await;
    let status = server.call("agent_status", json!({"identity": "ana"})).await.good();
    assert_eq!(status["turn_id"], theirs.as_str());

    let ours = server.begin("codex-reply", json!({"identity": "ana", "prompt": "SAY ours"})).await;
    server.ping().await;
    assert_eq!(scene.model().requests().len(), 2, "the human's turn is not steered");
    human_done.open();
    let ours = ours.result().await.good();
    assert_eq!((ours.content(), ours.text("status")), ("ours", "completed"));
    assert_ne!(ours["turn_id"], theirs.as_str());
    assert_eq!(scene.asked_last().texts("assistant"), ["one", "human is done"]);
    assert_eq!(human.hears("turn/completed").await["turn"]["id"], theirs.as_str());
    assert_eq!(human.hears("turn/completed").await["turn"]["id"], ours["turn_id"]);

    let status = server.call("agent_status", json!({"identity": "ana"})).await.good();
    assert_eq!((status.text("status"), &status["turns"]), ("idle", &json!(3)));
    scene.end(server).await;
}

async fn a_human_who_interrupts_our_turn_is_told_apart_from_us(stage: Stage) {
    let (scene, [ana]) = stage.with_gates(["ana"]).await;
    let server = scene.serve(&[]).await;
    let first = server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    let thread = first.text("threadId");
    let mut human = Second::attach(&server).await;
    human.resume(thread).await;
    let ours = server.begin("codex-reply", json!({"identity": "ana", "prompt": "HOLD ana"})).await;
    let turn = human.hears("turn/started").await["turn"]["id"].clone();
    ana.reached().await;
    human.call("turn/interrupt", json!({"threadId": thread, "turnId": turn})).await.expect("it is interrupted");
    let ours = ours.result().await.bad();
    assert_eq!(ours.text("status"), "interrupted");
    assert!(ours.content().contains("by somebody else"), "{ours:?}");
    let after = server.call("codex-reply", json!({"identity": "ana", "prompt": "SAY on"})).await.good();
    assert_eq!(after.content(), "on");
    scene.end(server).await;
}

async fn a_second_client_that_leaves_takes_nothing_with_it(stage: Stage) {
    let (scene, [ana]) = stage.with_gates(["ana"]).await;
    let server = scene.serve(&[]).await;
    let first = server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    let mut human = Second::attach(&server).await;
    human.resume(first.text("threadId")).await;
    let ours = server.begin("codex-reply", json!({"identity": "ana", "prompt": "HOLD ana"})).await;
    ana.reached().await;
    drop(human);
    ana.open();
    assert_eq!(ours.result().await.good().content(), "ana is done");
    scene.end(server).await;
}
