//! However our process ends, Codex ends with it.

#![cfg(unix)]

use rustix::process::{Pid, Signal};
use serde_json::json;

use crate::server::{Server, within};
use crate::stage::{Codex, Stage};

pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// A server whose Codex is in the middle of a turn.
async fn in_a_turn(stage: &Stage) -> (Server, Codex) {
    let mut server = stage.server(&[]).await;
    server.begin("codex", json!({ "prompt": "x" })).await;
    let mut codex = stage.codex().await;
    codex.got("turn/start").await;
    (server, codex)
}

fn never_ending() -> serde_json::Value {
    json!({ "turns": [["started", "never"]] })
}

/// Nothing of the server is left in its directory of running ones.
fn nothing_runs(stage: &Stage) {
    let run = stage.home().join(".config/atm/run");
    let names: Vec<_> = std::fs::read_dir(run).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["sweep.lock"]);
}

#[tokio::test]
async fn the_end_of_stdin_ends_the_server_and_codex_also_in_a_turn() {
    let stage = Stage::set(never_ending()).await;
    let mut server = stage.server(&[]).await;
    server.done("codex", json!({ "prompt": "x", "background": true })).await;
    let left = server.leave().await;
    assert_eq!(left.status.code(), Some(0), "{}", left.stderr);
    stage.codex().await.gone().await;
    nothing_runs(&stage);
}

#[tokio::test]
async fn the_end_of_stdin_ends_the_server_and_codex_though_a_call_is_under_way() {
    let stage = Stage::set(never_ending()).await;
    let (server, codex) = in_a_turn(&stage).await;
    let left = server.leave().await;
    assert_eq!(left.status.code(), Some(0), "{}", left.stderr);
    codex.gone().await;
    nothing_runs(&stage);
}

#[tokio::test]
async fn sigterm_sigint_and_sighup_end_the_server_and_codex_though_stdin_is_open() {
    for by in [Signal::TERM, Signal::INT, Signal::HUP] {
        let stage = Stage::set(never_ending()).await;
        let (server, codex) = in_a_turn(&stage).await;
        server.signal(by);
        let left = server.ended().await;
        assert_eq!(left.status.code(), Some(0), "{by:?}: {}", left.stderr);
        codex.gone().await;
        nothing_runs(&stage);
    }
}

#[tokio::test]
async fn a_running_turn_has_its_grace_and_its_caller_the_answer() {
    let stage = Stage::set(json!({ "turns": [["started", "wait", { "say": "just in time" }]] })).await;
    let mut command = stage.command(&[]);
    command.env("ATM_AGENT_MCP_SHUTDOWN_GRACE_SECS", "7");
    let mut server = Server::open(command).await;
    let call = server.begin("codex", json!({ "prompt": "x" })).await;
    let mut codex = stage.codex().await;
    codex.got("turn/start").await;
    server.signal(Signal::TERM);
    let refused = server.fails("codex-reply", json!({ "prompt": "more", "identity": "codex" })).await;
    assert!(refused.contains("server ends") && refused.contains("codex-reply"), "{refused}");
    let refused = server.fails("codex", json!({ "prompt": "another" })).await;
    assert!(refused.contains("server ends"), "{refused}");
    codex.go().await;
    assert_eq!(server.result(call).await["structuredContent"]["content"], "just in time");
    assert_eq!(server.ended().await.status.code(), Some(0));
    let events = std::fs::read_to_string(stage.home().join(".config/atm/events.jsonl")).unwrap();
    assert!(events.contains("serve_end") && events.contains("it was asked to end"), "{events}");
    codex.gone().await;
    nothing_runs(&stage);
}

#[tokio::test]
async fn who_waits_when_the_server_ends_is_told_so_and_that_nothing_is_lost() {
    let stage = Stage::set(json!({ "turns": [["started", "never"]], "ignores": ["turn/steer"] })).await;
    let mut server = stage.server(&[]).await;
    server.done("codex", json!({ "prompt": "x", "background": true })).await;
    let waits = server.begin("agent_wait", json!({ "timeout_ms": 600_000 })).await;
    let stands_behind = server.begin("codex-reply", json!({ "identity": "codex", "prompt": "more" })).await;
    let steers = server.begin("agent_steer", json!({ "agent": "codex", "text": "hi", "timeout_ms": 600_000 })).await;
    let mut codex = stage.codex().await;
    codex.got("turn/steer").await;
    server.signal(Signal::TERM);
    let told = server.result(stands_behind).await["structuredContent"].clone();
    assert_eq!((&told["error"], &told["status"]), (&json!("SERVER_ENDS"), &json!("interrupted")), "{told}");
    let text = told["content"].as_str().unwrap();
    assert!(text.contains("The server ends") && text.contains("codex-reply"), "{text}");
    let waited = server.result(waits).await["structuredContent"].clone();
    assert_eq!(waited["results"][0]["error"], "SERVER_ENDS", "{waited}");
    let steered = server.result(steers).await["structuredContent"].clone();
    let text = steered["content"].as_str().unwrap();
    assert!(text.contains("The server ends") && text.contains("stays in the queue"), "{text}");
    assert_eq!(steered["status"], "queued");
    let entry = format!("{}.json", steered["entry_id"].as_str().unwrap());
    let is_there =
        |file: &std::path::PathBuf| file.file_name().is_some_and(|name| name.to_string_lossy().contains(&entry));
    assert_eq!(server.ended().await.status.code(), Some(0));
    assert!(stage.files().iter().any(is_there), "{:?}", stage.files());
    codex.gone().await;
}

#[tokio::test]
async fn a_second_signal_ends_the_server_at_once_and_codex_with_it() {
    let stage = Stage::set(json!({ "stubborn": true, "turns": [["started", "never"]] })).await;
    let mut command = stage.command(&[]);
    command.env("ATM_AGENT_MCP_SHUTDOWN_GRACE_SECS", "7");
    let mut server = Server::open(command).await;
    server.begin("codex", json!({ "prompt": "x" })).await;
    let mut codex = stage.codex().await;
    codex.got("turn/start").await;
    server.signal(Signal::TERM);
    // It has heard the first when it takes nothing new.
    server.fails("codex-reply", json!({ "prompt": "more", "identity": "codex" })).await;
    server.signal(Signal::TERM);
    assert_eq!(server.ended().await.status.code(), Some(1));
    codex.gone().await;
}

#[tokio::test]
async fn a_lock_that_hangs_does_not_keep_the_server_from_its_end() {
    let stage = Stage::set(json!({})).await;
    let mut server = stage.server(&["--team", "red"]).await;
    server.done("codex", json!({ "prompt": "x", "identity": "ana" })).await;
    server.done("atm_send", json!({ "to": "ana", "message": "hold on" })).await;
    let team = stage.home().join(".claude/teams/red");
    let locks = [team.join("config.lock"), team.join("inboxes/ana.lock")];
    let held: Vec<_> = locks.iter().map(|lock| std::fs::File::create(lock).unwrap()).collect();
    held.iter().for_each(|lock| lock.lock().unwrap());
    server.begin("atm_send", json!({ "to": "ana", "message": "one more" })).await;
    let codex = stage.codex().await;
    server.signal(Signal::TERM);
    // The guard of the test is longer than the server may take; that it ends with its locks held is the promise.
    assert_eq!(server.ended().await.status.code(), Some(0));
    codex.gone().await;
    drop(held);
}

#[tokio::test]
async fn sigterm_ends_a_server_that_has_no_session_yet() {
    let stage = Stage::set(json!({})).await;
    let mut server = Server::spawn(stage.command(&[]));
    server.request("ping", json!({})).await;
    server.signal(Signal::TERM);
    assert_eq!(server.ended().await.status.code(), Some(0));
}

#[tokio::test]
async fn sigterm_while_codex_starts_ends_both() {
    let stage = Stage::set(json!({ "start": "silent" })).await;
    let mut server = stage.server(&[]).await;
    server.begin("codex", json!({ "prompt": "x" })).await;
    let codex = stage.codex().await;
    server.signal(Signal::TERM);
    assert_eq!(server.ended().await.status.code(), Some(0));
    codex.gone().await;
    nothing_runs(&stage);
}

#[tokio::test]
async fn a_codex_that_does_not_go_when_asked_is_killed() {
    let stage = Stage::set(json!({ "stubborn": true })).await;
    let mut server = stage.server(&[]).await;
    server.done("codex", json!({ "prompt": "x" })).await;
    let mut codex = stage.codex().await;
    signal(codex.pid, Signal::TERM);
    codex.lives().await;
    assert_eq!(server.leave().await.status.code(), Some(0));
    codex.gone().await;
    nothing_runs(&stage);
}

#[tokio::test]
async fn the_parked_agents_of_an_ended_server_are_continued_by_the_next() {
    let stage = Stage::set(json!({ "turns": [["started", "never"], ["started", { "say": "done" }]] })).await;
    let (server, codex) = in_a_turn(&stage).await;
    server.signal(Signal::TERM);
    server.ended().await;
    codex.gone().await;
    stage.rewrite(json!({}));
    let mut next = stage.server(&[]).await;
    let sessions = next.done("agent_sessions", json!({})).await;
    assert_eq!(sessions["sessions"][0]["status"], "resumable", "{sessions}");
    next.done("codex-reply", json!({ "prompt": "x", "identity": "codex" })).await;
    let thread = &sessions["sessions"][0]["threadId"];
    assert_eq!(stage.codex().await.got("thread/resume").await["threadId"], *thread);
}

#[tokio::test]
async fn sigkill_of_the_server_ends_codex_too() {
    let stage = Stage::set(json!({ "stubborn": true, "turns": [["started", "never"]] })).await;
    let (server, codex) = in_a_turn(&stage).await;
    server.signal(Signal::KILL);
    server.ended().await;
    codex.gone().await;
}

#[tokio::test]
async fn a_codex_that_outlived_its_server_is_ended_at_the_next_start() {
    let stage = Stage::set(never_ending()).await;
    let (server, mut codex) = in_a_turn(&stage).await;
    for tether in children_of(server.pid()).await.into_iter().filter(|child| *child != codex.pid) {
        signal(tether, Signal::KILL);
    }
    server.signal(Signal::KILL);
    server.ended().await;
    codex.lives().await;
    let next = stage.server(&[]).await;
    codex.gone().await;
    assert!(next.leave().await.status.success());
    nothing_runs(&stage);
}

#[tokio::test]
async fn the_end_of_stdin_ends_a_server_whose_client_reads_nothing() {
    let stage = Stage::set(never_ending()).await;
    let mut command = stage.command(&[]);
    let piped = command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut server = piped.spawn().unwrap();
    let info = json!({ "name": "test", "version": "1" });
    let params = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": info });
    let hello = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
    let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    // Their answers are more than a pipe holds.
    let list = |id: u64| format!("{}\n", json!({ "jsonrpc": "2.0", "id": id, "method": "tools/list" }));
    let lists: String = (1..=40).map(list).collect();
    let mut stdin = server.stdin.take().unwrap();
    let text = format!("{hello}\n{initialized}\n{lists}");
    tokio::io::AsyncWriteExt::write_all(&mut stdin, text.as_bytes()).await.unwrap();
    drop(stdin);
    let status = within("the server's end", server.wait()).await.unwrap();
    assert_eq!(status.code(), Some(0));
}

async fn children_of(parent: u32) -> Vec<u32> {
    let listed = tokio::process::Command::new("ps").args(["-A", "-o", "pid=,ppid="]).output().await.unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let rows = listed.lines().filter_map(|row| {
        let mut numbers = row.split_whitespace().map(|number| number.parse::<u32>().unwrap());
        Some((numbers.next()?, numbers.next()?))
    });
    rows.filter(|(_, of)| *of == parent).map(|(pid, _)| pid).collect()
}
