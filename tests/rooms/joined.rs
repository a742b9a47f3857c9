//! What takes time, or must not: limits, progress, silence, in a time that does not pass by itself.

use std::time::Duration;

use atm_agent_mcp::config::ServeFlags;
use serde_json::json;
use tokio::time::Instant;

use crate::stage::{Stage, said, turn};

#[tokio::test(start_paused = true)]
async fn a_turn_is_interrupted_at_its_limit_and_returns_what_there_is() {
    let mut stage = Stage::with_running_turn(ServeFlags { timeout: Some(90), ..ServeFlags::default() }).await;
    let since = Instant::now();
    stage.codex.say("item/completed", &said("turn-1", "half of it"));
    let interrupt = stage.codex.expect("turn/interrupt").await;
    assert_eq!(since.elapsed().as_secs(), 90);
    assert_eq!(interrupt["params"], json!({"threadId": "thread-1", "turnId": "turn-1"}));
    stage.codex.answer(&interrupt, &json!({}));
    stage.codex.say("turn/completed", &turn("turn-1", "interrupted"));
    let result = stage.client.answer_to(1).await["result"].clone();
    assert_eq!((&result["isError"], &result["structuredContent"]["status"]), (&json!(true), &json!("timed_out")));
    let content = result["structuredContent"]["content"].as_str().unwrap();
    assert!(content.contains("request_timeout_secs") && content.ends_with("half of it"), "{content}");
}

#[tokio::test(start_paused = true)]
async fn progress_is_told_at_most_once_a_second() {
    let mut stage = Stage::with_running_turn(ServeFlags::default()).await;
    let since = Instant::now();
    for n in 0..500 {
        let item = json!({"type": "commandExecution", "id": n.to_string(), "command": format!("step {n}")});
        stage.codex.say("item/started", &json!({"threadId": "thread-1", "turnId": "turn-1", "item": item}));
        tokio::time::advance(Duration::from_millis(10)).await;
    }
    stage.codex.say("turn/completed", &turn("turn-1", "completed"));
    let mut told = Vec::new();
    loop {
        let line = stage.client.next().await;
        if line["id"] == 1 {
            break;
        }
        assert_eq!(line["method"], "notifications/progress");
        assert_eq!(line["params"]["progressToken"], 1);
        told.push(line["params"]["message"].as_str().unwrap().to_owned());
    }
    let seconds = usize::try_from(since.elapsed().as_secs()).unwrap();
    assert!((1..=seconds + 1).contains(&told.len()), "{told:?} in {seconds} s");
    assert!(told.last().unwrap().starts_with("codex: running step "), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_is_not_sent_before_the_turn_runs() {
    let mut stage = Stage::open(ServeFlags::default()).await;
    stage.client.call(1, "codex", &json!({"prompt": "work"})).await;
    stage.codex.shake_hands().await;
    stage.codex.open_thread().await;
    stage.codex.accept_turn("turn-1").await;
    let cancelled = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
    stage.client.send(&cancelled).await;
    // The server has taken the cancellation when it answers what came after it.
    stage.client.call(2, "agent_status", &json!({})).await;
    stage.client.answer_to(2).await;
    stage.codex.say("turn/started", &turn("turn-1", "inProgress"));
    let interrupt = stage.codex.expect("turn/interrupt").await;
    stage.codex.answer(&interrupt, &json!({}));
    stage.codex.say("turn/completed", &turn("turn-1", "interrupted"));

    stage.client.call(3, "codex-reply", &json!({"identity": "codex", "prompt": "go on"})).await;
    loop {
        let heard = stage.codex.hear().await;
        if heard["method"] == "turn/start" {
            stage.codex.answer(&heard, &json!({"turn": {"id": "turn-2", "status": "inProgress", "items": []}}));
            break;
        }
        stage.codex.answer(&heard, &json!({}));
    }
    stage.codex.say("turn/started", &turn("turn-2", "inProgress"));
    stage.codex.say("item/completed", &said("turn-2", "here again"));
    stage.codex.say("turn/completed", &turn("turn-2", "completed"));
    let mut seen = Vec::new();
    let result = loop {
        let line = stage.client.next().await;
        if line["id"] == 3 {
            break line;
        }
        seen.push(line["id"].clone());
    };
    assert!(!seen.contains(&json!(1)), "a cancelled call has no answer");
    assert_eq!(result["result"]["structuredContent"]["content"], "here again");
}

#[tokio::test(start_paused = true)]
async fn a_codex_that_never_answers_a_turn_ends_the_call_and_not_the_agent() {
    let mut stage = Stage::open(ServeFlags::default()).await;
    stage.client.call(1, "codex", &json!({"prompt": "work"})).await;
    stage.codex.shake_hands().await;
    stage.codex.open_thread().await;
    stage.codex.expect("turn/start").await;
    let result = stage.client.answer_to(1).await["result"].clone();
    assert_eq!(result["isError"], true);
    let content = result["structuredContent"]["content"].as_str().unwrap();
    assert!(content.contains("did not answer turn/start within 60 s"), "{content}");

    stage.client.call(2, "codex-reply", &json!({"identity": "codex", "prompt": "once more"})).await;
    stage.codex.accept_turn("turn-2").await;
    stage.codex.say("turn/started", &turn("turn-2", "inProgress"));
    stage.codex.say("turn/completed", &turn("turn-2", "completed"));
    assert_eq!(stage.client.answer_to(2).await["result"]["structuredContent"]["status"], "completed");
}

#[tokio::test(start_paused = true)]
async fn closing_an_agent_waits_two_seconds_for_its_turn_and_no_longer() {
    let mut stage = Stage::with_running_turn(ServeFlags::default()).await;
    let since = Instant::now();
    stage.client.call(2, "agent_close", &json!({"identity": "codex"})).await;
    let closed = stage.client.answer_to(1).await["result"]["structuredContent"].clone();
    assert_eq!((&closed["status"], &closed["error"]), (&json!("closed"), &json!("SESSION_CLOSED")));
    assert_eq!(since.elapsed().as_secs(), 0, "the call hears of it at once");
    stage.codex.expect("turn/interrupt").await;
    stage.codex.lets_go().await;
    assert_eq!(stage.client.answer_to(2).await["result"]["structuredContent"]["closed"], true);
    assert_eq!(since.elapsed().as_secs(), 2);
}

#[tokio::test]
async fn who_is_being_closed_asks_nobody_any_more() {
    let mut stage = Stage::with_running_turn(ServeFlags::default()).await;
    stage.client.call(2, "agent_close", &json!({"identity": "codex"})).await;
    stage.codex.expect("turn/interrupt").await;
    let ask = json!({"threadId": "thread-1", "turnId": "turn-1", "itemId": "i", "command": "rm -rf /"});
    stage.codex.asks(0, "item/commandExecution/requestApproval", &ask);
    assert_eq!(stage.codex.hear().await["result"]["decision"], "decline");
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_after_its_time_and_says_who_is_still_running() {
    let mut stage = Stage::with_running_turn(ServeFlags::default()).await;
    let since = Instant::now();
    stage.client.call(2, "agent_wait", &json!({"agents": ["codex"], "timeout_ms": 7000})).await;
    let result = stage.client.answer_to(2).await["result"]["structuredContent"].clone();
    assert_eq!(since.elapsed().as_secs(), 7);
    assert_eq!(result["results"], json!([]));
    assert_eq!(result["running"][0]["identity"], "codex");
    assert!(result["next"].as_str().unwrap().contains("Still running: codex"), "{result}");
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_wait_takes_no_results_with_it() {
    let mut stage = Stage::open(ServeFlags::default()).await;
    stage.client.call(1, "codex", &json!({"prompt": "work", "background": true})).await;
    stage.codex.shake_hands().await;
    stage.codex.open_thread().await;
    stage.client.answer_to(1).await;
    stage.codex.accept_turn("turn-1").await;
    stage.codex.say("turn/started", &turn("turn-1", "inProgress"));
    stage.client.call(2, "codex-reply", &json!({"identity": "codex", "prompt": "more", "background": true})).await;
    stage.client.answer_to(2).await;
    stage.client.call(3, "agent_wait", &json!({"mode": "all"})).await;
    stage.codex.say("item/completed", &said("turn-1", "the first"));
    stage.codex.say("turn/completed", &turn("turn-1", "completed"));
    stage.codex.accept_turn("turn-2").await;
    let cancelled = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 3}});
    stage.client.send(&cancelled).await;
    stage.client.call(4, "agent_wait", &json!({})).await;
    let result = stage.client.answer_to(4).await["result"]["structuredContent"].clone();
    assert_eq!(result["results"][0]["content"], "the first", "{result}");
    assert_eq!(result["running"][0]["identity"], "codex");
}

#[tokio::test(start_paused = true)]
async fn an_agent_is_told_who_leads() {
    let lead = atm_agent_mcp::ids::AgentName::parse("boss").unwrap();
    let mut stage = Stage::open(ServeFlags { lead: Some(lead), ..ServeFlags::default() }).await;
    stage.client.call(1, "codex", &json!({"prompt": "work"})).await;
    stage.codex.shake_hands().await;
    let start = stage.codex.expect("thread/start").await;
    let told = start["params"]["developerInstructions"].as_str().unwrap();
    assert!(told.contains(r#""lead":"boss""#), "{told}");
}

#[tokio::test(start_paused = true)]
async fn more_calls_than_may_wait_are_refused_and_the_others_run_in_their_order() {
    let mut stage = Stage::with_running_turn(ServeFlags::default()).await;
    for id in 2..=512 {
        stage.client.call(id, "codex-reply", &json!({"identity": "codex", "prompt": format!("call {id}")})).await;
    }
    for refused in stage.client.results_of(66..=512).await {
        let told = &refused["structuredContent"];
        let whose = (&told["error"], &told["code"], &told["error_source"]);
        assert_eq!(whose, (&json!("CALL_NOT_TAKEN"), &json!(-32029), &json!("proxy")), "{refused}");
    }
    stage.codex.say("turn/completed", &turn("turn-1", "completed"));
    for id in 2..=65 {
        let start = stage.codex.expect("turn/start").await;
        assert_eq!(start["params"]["input"][0]["text"], format!("call {id}"));
        let name = format!("turn-{id}");
        stage.codex.answer(&start, &json!({"turn": {"id": name, "status": "inProgress", "items": []}}));
        stage.codex.say("turn/started", &turn(&name, "inProgress"));
        stage.codex.say("turn/completed", &turn(&name, "completed"));
    }
    for completed in stage.client.results_of(2..=65).await {
        assert_eq!(completed["structuredContent"]["status"], "completed");
    }
}
