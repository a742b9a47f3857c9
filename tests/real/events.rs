//! What a client hears of a turn while it runs: nothing, progress, or everything in the form of the lost `codex mcp-server`.

use serde_json::{Value, json};

use crate::raw::Raw;
use crate::stage::{Scene, Stage};

on_each_codex! {
    a_client_that_asks_for_it_hears_every_event_in_the_old_form_and_in_order,
    a_client_that_wants_no_events_hears_none,
    a_client_that_reads_nothing_for_a_while_has_its_answers_all_the_same,
}

async fn client(scene: &Scene, events: &str) -> Raw {
    let mut command = scene.command(&[]);
    command.env("ATM_AGENT_MCP_EVENTS", events);
    Raw::with_forms(command).await
}

async fn a_client_that_asks_for_it_hears_every_event_in_the_old_form_and_in_order(stage: Stage) {
    let scene = stage.plain().await;
    let mut client = client(&scene, "all").await;
    client.call(7, "codex", json!({"identity": "ana", "prompt": "RUN echo hello", "sandbox": "read-only"})).await;
    let answer = client.answer_to(7).await["structuredContent"].take();
    let heard = client.heard_of("codex/event");
    let types: Vec<&str> = heard.iter().map(|event| event["params"]["msg"]["type"].as_str().unwrap()).collect();
    let at =
        |kind: &str| types.iter().position(|heard| *heard == kind).unwrap_or_else(|| panic!("no {kind} in {types:?}"));
    let order = [
        "task_started",
        "user_message",
        "exec_command_begin",
        "exec_command_end",
        "agent_message_content_delta",
        "agent_message",
        "task_complete",
    ];
    assert!(order.map(at).is_sorted(), "{types:?}");
    assert!(at("token_count") > at("task_started"), "{types:?}");
    for event in &heard {
        let meta = &event["params"]["_meta"];
        assert_eq!(
            (&meta["requestId"], &meta["threadId"], &meta["agent_id"]),
            (&json!(7), &answer["threadId"], &answer["agent_id"])
        );
        assert_eq!(event["params"]["id"], answer["turn_id"], "{event}");
    }
    let message = &heard[at("agent_message")]["params"]["msg"]["message"];
    assert_eq!(message, &answer["content"]);
    let pieces = heard.iter().filter(|event| event["params"]["msg"]["type"] == "agent_message_content_delta");
    let whole: String = pieces.map(|event| event["params"]["msg"]["delta"].as_str().unwrap()).collect();
    assert_eq!(json!(whole), answer["content"]);
    // What is asked is among them.
    client
        .call(8, "codex", json!({"identity": "ben", "prompt": "RUN touch made", "approval-policy": "untrusted"}))
        .await;
    let form = client.hears("elicitation/create").await;
    client.answer(&form, json!({"action": "decline"})).await;
    client.answer_to(8).await;
    let asked = |event: &Value| event["params"]["msg"]["type"] == "exec_approval_request";
    let heard = client.heard_of("codex/event");
    let asked = heard.iter().find(|event| asked(event)).unwrap();
    assert_eq!(asked["params"]["msg"]["call_id"], form["params"]["codex_call_id"]);
    client.leave().await;
}

async fn a_client_that_wants_no_events_hears_none(stage: Stage) {
    let (scene, [gate]) = stage.with_gates(["ana"]).await;
    for (events, hears) in [("off", false), ("summary", true)] {
        let mut client = client(&scene, events).await;
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
    let mut client = client(&scene, "all").await;
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
