//! Turns as tasks, for clients of 2026-07-28 that have the extension.

use serde_json::{Value, json};

use crate::raw::Raw;
use crate::stage::Stage;

on_each_codex! {
    a_turn_is_a_task_that_is_asked_for_until_it_is_done,
    what_is_asked_in_a_task_is_decided_by_an_update,
    a_task_that_is_cancelled_ends_its_turn,
    a_task_is_known_to_the_next_server_by_its_thread,
    a_task_of_another_server_is_working_while_that_runs_it_and_is_ended_only_there,
    a_task_that_did_not_come_to_its_end_says_elsewhere_no_more_than_is_known,
}

/// A client that has tasks and forms.
fn able() -> Value {
    json!({ "elicitation": { "form": {} }, "extensions": { "io.modelcontextprotocol/tasks": {} } })
}

impl Raw {
    /// Begins a task; answers its id.
    async fn begins(&mut self, id: u64, tool: &str, arguments: Value) -> String {
        self.modern_call(id, tool, arguments, &able(), json!({})).await;
        let task = self.answer_to(id).await;
        assert_eq!((&task["resultType"], &task["status"]), (&json!("task"), &json!("working")), "{task}");
        assert!(task["ttlMs"].as_u64() > Some(0) && task["pollIntervalMs"].as_u64() > Some(0), "{task}");
        task["taskId"].as_str().unwrap().to_owned()
    }

    /// Asks until the task shows this status.
    async fn shows(&mut self, task: &str, status: &str) -> Value {
        for id in 1_000.. {
            let shown = self.modern(id, "tasks/get", json!({ "taskId": task }), &able()).await;
            if shown["status"] == status {
                return shown;
            }
            let goes_on = ["working", "input_required"].contains(&shown["status"].as_str().unwrap());
            assert!(goes_on, "{shown}");
        }
        unreachable!("it asks for ever")
    }
}

async fn a_turn_is_a_task_that_is_asked_for_until_it_is_done(stage: Stage) {
    let (scene, [gate]) = stage.with_gates(["ana"]).await;
    let mut client = Raw::start(scene.command(&[]));
    let discovered = client.modern(1, "server/discover", json!({}), &able()).await;
    assert!(discovered["capabilities"]["extensions"]["io.modelcontextprotocol/tasks"].is_object(), "{discovered}");
    let task = client.begins(2, "codex", json!({"identity": "ana", "prompt": "HOLD ana"})).await;
    gate.reached().await;
    let working = client.shows(&task, "working").await;
    assert!(working["statusMessage"].as_str().unwrap().starts_with("ana: "), "{working}");
    gate.open();
    let done = client.shows(&task, "completed").await;
    let structured = &done["result"]["structuredContent"];
    assert_eq!((&structured["status"], &structured["identity"]), (&json!("completed"), &json!("ana")), "{done}");
    let failed = client.begins(3, "codex-reply", json!({"identity": "ana", "prompt": "FAIL 500"})).await;
    let failed = client.shows(&failed, "completed").await;
    assert_eq!(
        (&failed["result"]["isError"], &failed["result"]["structuredContent"]["status"]),
        (&json!(true), &json!("failed"))
    );
    client.leave().await;
}

async fn what_is_asked_in_a_task_is_decided_by_an_update(stage: Stage) {
    let scene = stage.plain().await;
    let mut client = Raw::start(scene.command(&[]));
    let touch = json!({"identity": "ana", "prompt": "RUN touch made", "approval-policy": "untrusted", "sandbox": "workspace-write"});
    let task = client.begins(1, "codex", touch).await;
    let asked = client.shows(&task, "input_required").await;
    let (ask, form) = asked["inputRequests"].as_object().unwrap().iter().next().unwrap();
    assert_eq!(form["method"], "elicitation/create");
    // What is no decision decides nothing, and is asked again.
    for answer in [json!({"action": "accept", "content": {"decision": "perhaps"}}), json!({"Decision": "decline"})] {
        let update = json!({ "taskId": task, "inputResponses": { ask: answer } });
        client.modern_fails(2, "tasks/update", update, &able()).await;
        assert_eq!(client.shows(&task, "input_required").await["inputRequests"], asked["inputRequests"], "{answer}");
    }
    client.modern_fails(2, "tasks/update", json!({ "taskId": task, "inputResponses": 7 }), &able()).await;
    client.modern_fails(2, "tasks/cancel", json!({ "taskId": 7 }), &able()).await;
    assert!(!scene.project().join("made").exists());
    let accept = json!({ ask: {"action": "accept", "content": {"decision": "accept"}} });
    client.modern(2, "tasks/update", json!({ "taskId": task, "inputResponses": accept }), &able()).await;
    client.shows(&task, "completed").await;
    assert!(scene.project().join("made").exists());
    client.leave().await;
}

async fn a_task_that_is_cancelled_ends_its_turn(stage: Stage) {
    let (scene, [gate]) = stage.with_gates(["ana"]).await;
    let mut client = Raw::start(scene.command(&[]));
    let task = client.begins(1, "codex", json!({"identity": "ana", "prompt": "HOLD ana"})).await;
    gate.reached().await;
    client.modern(2, "tasks/cancel", json!({ "taskId": task }), &able()).await;
    client.shows(&task, "cancelled").await;
    let next = client.begins(3, "codex-reply", json!({"identity": "ana", "prompt": "SAY on"})).await;
    assert_eq!(client.shows(&next, "completed").await["result"]["structuredContent"]["content"], "on");
    client.leave().await;
}

async fn a_task_is_known_to_the_next_server_by_its_thread(stage: Stage) {
    let scene = stage.plain().await;
    let mut client = Raw::start(scene.command(&[]));
    let task = client.begins(1, "codex", json!({"identity": "ana", "prompt": "SAY kept"})).await;
    client.shows(&task, "completed").await;
    client.leave().await;
    let mut client = Raw::start(scene.command(&[]));
    let kept = client.shows(&task, "completed").await;
    assert_eq!(kept["result"]["structuredContent"]["content"], "kept", "{kept}");
    let strange = json!({ "taskId": "nobody.nothing" });
    client.modern_fails(2, "tasks/get", strange, &able()).await;
    client.leave().await;
}

/// What a text of the task's result says.
fn said(shown: &Value) -> &str {
    shown["result"]["structuredContent"]["content"].as_str().unwrap_or_else(|| panic!("no result: {shown}"))
}

async fn a_task_of_another_server_is_working_while_that_runs_it_and_is_ended_only_there(stage: Stage) {
    let (scene, [gate]) = stage.with_gates(["ana"]).await;
    let mut client = Raw::start(scene.command(&[]));
    let task = client.begins(1, "codex", json!({"identity": "ana", "prompt": "HOLD ana"})).await;
    gate.reached().await;
    let mut other = Raw::start(scene.command(&[]));
    let working = other.modern(1, "tasks/get", json!({ "taskId": task }), &able()).await;
    assert_eq!(working["status"], "working", "{working}");
    let message = working["statusMessage"].as_str().unwrap();
    assert!(message.starts_with("ana: ") && message.contains("another server (process "), "{working}");
    for (method, params) in [
        ("tasks/update", json!({ "taskId": task, "inputResponses": {"ask-1": {"action": "accept"}} })),
        ("tasks/cancel", json!({ "taskId": task })),
    ] {
        let refused = other.modern_fails(2, method, params, &able()).await;
        assert!(refused.contains("another server (process ") && refused.contains("tasks/get"), "{refused}");
    }
    gate.open();
    client.shows(&task, "completed").await;
    assert_eq!(said(&other.shows(&task, "completed").await), "ana is done");
    // That other one still has the agent.
    for (method, params) in [
        ("tasks/update", json!({ "taskId": task, "inputResponses": {"ask-1": {"action": "accept"}} })),
        ("tasks/cancel", json!({ "taskId": task })),
    ] {
        let refused = other.modern_fails(3, method, params, &able()).await;
        assert!(refused.contains("has ended (completed)") && refused.contains("tasks/get"), "{refused}");
    }
    other.leave().await;
    client.leave().await;
}

async fn a_task_that_did_not_come_to_its_end_says_elsewhere_no_more_than_is_known(stage: Stage) {
    let (scene, [ana, ben]) = stage.with_gates(["ana", "ben"]).await;
    let mut client = Raw::start(scene.command(&[]));
    let cancelled = client.begins(1, "codex", json!({"identity": "ana", "prompt": "HOLD ana"})).await;
    ana.reached().await;
    client.modern(2, "tasks/cancel", json!({ "taskId": cancelled }), &able()).await;
    client.shows(&cancelled, "cancelled").await;
    let mut other = Raw::start(scene.command(&[]));
    let known = other.shows(&cancelled, "completed").await;
    assert_eq!(known["result"]["structuredContent"]["status"], "interrupted", "{known}");
    assert!(said(&known).contains("was interrupted, or its server ended"), "{known}");
    let killed = client.begins(3, "codex", json!({"identity": "ben", "prompt": "HOLD ben"})).await;
    ben.reached().await;
    assert_eq!(other.modern(3, "tasks/get", json!({ "taskId": killed }), &able()).await["status"], "working");
    client.killed().await;
    assert!(said(&other.shows(&killed, "completed").await).contains("was interrupted, or its server ended"));
    // Whoever runs the agent now does not run that turn.
    let mut next = Raw::start(scene.command(&[]));
    let later = next.begins(1, "codex-reply", json!({"identity": "ben", "prompt": "SAY on"})).await;
    next.shows(&later, "completed").await;
    assert!(said(&other.shows(&killed, "completed").await).contains("was interrupted, or its server ended"));
    next.leave().await;
    other.leave().await;
}
