//! Turns in the background, and `agent_wait`.

use serde_json::json;

use crate::stage::Stage;

on_each_codex! {
    wait_returns_with_the_first_result_and_tells_who_still_runs,
    wait_for_all_returns_when_the_last_is_done,
    a_background_turn_that_fails_is_a_result_like_any_other,
}

async fn wait_returns_with_the_first_result_and_tells_who_still_runs(stage: Stage) {
    let (scene, [ana, ben]) = stage.with_gates(["ana", "ben"]).await;
    let server = scene.serve(&[]).await;
    for name in ["ana", "ben"] {
        let start = json!({"identity": name, "prompt": format!("HOLD {name}"), "background": true});
        let begun = server.call("codex", start).await.good();
        assert_eq!((begun.text("status"), begun.text("identity")), ("running", name));
        assert!(!begun.text("threadId").is_empty() && begun.content().contains("agent_wait"), "{begun:?}");
    }
    ana.reached().await;
    ben.reached().await;

    let nobody_yet = server.call("agent_wait", json!({"timeout_ms": 0})).await.good();
    assert_eq!(nobody_yet.list("results").len(), 0);
    assert_eq!(nobody_yet.each("running", "identity"), ["ana", "ben"]);

    let waiting = server.begin("agent_wait", json!({})).await;
    ben.open();
    let first = waiting.result().await.good();
    assert_eq!(
        (first.each("results", "identity"), first.each("results", "content")),
        (vec!["ben"], vec!["ben is done"])
    );
    assert_eq!(first.each("running", "identity"), ["ana"]);
    assert!(first.text("next").contains("Still running: ana"), "{first:?}");
    assert!(first.texts()[0].contains("ben is done"), "{first:?}");

    let waiting = server.begin("agent_wait", json!({"agents": ["ana", "ben"]})).await;
    ana.open();
    let second = waiting.result().await.good();
    assert_eq!(second.each("results", "content"), ["ana is done"], "ben's result was given before");
    assert_eq!((second.list("running").len(), second.text("next")), (0, "Nobody is running any more."));

    let nothing = server.call("agent_wait", json!({})).await.good();
    assert_eq!((nothing.list("results").len(), nothing.list("running").len()), (0, 0));
    assert!(nothing.text("next").starts_with("Nobody is running, and no result is waiting."), "{nothing:?}");
    scene.end(server).await;
}

async fn wait_for_all_returns_when_the_last_is_done(stage: Stage) {
    let (scene, [ana, ben]) = stage.with_gates(["ana", "ben"]).await;
    let server = scene.serve(&[]).await;
    for name in ["ana", "ben"] {
        let start = json!({"identity": name, "prompt": format!("HOLD {name}"), "background": true});
        server.call("codex", start).await.good();
    }
    let waiting = server.begin("agent_wait", json!({"mode": "all"})).await;
    ana.open();
    server.shows("ana", "idle").await;
    ben.reached().await;
    ben.open();
    let all = waiting.result().await.good();
    assert_eq!(all.each("results", "content"), ["ana is done", "ben is done"]);
    assert_eq!((all.list("running").len(), &all["idle"]), (0, &json!(["ana", "ben"])));
    scene.end(server).await;
}

async fn a_background_turn_that_fails_is_a_result_like_any_other(stage: Stage) {
    let scene = stage.plain().await;
    let server = scene.serve(&[]).await;
    server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    server.call("codex-reply", json!({"identity": "ana", "prompt": "FAIL 400", "background": true})).await.good();
    server.call("codex-reply", json!({"identity": "ana", "prompt": "SAY two", "background": true})).await.good();
    let told = server.rested("ana").await;
    assert_eq!(told.each("results", "status"), ["failed", "completed"]);
    assert_eq!(told.each("results", "error"), ["TURN_FAILED", ""]);
    assert_eq!(told.list("results")[1]["content"], "two");
    scene.end(server).await;
}
