//! What a client hears of a turn while it runs: nothing, progress, or everything in the form of the lost `codex mcp-server`.

use serde_json::{Value, json};
use tokio::process::Command;

use crate::raw::Raw;
use crate::stage::{Scene, Stage};

on_each_codex! {
    a_turn_with_a_command_is_told_in_the_order_of_the_lost_server,
    what_becomes_of_a_file_is_told,
    a_failed_turn_is_told_with_codexs_own_kind_of_error,
    an_interrupted_turn_is_told_as_aborted,
    what_is_asked_is_told,
    a_client_of_the_later_revision_is_told_the_same,
    a_client_that_wants_no_events_hears_none,
    a_client_that_reads_nothing_for_a_while_has_its_answers_all_the_same,
}

fn with_events(scene: &Scene, events: &str) -> Command {
    let mut command = scene.command(&[]);
    command.env("ATM_AGENT_MCP_EVENTS", events);
    command
}

async fn hearing(scene: &Scene, events: &str) -> Raw {
    Raw::with_forms(with_events(scene, events)).await
}

/// Every event of a call whose turn has ended, in order.
async fn events_of(raw: &mut Raw, call: u64) -> Vec<Value> {
    let is_last = |message: &Value| {
        ["task_complete", "turn_aborted"].iter().any(|kind| *kind == message["params"]["msg"]["type"])
    };
    let mut events = Vec::new();
    loop {
        let event = raw.hears("codex/event").await;
        assert_eq!(event["params"]["_meta"]["requestId"], call, "{event}");
        let ends = is_last(&event);
        events.push(event["params"].clone());
        if ends {
            return events;
        }
    }
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["msg"]["type"].as_str().unwrap()).collect()
}

/// The message of that type, the first.
fn one<'a>(events: &'a [Value], kind: &str) -> &'a Value {
    let found = events.iter().find(|event| event["msg"]["type"] == kind);
    &found.unwrap_or_else(|| panic!("no {kind} in {:?}", kinds(events)))["msg"]
}

async fn a_turn_with_a_command_is_told_in_the_order_of_the_lost_server(stage: Stage) {
    let scene = stage.plain().await;
    let mut raw = hearing(&scene, "all").await;
    let run = json!({ "prompt": "RUN echo hello; exit 3", "sandbox": "workspace-write", "approval-policy": "never" });
    raw.call(7, "codex", run).await;
    let result = raw.answer_to(7).await["structuredContent"].clone();
    let events = events_of(&mut raw, 7).await;
    let mut main = kinds(&events);
    main.retain(|kind| !["agent_message_content_delta", "token_count", "warning"].contains(kind));
    let expected = [
        "session_configured",
        "task_started",
        "user_message",
        "exec_command_begin",
        "exec_command_end",
        "agent_message",
        "task_complete",
    ];
    assert_eq!(main, expected);

    let thread = &result["threadId"];
    assert!(events.iter().all(|event| event["_meta"]["threadId"] == *thread));
    assert!(events.iter().all(|event| event["_meta"]["agent_id"] == result["agent_id"]));
    let configured = one(&events, "session_configured");
    assert_eq!((&configured["thread_id"], &configured["approval_policy"]), (thread, &json!("never")));
    assert!(configured["model"].is_string() && configured["model_provider_id"].is_string(), "{configured}");
    assert_eq!(configured["cwd"].as_str().map(std::path::Path::new), Some(&*scene.project()));
    assert_eq!(one(&events, "task_started")["turn_id"], result["turn_id"]);
    assert_eq!(one(&events, "user_message")["message"], "RUN echo hello; exit 3");
    let (begin, end) = (one(&events, "exec_command_begin"), one(&events, "exec_command_end"));
    assert_eq!(begin["call_id"], end["call_id"]);
    assert!(begin["command"][0].as_str().unwrap().contains("echo hello"), "{begin}");
    assert_eq!((&end["exit_code"], &end["aggregated_output"]), (&json!(3), &json!("hello\n")), "{end}");
    assert_eq!(one(&events, "agent_message")["message"], "hello");
    let deltas = events.iter().filter(|event| event["msg"]["type"] == "agent_message_content_delta");
    let pieces: String = deltas.map(|event| event["msg"]["delta"].as_str().unwrap()).collect();
    assert_eq!(pieces, "hello");
    assert_eq!(one(&events, "token_count")["info"]["last_token_usage"]["total_tokens"], 110);
    let complete = one(&events, "task_complete");
    assert_eq!((&complete["last_agent_message"], &complete["turn_id"]), (&json!("hello"), &result["turn_id"]));
    assert!(complete["duration_ms"].is_u64() && complete["started_at"].is_i64(), "{complete}");
    raw.leave().await;
}

async fn what_becomes_of_a_file_is_told(stage: Stage) {
    let scene = stage.plain().await;
    let mut raw = hearing(&scene, "all").await;
    let patch = "*** Begin Patch\n*** Add File: note.txt\n+hi\n*** End Patch\n";
    let run = format!("RUN apply_patch <<'EOF'\n{patch}EOF");
    raw.call(1, "codex", json!({ "prompt": run, "sandbox": "workspace-write", "approval-policy": "never" })).await;
    raw.answer_to(1).await;
    let events = events_of(&mut raw, 1).await;
    let (begin, end) = (one(&events, "patch_apply_begin"), one(&events, "patch_apply_end"));
    assert_eq!((&begin["call_id"], &end["success"]), (&end["call_id"], &json!(true)), "{end}");
    let (path, change) = end["changes"].as_object().unwrap().iter().next().unwrap();
    assert!(path.ends_with("note.txt"), "{path}");
    assert_eq!(*change, json!({ "type": "add", "content": "hi\n" }));
    raw.leave().await;
}

async fn a_failed_turn_is_told_with_codexs_own_kind_of_error(stage: Stage) {
    let scene = stage.plain().await;
    let mut raw = hearing(&scene, "all").await;
    raw.call(1, "codex", json!({ "prompt": "FAIL 500" })).await;
    raw.answer_to(1).await;
    let events = events_of(&mut raw, 1).await;
    let error = one(&events, "error");
    assert!(!error["message"].as_str().unwrap().is_empty() && !error["codex_error_info"].is_null(), "{error}");
    assert_eq!(one(&events, "task_complete")["last_agent_message"], Value::Null);
    raw.leave().await;
}

async fn an_interrupted_turn_is_told_as_aborted(stage: Stage) {
    let (scene, [_held]) = stage.with_gates(["work"]).await;
    let mut raw = hearing(&scene, "all").await;
    raw.call(1, "codex", json!({ "prompt": "HOLD work", "identity": "ana" })).await;
    raw.first(|message| message["params"]["msg"]["type"] == "user_message").await;
    raw.call(2, "agent_interrupt", json!({ "identity": "ana" })).await;
    assert_eq!(raw.answer_to(1).await["structuredContent"]["status"], "interrupted");
    let events = events_of(&mut raw, 1).await;
    let aborted = one(&events, "turn_aborted");
    assert_eq!(aborted["reason"], "interrupted");
    raw.leave().await;
}

async fn what_is_asked_is_told(stage: Stage) {
    let scene = stage.plain().await;
    let mut client = hearing(&scene, "all").await;
    let run = json!({"prompt": "RUN touch made", "approval-policy": "untrusted", "sandbox": "workspace-write"});
    client.call(8, "codex", run).await;
    let form = client.hears("elicitation/create").await;
    client.answer(&form, json!({"action": "decline"})).await;
    client.answer_to(8).await;
    let events = events_of(&mut client, 8).await;
    let asked = one(&events, "exec_approval_request");
    assert_eq!(asked["call_id"], form["params"]["codex_call_id"]);
    assert!(asked["ask_id"].is_string(), "{asked}");
    client.leave().await;
}

async fn a_client_of_the_later_revision_is_told_the_same(stage: Stage) {
    let scene = stage.plain().await;
    let mut raw = Raw::start(with_events(&scene, "all"));
    raw.modern_call(1, "codex", json!({ "prompt": "SAY one" }), &json!({}), json!({})).await;
    assert_eq!(raw.answer_to(1).await["structuredContent"]["content"], "one");
    let events = events_of(&mut raw, 1).await;
    assert_eq!(one(&events, "agent_message")["message"], "one");
    raw.leave().await;
}

async fn a_client_that_wants_no_events_hears_none(stage: Stage) {
    for (events, hears) in [("off", false), ("summary", true)] {
        // A gate that is open stays so.
        let (scene, [gate]) = stage.again().with_gates(["ana"]).await;
        let mut client = hearing(&scene, events).await;
        client.call(1, "codex", json!({"identity": "ana", "prompt": "SAY ready"})).await;
        client.answer_to(1).await;
        client.call(2, "codex-reply", json!({"identity": "ana", "prompt": "HOLD ana"})).await;
        if hears {
            client.hears("notifications/progress").await;
        }
        gate.open();
        client.answer_to(2).await;
        assert_eq!(client.heard_of("codex/event"), Vec::<Value>::new());
        assert!(hears || client.heard_of("notifications/progress").is_empty());
        client.call(3, "agent_close", json!({"identity": "ana"})).await;
        client.answer_to(3).await;
        client.leave().await;
    }
}

async fn a_client_that_reads_nothing_for_a_while_has_its_answers_all_the_same(stage: Stage) {
    let scene = stage.plain().await;
    let mut client = hearing(&scene, "all").await;
    let long = "x".repeat(1_900);
    for id in 1..=12 {
        client.call(id, "codex", json!({"identity": format!("a-{id}"), "prompt": format!("SAY {long}")})).await;
    }
    // Nothing is read until all of them have been asked of the model and more.
    scene.model().arrived(10).await;
    for id in 1..=12 {
        let answer = client.answer_to(id).await["structuredContent"].take();
        assert!(["completed", "error"].contains(&answer["status"].as_str().unwrap()), "{answer}");
    }
    client.leave().await;
}
