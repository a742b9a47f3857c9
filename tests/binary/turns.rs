//! What happens to calls when a turn does not go as it should.

use serde_json::{Value, json};

use crate::stage::Stage;

/// The agent of a status, a listing or a result.
async fn agent(server: &mut crate::server::Server, identity: &str) -> Value {
    server.done("agent_status", json!({ "identity": identity })).await
}

#[tokio::test]
async fn a_codex_that_dies_in_a_turn_ends_every_call_at_once_and_the_next_one_goes_on_in_a_new_one() {
    let stage = Stage::set(json!({ "turns": [["started", "never"], ["started", { "say": "half" }, "die"]] })).await;
    let mut server = stage.server(&[]).await;
    let long = server.begin("codex", json!({ "prompt": "long", "identity": "ann" })).await;
    let mut codex = stage.codex().await;
    codex.got("turn/start").await;
    let waiting = server.begin("codex-reply", json!({ "prompt": "later", "identity": "ann" })).await;
    let dying = server.begin("codex", json!({ "prompt": "die", "identity": "bob" })).await;
    let mut threads = Vec::new();
    for call in [long, waiting, dying] {
        let result = server.result(call).await;
        let told = &result["structuredContent"];
        assert_eq!((&result["isError"], &told["status"]), (&json!(true), &json!("lost")), "{result}");
        assert_eq!(told["error"], "CHILD_PROCESS_DEAD");
        let content = told["content"].as_str().unwrap();
        assert!(content.contains(": 9") && content.contains("codex-reply"), "{content}");
        threads.push(told["threadId"].clone());
    }
    codex.gone().await;
    let ann = agent(&mut server, "ann").await;
    assert_eq!((&ann["status"], &ann["resumable"]), (&json!("lost"), &json!(true)), "{ann}");
    assert_eq!(server.done("agent_status", json!({})).await["child_alive"], false);

    stage.rewrite(json!({}));
    let result = server.done("codex-reply", json!({ "prompt": "again", "identity": "ann" })).await;
    assert_eq!((&result["content"], &result["threadId"]), (&json!("done"), &threads[0]));
    let mut codex = stage.codex().await;
    assert_eq!(codex.got("thread/resume").await["threadId"], threads[0]);
    let result = server.done("codex-reply", json!({ "prompt": "again", "threadId": threads[2] })).await;
    assert_eq!(result["identity"], "bob");
    assert_eq!(codex.got("thread/resume").await["threadId"], threads[2]);
}

#[tokio::test]
async fn a_dead_codex_is_told_with_its_last_lines() {
    let stage = Stage::set(json!({ "prints": ["thread 'main' panicked at core.rs"], "turns": [["die"]] })).await;
    let mut server = stage.server(&[]).await;
    let error = server.fails("codex", json!({ "prompt": "x" })).await;
    assert!(error.contains("thread 'main' panicked at core.rs"), "{error}");
}

#[tokio::test]
async fn whatever_codex_asks_is_answered_as_it_was_decided_and_what_nobody_can_decide_at_once() {
    let network = json!({ "network": { "enabled": true } });
    let form = json!({ "type": "object", "properties": { "name": { "type": "string" } }, "required": ["name"] });
    let question = json!({ "id": "q", "question": "Which?", "options": [{ "label": "this" }, { "label": "that" }] });
    let elicitation = json!({ "serverName": "mail", "mode": "form", "message": "May I?", "requestedSchema": form });
    let kinds = [
        ("item/commandExecution/requestApproval", json!({ "itemId": "1", "command": "rm -rf /", "reason": "tidy" })),
        ("item/fileChange/requestApproval", json!({ "itemId": "2", "reason": null, "grantRoot": null })),
        ("item/permissions/requestApproval", json!({ "itemId": "3", "reason": "to load it", "permissions": network })),
        ("item/tool/requestUserInput", json!({ "itemId": "4", "questions": [question] })),
        ("mcpServer/elicitation/request", elicitation),
    ];
    let decisions = [
        ("command", "accept", json!({}), json!({ "decision": "accept" })),
        ("file_change", "accept_for_session", json!({}), json!({ "decision": "acceptForSession" })),
        ("permissions", "accept", json!({}), json!({ "permissions": network, "scope": "turn" })),
        ("user_input", "accept", json!({ "q": "that" }), json!({ "answers": { "q": { "answers": ["that"] } } })),
        (
            "mcp_elicitation",
            "accept",
            json!({ "name": "x" }),
            json!({ "action": "accept", "content": { "name": "x" } }),
        ),
        ("command", "decline", json!({}), json!({ "decision": "decline" })),
        ("file_change", "cancel", json!({}), json!({ "decision": "cancel" })),
        ("permissions", "decline", json!({}), json!({ "permissions": {}, "scope": "turn" })),
        ("user_input", "decline", json!({}), json!({ "answers": {} })),
        ("mcp_elicitation", "decline", json!({}), json!({ "action": "decline", "content": null })),
    ];
    let mut turn = vec![
        json!("started"),
        json!({ "ask": ["item/tool/call", { "callId": "6", "namespace": null, "tool": "fly", "arguments": {} }] }),
        json!({ "ask": ["execCommandApproval", { "conversationId": "", "callId": "7", "command": ["rm", "x"], "cwd": "/" }] }),
        json!({ "ask": ["item/tarot/read", { "card": "fool" }] }),
    ];
    turn.extend(kinds.iter().chain(&kinds).map(|(method, params)| json!({ "ask": [method, params] })));
    turn.push(json!({ "say": "done" }));
    let stage = Stage::set(json!({ "turns": [turn] })).await;
    let mut server = stage.server(&[]).await;
    let first = server.done("codex", json!({ "prompt": "x", "identity": "ann" })).await;
    let mut codex = stage.codex().await;
    let refused = codex.answered().await;
    let text = "Error: There is no tool fly. Those of atm: send, read, broadcast, pending_count.";
    assert_eq!(
        (&refused["result"]["contentItems"][0]["text"], &refused["result"]["success"]),
        (&json!(text), &json!(false))
    );
    for method in ["execCommandApproval", "item/tarot/read"] {
        let refused = codex.answered().await;
        assert_eq!(refused["error"]["code"], -32601, "{refused}");
        assert!(refused["error"]["message"].as_str().unwrap().contains(method), "{refused}");
    }
    let mut asks = first["asks"].clone();
    for (kind, decision, content, expected) in decisions {
        let [ask] = asks.as_array().unwrap().as_slice() else { panic!("one ask: {asks}") };
        assert_eq!(ask["kind"], kind, "{ask}");
        let mut decide = json!({ "ask_id": ask["ask_id"], "decision": decision });
        if content.as_object().is_some_and(|content| !content.is_empty()) {
            let missing = server.fails("agent_approve", decide.clone()).await;
            assert!(missing.contains("stays open") && missing.contains("content"), "{missing}");
            decide["content"] = content;
        }
        server.done("agent_approve", decide).await;
        let answer = codex.answered().await;
        assert_eq!(answer["result"], expected, "{kind}");
        asks = server.done("agent_wait", json!({ "agents": ["ann"], "timeout_ms": 600_000 })).await["asks"].clone();
    }
    assert_eq!(asks, json!([]));
}

#[tokio::test]
async fn a_cancelled_call_is_interrupted_once_its_turn_runs_and_not_before_and_gets_no_answer() {
    let turns = json!([["wait", "started", "never"], ["started", { "say": "done" }]]);
    let stage = Stage::set(json!({ "turns": turns })).await;
    let mut server = stage.server(&[]).await;
    let call = server.begin("codex", json!({ "prompt": "long" })).await;
    let mut codex = stage.codex().await;
    codex.got("turn/start").await;
    server.notify("notifications/cancelled", json!({ "requestId": call, "reason": "no time" })).await;
    assert_eq!(agent(&mut server, "codex").await["status"], "running");
    codex.lives().await;
    assert!(!codex.methods().contains(&"turn/interrupt"), "{:?}", codex.methods());
    codex.go().await;
    codex.got("turn/interrupt").await;
    let result = server.done("codex-reply", json!({ "prompt": "next", "identity": "codex" })).await;
    assert_eq!((&result["content"], &result["status"]), (&json!("done"), &json!("completed")));
    let left = server.leave().await;
    assert_eq!(left.rest, Vec::<Value>::new(), "the cancelled call is not answered");
}

#[tokio::test]
async fn a_call_that_waits_for_its_turn_is_withdrawn_by_a_cancel_and_never_reaches_codex() {
    let stage = Stage::set(json!({ "turns": [["started", "wait", { "say": "done" }]] })).await;
    let mut server = stage.server(&[]).await;
    let first = server.begin("codex", json!({ "prompt": "one" })).await;
    let mut codex = stage.codex().await;
    codex.got("turn/start").await;
    let second = server.begin("codex-reply", json!({ "prompt": "two", "identity": "codex" })).await;
    server.notify("notifications/cancelled", json!({ "requestId": second })).await;
    let third = server.begin("codex-reply", json!({ "prompt": "three", "identity": "codex" })).await;
    assert_eq!(agent(&mut server, "codex").await["status"], "running");
    codex.go().await;
    codex.go().await;
    assert_eq!(server.result(first).await["structuredContent"]["status"], "completed");
    assert_eq!(server.result(third).await["structuredContent"]["status"], "completed");
    assert_eq!(codex.got("turn/start").await["input"][0]["text"], "three");
    assert_eq!(server.leave().await.rest, Vec::<Value>::new());
}

#[tokio::test]
async fn a_turn_that_codex_refuses_is_told_and_the_agent_stays() {
    let stage = Stage::set(json!({ "refuses": { "turn/start": "model overloaded" } })).await;
    let mut server = stage.server(&[]).await;
    let error = server.fails("codex", json!({ "prompt": "x" })).await;
    assert!(error.contains("model overloaded"), "{error}");
    assert_eq!(agent(&mut server, "codex").await["status"], "idle");
}

#[tokio::test]
async fn a_background_turn_of_a_dead_codex_is_told_by_agent_wait() {
    let stage = Stage::set(json!({ "turns": [["started", "wait", "die"]] })).await;
    let mut server = stage.server(&[]).await;
    let begun = server.done("codex", json!({ "prompt": "x", "background": true })).await;
    assert_eq!(begun["status"], "running", "{begun}");
    let wait = server.begin("agent_wait", json!({ "timeout_ms": 600_000 })).await;
    let mut codex = stage.codex().await;
    codex.go().await;
    let result = server.result(wait).await;
    assert_eq!(result["structuredContent"]["results"][0]["status"], "lost", "{result}");
}
