//! `codex/event`: told to who wants it, in the order in which it happens, and in nobody's way.

use std::time::Duration;

use serde_json::{Value, json};

use crate::stage::{McpClient, Stage, said, turn};

/// What was told before the answer to a call, and the result of that.
async fn told_before(client: &mut McpClient, call: u64) -> (Vec<Value>, Value) {
    let mut told = Vec::new();
    loop {
        let mut line = client.next().await;
        if line["id"] == call {
            return (told, line["result"].take());
        }
        if line["method"] == "codex/event" {
            told.push(line["params"].take());
        }
    }
}

fn kinds(told: &[Value]) -> Vec<&str> {
    told.iter().map(|params| params["msg"]["type"].as_str().unwrap()).collect()
}

fn deltas(told: &[Value]) -> u64 {
    kinds(told).iter().filter(|kind| **kind == "agent_message_content_delta").count() as u64
}

fn dropped(told: &[Value]) -> u64 {
    told.iter().filter_map(|params| params["_meta"]["dropped"].as_u64()).sum()
}

fn piece(n: usize) -> Value {
    json!({"threadId": "thread-1", "turnId": "turn-1", "itemId": "m", "delta": format!("piece {n} ")})
}

fn of_turn(key: &str, value: Value) -> Value {
    json!({"threadId": "thread-1", "turnId": "turn-1", key: value})
}

impl Stage {
    /// What the session has been told so far it has taken: it answers what comes after it.
    async fn has_been_heard(&mut self) {
        self.codex.asks(77, "currentTime/read", &json!({"threadId": "thread-1", "turnId": "turn-1"}));
        let answer = self.codex.hear().await;
        assert_eq!((&answer["id"], answer.get("error").is_some()), (&json!(77), true), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_turn_is_told_in_the_old_form_in_its_order_and_before_its_answer() {
    let mut stage = Stage::with_events("all").await.at_work().await;
    let run = json!({"type": "commandExecution", "id": "c", "command": "ls", "status": "completed", "exitCode": 0});
    stage.codex.say("item/started", &of_turn("item", run.clone()));
    stage.codex.say("item/completed", &of_turn("item", run));
    stage.codex.say("item/agentMessage/delta", &piece(1));
    stage.codex.say("item/completed", &said("turn-1", "all done"));
    stage.codex.say("warning", &json!({"threadId": "thread-1", "message": "mind the gap"}));
    stage.codex.say("error", &of_turn("error", json!({"message": "once more"})));
    stage.codex.say("turn/completed", &turn("turn-1", "completed"));
    let (told, result) = told_before(&mut stage.client, 1).await;
    assert_eq!(result["structuredContent"]["content"], "all done");
    assert_eq!(result["structuredContent"].get("notes"), None, "nothing was dropped");
    let expected = [
        "session_configured",
        "task_started",
        "exec_command_begin",
        "exec_command_end",
        "agent_message_content_delta",
        "agent_message",
        "warning",
        "error",
        "task_complete",
    ];
    assert_eq!(kinds(&told), expected);
    let agent = &result["structuredContent"]["agent_id"];
    for params in &told {
        assert_eq!(params["_meta"], json!({"requestId": 1, "threadId": "thread-1", "agent_id": agent}), "{params}");
        let turn = if ["session_configured", "warning"].contains(&params["msg"]["type"].as_str().unwrap()) {
            ""
        } else {
            "turn-1"
        };
        assert_eq!(params["id"], turn, "{params}");
    }
    assert_eq!(told[0]["msg"]["model"], "m");
}

#[tokio::test(start_paused = true)]
async fn of_two_calls_to_one_agent_each_hears_of_its_own_turn() {
    let mut stage = Stage::with_events("all").await.at_work().await;
    stage.client.call(2, "codex-reply", &json!({"identity": "codex", "prompt": "more"})).await;
    stage.codex.say("item/completed", &said("turn-1", "one"));
    stage.codex.say("turn/completed", &turn("turn-1", "completed"));
    let (first, _) = told_before(&mut stage.client, 1).await;
    stage.codex.accept_turn("turn-2").await;
    stage.codex.say("turn/started", &turn("turn-2", "inProgress"));
    stage.codex.say("item/completed", &said("turn-2", "two"));
    stage.codex.say("turn/completed", &turn("turn-2", "completed"));
    let (second, _) = told_before(&mut stage.client, 2).await;
    for (told, call, turn) in [(&first[1..], 1, "turn-1"), (&second, 2, "turn-2")] {
        assert_eq!(kinds(told), ["task_started", "agent_message", "task_complete"]);
        assert!(told.iter().all(|params| params["_meta"]["requestId"] == call && params["id"] == turn), "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_is_told_and_the_turn_is_told_of_to_its_end_though_its_call_was_answered() {
    let mut stage = Stage::with_events("all").await.at_work().await;
    let ask = json!({"threadId": "thread-1", "turnId": "turn-1", "itemId": "c", "command": "rm x", "cwd": "/p"});
    stage.codex.asks(0, "item/commandExecution/requestApproval", &ask);
    let (told, result) = told_before(&mut stage.client, 1).await;
    assert_eq!(result["structuredContent"]["status"], "awaiting_approval");
    let asked = loop {
        let line = stage.client.next().await;
        if line["params"]["msg"]["type"] == "exec_approval_request" {
            break line["params"]["msg"].clone();
        }
    };
    assert_eq!((&asked["call_id"], &asked["command"], &asked["cwd"]), (&json!("c"), &json!(["rm x"]), &json!("/p")));
    stage.client.call(2, "agent_approve", &json!({"ask_id": asked["ask_id"], "decision": "accept"})).await;
    assert_eq!(stage.codex.hear().await["result"]["decision"], "accept");
    stage.codex.say("turn/completed", &turn("turn-1", "completed"));
    let last = loop {
        let line = stage.client.next().await;
        if line["params"]["msg"]["type"] == "task_complete" {
            break line["params"].clone();
        }
    };
    assert_eq!(last["_meta"]["requestId"], 1);
    assert!(!told.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_turn_in_the_background_is_told_under_the_id_of_the_call_that_began_it() {
    let mut stage = Stage::with_events("all").await.at_work().await;
    stage.codex.say("turn/completed", &turn("turn-1", "completed"));
    told_before(&mut stage.client, 1).await;
    stage.client.call(2, "codex-reply", &json!({"identity": "codex", "prompt": "more", "background": true})).await;
    assert_eq!(told_before(&mut stage.client, 2).await.1["structuredContent"]["status"], "running");
    stage.codex.accept_turn("turn-2").await;
    stage.codex.say("turn/started", &turn("turn-2", "inProgress"));
    stage.codex.say("turn/completed", &turn("turn-2", "completed"));
    for kind in ["task_started", "task_complete"] {
        let told = stage.client.next().await["params"].take();
        assert_eq!((&told["msg"]["type"], &told["_meta"]["requestId"]), (&json!(kind), &json!(2)), "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_holds_up_neither_the_session_nor_the_answer_of_another_call() {
    let mut stage = Stage::with_events("all").await.at_work().await;
    for n in 0..10_000 {
        stage.codex.say("item/agentMessage/delta", &piece(n));
    }
    stage.has_been_heard().await;
    stage.client.call(2, "agent_status", &json!({})).await;
    let (mut told, status) = told_before(&mut stage.client, 2).await;
    assert_eq!(status["structuredContent"]["busy_thread_count"], 1);
    // What the pipe holds (some 310), and the few that were on their way.
    assert!(told.len() < 400, "{} events before the answer", told.len());

    stage.codex.say("item/completed", &said("turn-1", "all of it"));
    stage.codex.say("turn/completed", &turn("turn-1", "completed"));
    let (rest, result) = told_before(&mut stage.client, 1).await;
    told.extend(rest);
    assert_eq!(result["structuredContent"]["content"], "all of it");
    assert_eq!(deltas(&told) + dropped(&told), 10_000);
    assert!(dropped(&told) > 9_000, "{}", dropped(&told));
    assert_eq!(kinds(&told)[told.len() - 2..], ["agent_message", "task_complete"], "whole events are kept");
}

#[tokio::test(start_paused = true)]
async fn an_answer_does_not_wait_for_events_that_nobody_reads_and_says_how_many_were_dropped() {
    let mut stage = Stage::with_events("all").await.at_work().await;
    for n in 0..10_000 {
        stage.codex.say("item/agentMessage/delta", &piece(n));
    }
    stage.codex.say("turn/completed", &turn("turn-1", "completed"));
    stage.has_been_heard().await;
    // The turn is over, and nothing is left to do but to wait for who does not read.
    let silence = tokio::time::timeout(Duration::from_secs(1), stage.codex.hear()).await;
    assert!(silence.is_err(), "{silence:?}");
    let (mut told, result) = told_before(&mut stage.client, 1).await;
    // One may have been on its way.
    stage.client.call(2, "agent_status", &json!({})).await;
    told.extend(told_before(&mut stage.client, 2).await.0);
    let note = result["structuredContent"]["notes"][0].as_str().unwrap().to_owned();
    let untold: u64 = note.split(' ').next().unwrap().parse().unwrap();
    // Beside the deltas: how the session was configured, the turn's start, its end.
    let heard_whole = kinds(&told).len() as u64 - deltas(&told);
    assert_eq!(deltas(&told) + dropped(&told) + untold + heard_whole, 10_003, "{note}");
    assert!(note.contains("events of this turn were not sent"), "{note}");
}

#[tokio::test(start_paused = true)]
async fn who_wants_no_events_gets_neither_them_nor_progress() {
    for (events, expected) in [("off", None), ("summary", Some("notifications/progress"))] {
        let mut stage = Stage::with_events(events).await.at_work().await;
        stage.has_been_heard().await;
        tokio::time::advance(Duration::from_secs(2)).await;
        stage.codex.say("item/completed", &said("turn-1", "done"));
        stage.codex.say("turn/completed", &turn("turn-1", "completed"));
        let mut told = Vec::new();
        loop {
            let line = stage.client.next().await;
            if line["id"] == 1 {
                break;
            }
            told.push(line["method"].as_str().unwrap().to_owned());
        }
        told.dedup();
        assert_eq!(told, expected.into_iter().collect::<Vec<_>>(), "{events}");
    }
}
