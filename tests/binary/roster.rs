//! How many agents may be live, and whose name is whose.

use serde_json::{Value, json};

use crate::server::Server;
use crate::stage::Stage;

async fn with_room_for(stage: &Stage, agents: usize) -> Server {
    let mut command = stage.command(&[]);
    command.env("ATM_AGENT_MCP_MAX_CONCURRENT_THREADS", agents.to_string());
    Server::open(command).await
}

async fn statuses(server: &mut Server) -> Vec<(String, String)> {
    let sessions = server.done("agent_sessions", json!({})).await["sessions"].clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut found: Vec<_> =
        sessions.as_array().unwrap().iter().map(|s| (text(&s["identity"]), text(&s["status"]))).collect();
    found.sort();
    found
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

#[tokio::test]
async fn the_longest_idle_agent_without_a_name_makes_room_and_its_thread_still_answers() {
    let stage = Stage::set(json!({})).await;
    let mut server = with_room_for(&stage, 3).await;
    server.done("codex", json!({ "prompt": "x", "identity": "ann" })).await;
    let first = server.done("codex", json!({ "prompt": "x" })).await;
    let second = server.done("codex", json!({ "prompt": "x" })).await;
    assert_eq!((&first["identity"], &second["identity"]), (&json!("codex"), &json!("codex-2")));
    server.done("codex-reply", json!({ "prompt": "x", "identity": "codex" })).await;
    server.done("codex", json!({ "prompt": "x", "identity": "bob" })).await;
    let expected = [("ann", "idle"), ("bob", "idle"), ("codex", "idle"), ("codex-2", "resumable")];
    assert_eq!(statuses(&mut server).await, owned(&expected));

    let reply = server.done("codex-reply", json!({ "prompt": "x", "threadId": second["threadId"] })).await;
    assert_eq!((&reply["agent_id"], &reply["content"]), (&second["agent_id"], &json!("done")));
    let expected = [("ann", "idle"), ("bob", "idle"), ("codex", "resumable"), ("codex-2", "idle")];
    assert_eq!(statuses(&mut server).await, owned(&expected));
    let mut codex = stage.codex().await;
    assert_eq!(codex.got("thread/resume").await["threadId"], second["threadId"]);
}

#[tokio::test]
async fn when_every_agent_has_a_name_one_more_is_an_error_that_lists_them() {
    let stage = Stage::set(json!({ "turns": [["started", { "say": "done" }], ["started", "never"]] })).await;
    let mut server = with_room_for(&stage, 2).await;
    server.done("codex", json!({ "prompt": "x", "identity": "ann" })).await;
    server.done("codex", json!({ "prompt": "x", "identity": "bob", "background": true })).await;
    let before = stage.files();
    let result = server.call("codex", json!({ "prompt": "x", "identity": "eve" })).await;
    let told = &result["structuredContent"];
    assert_eq!((&result["isError"], &told["error"]), (&json!(true), &json!("MAX_SESSIONS_EXCEEDED")), "{result}");
    let content = told["content"].as_str().unwrap();
    assert!(
        ["ann (idle, could be closed)", "bob (running)", "agent_close"].iter().all(|w| content.contains(w)),
        "{content}"
    );
    assert_eq!(stage.files(), before, "nothing is written");
    server.done("agent_close", json!({ "identity": "ann" })).await;
    let eve = server.begin("codex", json!({ "prompt": "x", "identity": "eve", "background": true })).await;
    assert_eq!(server.result(eve).await["structuredContent"]["status"], "running");
}

#[tokio::test]
async fn a_busy_name_is_an_error_that_names_its_holder_and_moves_nobody() {
    let stage = Stage::set(json!({})).await;
    let mut server = with_room_for(&stage, 2).await;
    let ann = server.done("codex", json!({ "prompt": "x", "identity": "ann" })).await;
    server.done("codex", json!({ "prompt": "x" })).await;
    let before = stage.files();
    let error = server.fails("codex", json!({ "prompt": "x", "identity": "ann" })).await;
    assert!(error.contains("identity ann is taken") && error.contains(ann["agent_id"].as_str().unwrap()), "{error}");
    assert_eq!(statuses(&mut server).await, owned(&[("ann", "idle"), ("codex", "idle")]));
    assert_eq!(stage.files(), before, "nothing is written");
}

#[tokio::test]
async fn a_name_that_another_server_runs_is_an_error_that_names_that_server() {
    let stage = Stage::set(json!({})).await;
    let mut holder = stage.server(&["--team", "red"]).await;
    let mut other = stage.server(&["--team", "red"]).await;
    let mut elsewhere = stage.server(&["--team", "blue"]).await;
    let held = holder.done("codex", json!({ "prompt": "x", "identity": "ann" })).await;
    let error = other.fails("codex", json!({ "prompt": "x", "identity": "ann" })).await;
    let process = format!("process {}", holder.pid());
    assert!(error.contains(held["agent_id"].as_str().unwrap()) && error.contains(&process), "{error}");
    let error = other.fails("codex-reply", json!({ "prompt": "x", "threadId": held["threadId"] })).await;
    assert!(error.contains(&process), "{error}");
    elsewhere.done("codex", json!({ "prompt": "x", "identity": "ann" })).await;
    let unnamed = other.done("codex", json!({ "prompt": "x" })).await;
    assert_eq!(unnamed["identity"], "codex");
    assert_eq!(holder.done("codex-reply", json!({ "prompt": "x", "identity": "ann" })).await["content"], "done");

    assert!(holder.leave().await.status.success());
    let taken_over = other.done("codex-reply", json!({ "prompt": "x", "threadId": held["threadId"] })).await;
    assert_eq!((&taken_over["identity"], &taken_over["agent_id"]), (&json!("ann"), &held["agent_id"]));
}
