//! `notifications/cancelled`: the turn ends, the thread goes on.

use serde_json::json;

use crate::stage::Stage;

on_each_codex! {
    a_cancelled_call_ends_its_turn_and_the_thread_goes_on,
    a_call_cancelled_at_any_moment_leaves_no_turn_behind,
    a_cancelled_call_that_waits_is_never_asked,
    a_cancelled_call_that_starts_an_agent_leaves_it_usable,
}

async fn a_cancelled_call_ends_its_turn_and_the_thread_goes_on(stage: Stage) {
    let (scene, [ana]) = stage.with_gates(["ana"]).await;
    let server = scene.serve(&[]).await;
    let call = server.begin("codex", json!({"identity": "ana", "prompt": "HOLD ana"})).await;
    ana.reached().await;
    call.cancel().await;
    server.rested("ana").await;

    let read = server.call("agent_read", json!({"identity": "ana"})).await.good();
    assert!(read.content().contains("(interrupted)") && read.content().contains("> HOLD ana"), "{read:?}");
    let after = server.call("codex-reply", json!({"identity": "ana", "prompt": "SAY on"})).await.good();
    assert_eq!(after.content(), "on");
    assert_eq!(after["threadId"], read["threadId"]);
    scene.end(server).await;
}

/// Codex refuses to interrupt a turn between the answer to `turn/start` and `turn/started`. The calls are withdrawn
/// after more and more round trips, so that some of them are in that gap; were one lost, its turn would never end.
async fn a_call_cancelled_at_any_moment_leaves_no_turn_behind(stage: Stage) {
    let scene = stage.plain().await;
    let server = scene.serve(&[]).await;
    server.call("codex", json!({"identity": "ana", "prompt": "SAY ready"})).await.good();
    for round_trips in 0..12 {
        let call = server.begin("codex-reply", json!({"identity": "ana", "prompt": "SILENCE"})).await;
        for _ in 0..round_trips {
            server.ping().await;
        }
        call.cancel().await;
        let after =
            server.call("codex-reply", json!({"identity": "ana", "prompt": format!("SAY {round_trips}")})).await;
        assert_eq!(after.good().content(), round_trips.to_string());
    }
    let read = server.call("agent_read", json!({"identity": "ana", "turns": 50})).await.good();
    // One that is interrupted at its very start has not even its prompt.
    for turn in read.content().split("--- turn ").skip(1) {
        assert!(turn.contains(if turn.contains("> SAY") { "(completed)" } else { "(interrupted)" }), "{turn}");
    }
    scene.end(server).await;
}

async fn a_cancelled_call_that_waits_is_never_asked(stage: Stage) {
    let (scene, [ana]) = stage.with_gates(["ana"]).await;
    let server = scene.serve(&[]).await;
    let held = server.begin("codex", json!({"identity": "ana", "prompt": "HOLD ana"})).await;
    ana.reached().await;
    let withdrawn = server.begin("codex-reply", json!({"identity": "ana", "prompt": "SAY never"})).await;
    withdrawn.cancel().await;
    ana.open();
    assert_eq!(held.result().await.good().content(), "ana is done");
    server.call("codex-reply", json!({"identity": "ana", "prompt": "SAY last"})).await.good();
    let asked: Vec<_> = scene.model().requests().iter().map(|request| request.last_user_text()).collect();
    assert_eq!(asked, ["HOLD ana", "SAY last"]);
    scene.end(server).await;
}

async fn a_cancelled_call_that_starts_an_agent_leaves_it_usable(stage: Stage) {
    let scene = stage.plain().await;
    let server = scene.serve(&[]).await;
    let call = server.begin("codex", json!({"identity": "ana", "prompt": "SAY never"})).await;
    call.cancel().await;
    let told = server.call("codex-reply", json!({"identity": "ana", "prompt": "SAY on"})).await.good();
    assert_eq!((told.content(), told.text("identity")), ("on", "ana"));
    assert_eq!(scene.model().requests().len(), 1, "it was withdrawn before Codex ran");
    scene.end(server).await;
}
