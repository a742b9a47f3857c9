//! A turn that does not go on is shown so, and who waits for it is told.

use serde_json::json;

use crate::stage::{Stage, said};
use atm_agent_mcp::config::ServeFlags;

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_model_that_is_not_reached_is_told_and_the_turn_goes_on() {
    let mut stage = Stage::with_running_turn(ServeFlags::default()).await;
    let tries = json!({
        "threadId": "thread-1", "turnId": "turn-1", "willRetry": true,
        "error": {"message": "Reconnecting... waiting for network"},
    });
    stage.codex.say("error", &tries);
    let told = stage.client.answer_to(1).await["result"]["structuredContent"].take();
    assert_eq!((&told["status"], &told["turn_id"]), (&json!("running"), &json!("turn-1")), "{told}");
    assert!(told["notes"].to_string().contains("waiting for network"), "{told}");
    stage.client.call(2, "agent_status", &json!({"identity": "codex"})).await;
    let status = stage.client.answer_to(2).await["result"]["structuredContent"].take();
    assert_eq!(status["status"], "unreachable", "{status}");
    assert!(status["trouble"]["last_event"].to_string().contains("waiting for network"), "{status}");
    stage.codex.say("item/completed", &said("turn-1", "there again"));
    stage.codex.say("turn/completed", &crate::stage::turn("turn-1", "completed"));
    stage.client.call(3, "agent_wait", &json!({})).await;
    let waited = stage.client.answer_to(3).await["result"]["structuredContent"].take();
    assert_eq!(waited["results"][0]["content"], "there again", "{waited}");
}

#[tokio::test(start_paused = true)]
async fn an_agent_of_which_nothing_is_heard_is_shown_as_stalled_with_its_last_word() {
    let mut stage = Stage::with_running_turn(ServeFlags::default()).await;
    let item = json!({"type": "commandExecution", "id": "1", "command": "make all"});
    stage.codex.say("item/started", &json!({"threadId": "thread-1", "turnId": "turn-1", "item": item}));
    let mut id = 2;
    let status = loop {
        stage.client.call(id, "agent_status", &json!({"identity": "codex"})).await;
        let status = stage.client.answer_to(id).await["result"]["structuredContent"].take();
        if status["status"] == "stalled" {
            break status;
        }
        id += 1;
        // Time passes where nothing else does.
        tokio::time::advance(std::time::Duration::from_secs(100)).await;
    };
    assert!(status["trouble"]["last_event"].to_string().contains("make all"), "{status}");
    stage.codex.say("item/completed", &said("turn-1", "done"));
    stage.codex.say("turn/completed", &crate::stage::turn("turn-1", "completed"));
    assert_eq!(stage.client.answer_to(1).await["result"]["structuredContent"]["content"], "done");
}
