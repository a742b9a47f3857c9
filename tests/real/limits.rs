//! Long texts: a cut answer and its rest, the longest prompt.

use std::time::Duration;

use atm_agent_mcp::demo::model::{Reply, Request};
use atm_agent_mcp::mcp::args::PROMPT_MAX;
use atm_agent_mcp::mcp::result::TEXT_MAX;
use serde_json::{Value, json};

use crate::attach::Second;
use crate::stage::Stage;

on_each_codex! {
    the_rest_of_a_long_answer_is_read_from_the_thread,
    the_longest_prompt_that_we_take_is_the_longest_that_codex_takes,
}

async fn the_rest_of_a_long_answer_is_read_from_the_thread(stage: Stage) {
    let whole: String = (0..14_000).map(|n| format!("é{n:>9}")).collect();
    let long = whole.clone();
    let scene = stage.with(move |_: &Request| Reply::say(long.clone())).await;
    let server = scene.serve(&[]).await;
    let told = server.call("codex", json!({"identity": "ana", "prompt": "tell me all"})).await.good();
    let first: String = whole.chars().take(TEXT_MAX).collect();
    let (kept, how) = told.content().split_once("\n\n[cut here: ").expect("it is cut");
    assert!(kept == first, "the first {TEXT_MAX} characters");
    assert!(how.contains("60000 of 140000 characters") && how.contains("\"offset\": 60000"), "{how}");
    assert!(how.contains(told.text("agent_id")), "{how}");

    let mut read = kept.to_owned();
    let mut next = json!(TEXT_MAX);
    while next != Value::Null {
        let rest = json!({"agent_id": told.text("agent_id"), "what": "answer", "offset": next});
        let rest = server.call("agent_read", rest).await.good();
        assert_eq!(rest["total_chars"], 140_000);
        read.push_str(rest.content());
        next = rest["next_offset"].clone();
    }
    assert!(read == whole, "all of it, and nothing twice");
    scene.end(server).await;
}

async fn the_longest_prompt_that_we_take_is_the_longest_that_codex_takes(stage: Stage) {
    let scene = stage.plain().await;
    let server = scene.serve(&[]).await;
    // Characters, not bytes: each of these has two.
    let longest = "é".repeat(PROMPT_MAX);
    let told = server.call("codex", json!({"identity": "ana", "prompt": longest})).await.good();
    assert!(told.content().starts_with("ok: éé"), "{told:?}");
    assert!(scene.asked_last().last_user_text() == longest, "it reaches the model whole");

    let longer = "x".repeat(PROMPT_MAX + 1);
    let refused = server.call("codex-reply", json!({"identity": "ana", "prompt": longer})).await.bad();
    assert!(refused.content().contains("1048577 characters") && refused.content().contains("1048576"), "{refused:?}");

    let mut second = Second::attach(&server).await;
    let thread = told.text("threadId");
    second.resume(thread).await;
    let why = second.call("turn/start", json!({"threadId": thread, "input": [{"type": "text", "text": longer}]})).await;
    let why = why.unwrap_err();
    assert!(why.contains("1048576"), "{why}");
    scene.end(server).await;
}

/// No answer takes longer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
