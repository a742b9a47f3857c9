//! A server stops in good order and another takes its agents up.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::stage::{Server, Stage};

on_each_codex! {
    agents_are_continued_after_a_restart_by_any_of_their_names,
    a_restarted_agent_may_write_where_it_could_before,
    a_server_takes_up_the_agent_it_is_told,
    a_turn_that_runs_when_the_server_stops_is_interrupted_and_kept,
    a_server_whose_client_leaves_in_a_turn_stops_at_once,
    a_thread_of_another_codex_home_is_not_given_up,
}

async fn agents_are_continued_after_a_restart_by_any_of_their_names(stage: Stage) {
    let scene = stage.plain().await;
    let server = scene.serve(&[]).await;
    let first = server.call("codex", json!({"identity": "ana", "prompt": "SAY 0"})).await.good();
    scene.end(server).await;

    let names = [("identity", "ana"), ("agent_id", first.text("agent_id")), ("threadId", first.text("threadId"))];
    let mut said = vec!["0".to_owned()];
    for (number, (argument, name)) in names.into_iter().enumerate() {
        let server = scene.serve(&[]).await;
        let answer = (number + 1).to_string();
        let reply = json!({argument: name, "prompt": format!("SAY {answer}")});
        let told = server.call("codex-reply", reply).await.good();
        assert_eq!((told.content(), &told["threadId"]), (answer.as_str(), &first["threadId"]));
        assert_eq!(scene.asked_last().texts("assistant"), said);
        let status = server.call("agent_status", json!({"identity": "ana"})).await.good();
        assert_eq!(status["turns"], number + 2);
        said.push(answer);
        scene.end(server).await;
    }
}

/// Codex itself brings `workspace-write` back as read-only.
async fn a_restarted_agent_may_write_where_it_could_before(stage: Stage) {
    let scene = stage.plain().await;
    let server = scene.serve(&[]).await;
    for (name, sandbox) in [("ana", "workspace-write"), ("ben", "read-only")] {
        let start = json!({"identity": name, "prompt": "SAY one", "sandbox": sandbox, "approval-policy": "never"});
        server.call("codex", start).await.good();
    }
    scene.end(server).await;

    let server = scene.serve(&[]).await;
    let write = |name: &str| json!({"identity": name, "prompt": format!("RUN echo text > {name} && cat {name}")});
    assert_eq!(server.call("codex-reply", write("ana")).await.good().content(), "text");
    assert!(scene.project().join("ana").is_file());
    let refused = server.call("codex-reply", write("ben")).await.good();
    assert!(refused.content().contains("Read-only file system"), "{refused:?}");
    assert!(!scene.project().join("ben").exists());
    scene.end(server).await;
}

async fn a_server_takes_up_the_agent_it_is_told(stage: Stage) {
    let scene = stage.plain().await;
    let server = scene.serve(&[]).await;
    let ana = server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    let ben = server.call("codex", json!({"identity": "ben", "prompt": "SAY one"})).await.good();
    server.call("codex", json!({"identity": "cid", "prompt": "SAY one"})).await.good();
    server.call("agent_close", json!({"identity": "cid"})).await.good();
    server.call("codex-reply", json!({"identity": "ben", "prompt": "SAY two"})).await.good();
    scene.end(server).await;

    for (flags, expected) in
        [(vec!["--resume"], &ben), (vec!["--resume", "ana"], &ana), (vec!["--resume", ben.text("agent_id")], &ben)]
    {
        let server = scene.serve(&flags).await;
        let name = expected.text("identity");
        server.shows(name, "idle").await;
        let status = server.call("agent_status", json!({})).await.good();
        assert_eq!(status.each("agents", "identity"), [name], "{flags:?}");
        let told = server.call("codex-reply", json!({"identity": name, "prompt": "SAY on"})).await.good();
        assert_eq!((told.content(), &told["threadId"]), ("on", &expected["threadId"]));
        assert_eq!(scene.asked_last().texts("assistant")[0], "one");
        scene.end(server).await;
    }
}

async fn a_turn_that_runs_when_the_server_stops_is_interrupted_and_kept(stage: Stage) {
    let (scene, [ana]) = stage.with_gates(["ana"]).await;
    let server = scene.serve(&[]).await;
    let begun = json!({"identity": "ana", "prompt": "HOLD ana", "background": true});
    let begun = server.call("codex", begun).await.good();
    ana.reached().await;
    scene.end(server).await;

    let server = scene.serve(&[]).await;
    let read = server.call("agent_read", json!({"identity": "ana"})).await.good();
    assert!(read.content().contains("(interrupted)") && read.content().contains("> HOLD ana"), "{read:?}");
    let told = server.call("codex-reply", json!({"identity": "ana", "prompt": "SAY on"})).await.good();
    assert_eq!((told.content(), &told["threadId"]), ("on", &begun["threadId"]));
    scene.end(server).await;
}

/// Some clients wait a second or two for a server's end, and then kill it.
async fn a_server_whose_client_leaves_in_a_turn_stops_at_once(stage: Stage) {
    let (scene, [ana]) = stage.with_gates(["ana"]).await;
    let server = scene.serve(&[]).await;
    let held = server.begin("codex", json!({"identity": "ana", "prompt": "HOLD ana"})).await;
    ana.reached().await;
    let since = Instant::now();
    scene.end(server).await;
    assert!(since.elapsed() < Duration::from_secs(4), "{:?}", since.elapsed());
    drop(held);
}

async fn a_thread_of_another_codex_home_is_not_given_up(stage: Stage) {
    let scene = stage.plain().await;
    let server = scene.serve(&[]).await;
    let first = server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    scene.end(server).await;

    let other = scene.project().join("other-home");
    std::fs::create_dir(&other).unwrap();
    std::fs::copy(scene.codex_home().join("config.toml"), other.join("config.toml")).unwrap();
    let mut command = scene.command(&[]);
    command.env("CODEX_HOME", &other);
    let server = Server::start(command).await;
    let refused = server.call("codex-reply", json!({"identity": "ana", "prompt": "SAY two"})).await.bad();
    assert!(refused.content().contains("CODEX_HOME"), "{refused:?}");
    scene.end(server).await;

    let server = scene.serve(&[]).await;
    let again = server.call("codex-reply", json!({"identity": "ana", "prompt": "SAY three"})).await.good();
    assert_eq!(again["threadId"], first["threadId"]);
    assert_eq!(scene.asked_last().texts("assistant"), ["one"]);
    scene.end(server).await;
}
