//! Very much at once: it is answered, and it blocks nothing.

use serde_json::json;

use crate::stage::Stage;

#[tokio::test]
async fn of_512_calls_at_once_each_is_answered_and_the_server_answers_others_meanwhile() {
    let stage =
        Stage::set(json!({ "turns": [["started", "wait", { "say": "first" }], ["started", { "say": "done" }]] })).await;
    let mut server = stage.server(&[]).await;
    let first = server.begin("codex", json!({ "prompt": "x" })).await;
    let mut codex = stage.codex().await;
    codex.got("turn/start").await;

    let request = |id: u64| {
        let arguments = json!({ "prompt": format!("number {id}"), "identity": "codex" });
        let params = json!({ "name": "codex-reply", "arguments": arguments });
        format!("{}\n", json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params }))
    };
    server.write((1..=512).map(request).collect::<String>().as_bytes()).await;
    assert_eq!(server.done("agent_status", json!({ "identity": "codex" })).await["status"], "running");
    codex.go().await;
    assert_eq!(server.result(first).await["structuredContent"]["content"], "first");
    let mut completed = 0;
    for id in 1..=512 {
        let result = server.result(id).await;
        let told = &result["structuredContent"];
        if told["status"] == "completed" {
            completed += 1;
        } else {
            assert_eq!((&result["isError"], &told["error"]), (&json!(true), &json!("CALL_NOT_TAKEN")), "{result}");
            assert!(told["content"].as_str().unwrap().contains("64 calls wait"), "{result}");
        }
    }
    assert_eq!(completed, 64);
}

#[tokio::test]
async fn of_512_agents_at_once_as_many_as_may_be_live_work_and_the_others_are_told_why_not() {
    let stage = Stage::set(json!({ "turns": [["started", "wait", { "say": "done" }]] })).await;
    let mut server = stage.server(&[]).await;
    let mut calls = Vec::new();
    for number in 0..512 {
        // With names of their own they are not parked for one another.
        let identity = format!("agent-{number}");
        calls.push(server.begin("codex", json!({ "prompt": "x", "identity": identity })).await);
    }
    let mut codex = stage.codex().await;
    for _ in 0..10 {
        codex.got("turn/start").await;
    }
    for _ in 0..10 {
        codex.go().await;
    }
    let mut done = 0;
    for call in calls {
        let told = server.result(call).await["structuredContent"].clone();
        match told["error"].as_str() {
            None => done += 1,
            Some(error) => assert_eq!(error, "MAX_SESSIONS_EXCEEDED", "{told}"),
        }
    }
    assert_eq!(done, 10);
}

#[tokio::test]
async fn two_thousand_notifications_in_a_turn_hold_up_nothing() {
    let item = json!({ "item": { "type": "commandExecution", "id": "1", "command": "ls", "status": "inProgress" } });
    let turn = json!([
        "started",
        { "notify": [2000, "item/started", item] },
        { "notify": [2000, "item/unheardOf", {}] },
        { "ask": ["item/commandExecution/requestApproval", { "command": "ls" }] },
        "wait",
        { "say": "done" }
    ]);
    let stage = Stage::set(json!({ "turns": [turn] })).await;
    let mut server = stage.server(&[]).await;
    let told = server.done("codex", json!({ "prompt": "x" })).await;
    assert_eq!(told["status"], "awaiting_approval", "{told}");
    let mut codex = stage.codex().await;
    server.done("agent_approve", json!({ "ask_id": told["asks"][0]["ask_id"], "decision": "decline" })).await;
    assert_eq!(codex.answered().await["result"]["decision"], "decline");
    codex.go().await;
    let results = server.done("agent_wait", json!({ "mode": "all" })).await["results"].take();
    assert_eq!(results[0]["content"], "done");
}
