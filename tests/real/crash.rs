//! Sudden ends: of Codex in a turn, of the server, of a thread that nobody had spoken in.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::stage::Stage;

on_each_codex! {
    a_killed_codex_ends_the_call_and_the_next_one_continues_the_thread,
    a_killed_server_takes_its_codex_with_it_and_its_agents_can_be_continued,
    a_thread_of_which_codex_kept_nothing_is_started_anew,
}

/// A second, on a machine that does other things too.
const AT_ONCE: Duration = Duration::from_secs(5);

async fn a_killed_codex_ends_the_call_and_the_next_one_continues_the_thread(stage: Stage) {
    let (scene, [ana, ben]) = stage.with_gates(["ana", "ben"]).await;
    let server = scene.serve(&[]).await;
    let first = server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    let running = server.begin("codex-reply", json!({"identity": "ana", "prompt": "HOLD ana"})).await;
    let waiting = server.begin("codex-reply", json!({"identity": "ana", "prompt": "SAY never"})).await;
    let other = server.begin("codex", json!({"identity": "ben", "prompt": "HOLD ben", "background": true})).await;
    ana.reached().await;
    ben.reached().await;
    other.result().await.good();

    let killed = server.codex().await;
    let since = Instant::now();
    killed.kill();
    for call in [running, waiting] {
        let told = call.result().await.bad();
        assert_eq!((told.text("status"), told.text("error")), ("lost", "CHILD_PROCESS_DEAD"));
        assert!(told.content().contains("killed by signal 9") && told.content().contains("codex-reply"), "{told:?}");
        assert_eq!(told["threadId"], first["threadId"]);
    }
    assert!(since.elapsed() < AT_ONCE, "{:?}", since.elapsed());
    let of_ben = server.rested("ben").await;
    assert_eq!(of_ben.each("results", "status"), ["lost"]);

    let after = server.call("codex-reply", json!({"identity": "ana", "prompt": "SAY on"})).await.good();
    assert_eq!((after.content(), &after["threadId"]), ("on", &first["threadId"]));
    assert_eq!(after["agent_id"], first["agent_id"]);
    assert_eq!(scene.asked_last().texts("assistant"), ["one"], "with its history");
    let now = server.codex().await;
    assert_ne!(now.pid, killed.pid);
    let ben = server.call("codex-reply", json!({"identity": "ben", "prompt": "SAY me too"})).await.good();
    assert_eq!(ben.content(), "me too");
    assert_eq!(server.codex().await.pid, now.pid, "one for all");
    scene.end(server).await;
}

async fn a_killed_server_takes_its_codex_with_it_and_its_agents_can_be_continued(stage: Stage) {
    let (scene, [ana]) = stage.with_gates(["ana"]).await;
    let server = scene.serve(&[]).await;
    let first = server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    let held = server.begin("codex-reply", json!({"identity": "ana", "prompt": "HOLD ana"})).await;
    ana.reached().await;
    let mut witness = server.codex().await.connect().await;
    server.kill().await;
    while witness.incoming.recv().await.is_some() {}
    drop(held);

    let server = scene.serve(&[]).await;
    let agents = server.call("agent_sessions", json!({})).await.good();
    assert_eq!(agents.each("sessions", "identity"), ["ana"]);
    let listed = &agents.list("sessions")[0];
    assert_eq!((&listed["status"], &listed["resumable"]), (&json!("resumable"), &json!(true)));
    for same in ["agent_id", "threadId"] {
        assert_eq!(listed[same], first[same]);
    }
    let on = server.call("codex", json!({"agent_id": first.text("agent_id"), "prompt": "SAY on"})).await.good();
    assert_eq!((on.content(), &on["threadId"]), ("on", &first["threadId"]));
    assert_eq!(scene.asked_last().texts("assistant"), ["one"]);
    scene.end(server).await;
}

/// Codex keeps a thread from its first turn on.
async fn a_thread_of_which_codex_kept_nothing_is_started_anew(stage: Stage) {
    let scene = stage.plain().await;
    let server = scene.serve(&[]).await;
    let call =
        server.begin("codex", json!({"identity": "ana", "prompt": "SAY never", "sandbox": "workspace-write"})).await;
    call.cancel().await;
    server.shows("ana", "idle").await;
    let mut witness = server.codex().await.connect().await;
    let agents = server.call("agent_sessions", json!({})).await.good();
    let listed = agents.list("sessions")[0].clone();
    server.kill().await;
    while witness.incoming.recv().await.is_some() {}
    assert_eq!(scene.model().requests().len(), 0);

    let server = scene.serve(&[]).await;
    let reply = json!({"identity": "ana", "prompt": "RUN echo text > made && cat made"});
    let told = server.call("codex-reply", reply).await.good();
    assert_eq!((told.content(), &told["agent_id"]), ("text", &listed["agent_id"]), "what it was opened with holds");
    assert_ne!(told["threadId"], listed["threadId"]);
    assert!(told.notes().contains("it has a new one"), "{told:?}");
    let context = scene.asked_last().texts("developer").join("\n");
    assert!(context.contains("<session_context>"), "{context}");
    scene.end(server).await;

    let server = scene.serve(&[]).await;
    let agents = server.call("agent_sessions", json!({})).await.good();
    assert_eq!((agents.list("sessions").len(), &agents.list("sessions")[0]["threadId"]), (1, &told["threadId"]));
    scene.end(server).await;
}
