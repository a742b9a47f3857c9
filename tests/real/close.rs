//! `agent_interrupt` and `agent_close`.

use std::path::Path;

use atm_agent_mcp::demo::model::{Reply, Request, spoken};
use serde_json::json;

use crate::attach::Second;
use crate::stage::{Server, Stage, Told};

on_each_codex! {
    an_interrupted_turn_returns_to_its_caller_and_the_next_call_goes_on,
    an_agent_with_nothing_to_do_is_not_interrupted,
    a_closed_agent_answers_its_calls_and_frees_its_name_at_once,
    a_closed_agent_is_continued_only_by_its_id,
    the_last_answer_of_a_closed_agent_is_kept_or_a_summary_if_that_is_wanted,
    commands_that_run_in_the_background_end_with_their_agent,
    an_agent_that_could_not_be_continued_is_given_back,
    a_server_that_is_refused_a_parked_agents_thread_says_what_to_do_and_gives_the_agent_back,
}

async fn an_interrupted_turn_returns_to_its_caller_and_the_next_call_goes_on(stage: Stage) {
    let (scene, [ana]) = stage.with_gates(["ana"]).await;
    let server = scene.serve(&[]).await;
    let held = server.begin("codex", json!({"identity": "ana", "prompt": "HOLD ana"})).await;
    ana.reached().await;
    let next = server.begin("codex-reply", json!({"identity": "ana", "prompt": "SAY next"})).await;
    let done = server.call("agent_interrupt", json!({"identity": "ana"})).await.good();
    assert_eq!((&done["interrupted"], done.text("identity")), (&json!(true), "ana"));

    let held = held.result().await.bad();
    assert_eq!((held.text("status"), held.text("error")), ("interrupted", "INTERRUPTED"));
    assert!(held.content().contains("codex-reply"), "{held:?}");
    let next = next.result().await.good();
    assert_eq!((next.content(), &next["threadId"]), ("next", &held["threadId"]));
    scene.end(server).await;
}

async fn an_agent_with_nothing_to_do_is_not_interrupted(stage: Stage) {
    let scene = stage.plain().await;
    let server = scene.serve(&[]).await;
    server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    let done = server.call("agent_interrupt", json!({"identity": "ana"})).await.good();
    assert_eq!(done["interrupted"], false);
    let told = server.call("codex-reply", json!({"identity": "ana", "prompt": "SAY two"})).await.good();
    assert_eq!(told.content(), "two");
    scene.end(server).await;
}

async fn a_closed_agent_answers_its_calls_and_frees_its_name_at_once(stage: Stage) {
    let (scene, [ana]) = stage.with_gates(["ana"]).await;
    let server = scene.serve(&[]).await;
    let held = server.begin("codex", json!({"identity": "ana", "prompt": "HOLD ana"})).await;
    ana.reached().await;
    let waiting = server.begin("codex-reply", json!({"identity": "ana", "prompt": "SAY never"})).await;
    let closed = server.call("agent_close", json!({"identity": "ana"})).await.good();
    assert_eq!((&closed["closed"], closed.text("status")), (&json!(true), "closed"));
    for call in [held, waiting] {
        let told = call.result().await.bad();
        assert_eq!((told.text("status"), told.text("error")), ("closed", "SESSION_CLOSED"));
        assert!(told.content().contains(closed.text("agent_id")), "{told:?}");
    }
    let other = server.call("codex", json!({"identity": "ana", "prompt": "SAY another"})).await.good();
    assert_eq!((other.content(), other.text("identity")), ("another", "ana"));
    assert_ne!(other["agent_id"], closed["agent_id"]);
    assert!(other.notes().contains(closed.text("agent_id")), "it is told of its namesake: {other:?}");

    let read = server.call("agent_read", json!({"agent_id": closed.text("agent_id")})).await.good();
    assert!(read.content().contains("(interrupted)"), "{read:?}");
    scene.end(server).await;
}

async fn a_closed_agent_is_continued_only_by_its_id(stage: Stage) {
    let scene = stage.plain().await;
    let server = scene.serve(&[]).await;
    let first = server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    for _ in 0..2 {
        let closed = server.call("agent_close", json!({"identity": "ana"})).await.good();
        assert_eq!((&closed["closed"], &closed["agent_id"]), (&json!(true), &first["agent_id"]));
    }
    for (argument, field) in [("identity", "identity"), ("agent_id", "agent_id"), ("threadId", "threadId")] {
        let reply = json!({argument: first.text(field), "prompt": "SAY no"});
        let told = server.call("codex-reply", reply).await.bad();
        assert_eq!(told.text("error"), "SESSION_CLOSED");
        assert!(told.content().contains(first.text("agent_id")), "{told:?}");
    }
    assert_eq!(server.call("agent_sessions", json!({})).await.good().list("sessions").len(), 0);
    let all = server.call("agent_sessions", json!({"include_closed": true})).await.good();
    assert_eq!(all.each("sessions", "status"), ["closed"]);

    let again = server.call("codex", json!({"agent_id": first.text("agent_id"), "prompt": "SAY two"})).await.good();
    assert_eq!((again.content(), &again["threadId"], again.text("identity")), ("two", &first["threadId"], "ana"));
    assert_eq!(scene.asked_last().texts("assistant"), ["one"]);
    let reply = server.call("codex-reply", json!({"identity": "ana", "prompt": "SAY three"})).await.good();
    assert_eq!(reply.content(), "three", "and is no longer closed");
    scene.end(server).await;
}

async fn the_last_answer_of_a_closed_agent_is_kept_or_a_summary_if_that_is_wanted(stage: Stage) {
    let script = |request: &Request| match request.last_user_text() {
        asked if asked.contains("about to be closed") => Reply::say("all of it is done"),
        _ => spoken(request),
    };
    let scene = stage.with(script).await;
    let server = scene.serve(&[]).await;
    for (wanted, expected) in [(false, "the last word\n"), (true, "all of it is done\n")] {
        let ana = server.call("codex", json!({"identity": "ana", "prompt": "SAY the last word"})).await.good();
        let closed = server.call("agent_close", json!({"identity": "ana", "summary": wanted})).await.good();
        assert_eq!(closed["summary"] == "all of it is done", wanted, "{closed:?}");
        let kept = format!(".config/atm/agent-sessions/tests/{}/summary.md", ana.text("agent_id"));
        assert_eq!(std::fs::read_to_string(scene.home().join(kept)).unwrap(), expected);
        let again =
            server.call("agent_close", json!({"agent_id": ana.text("agent_id"), "summary": wanted})).await.good();
        assert_eq!(again["closed"], true, "closing it again is no error");
    }
    scene.end(server).await;
}

async fn commands_that_run_in_the_background_end_with_their_agent(stage: Stage) {
    let scene = stage.plain().await;
    for is_parked in [false, true] {
        let mut command = scene.command(&[]);
        command.env("ATM_AGENT_MCP_MAX_CONCURRENT_THREADS", "1");
        let server = Server::start(command).await;
        let long = "CALL exec_command {\"cmd\": \"sleep 31337\", \"login\": false, \"yield_time_ms\": 250}";
        let ana = server.call("codex", json!({"prompt": long})).await.good();
        if is_parked {
            server.call("codex", json!({"prompt": "SAY another"})).await.good();
        }
        assert!(!sleepers(&scene.project()).is_empty(), "it sleeps on when its turn has ended");
        // Also if it is being parked right now.
        server.call("agent_close", json!({"agent_id": ana.text("agent_id")})).await.good();
        while !sleepers(&scene.project()).is_empty() {
            server.ping().await;
        }
        scene.end(server).await;
    }
}

/// The processes that sleep in this project.
fn sleepers(project: &Path) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten().map(|process| process.path());
    let here = processes.filter(|process| std::fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd == project));
    let lines = here.filter_map(|process| std::fs::read(process.join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.starts_with("sleep 31337")).collect()
}

async fn an_agent_that_could_not_be_continued_is_given_back(stage: Stage) {
    let scene = stage.plain().await;
    let server = scene.serve(&[]).await;
    let ana = server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    scene.end(server).await;

    let (server, other) = (scene.serve(&[]).await, scene.serve(&[]).await);
    server.call("codex", json!({"identity": "ben", "prompt": "SAY hello"})).await.good();
    let (human, thread) = (Second::attach(&server).await, json!({"threadId": ana.text("threadId")}));
    human.call("thread/archive", thread.clone()).await.expect("it is archived");
    let kept = format!(".config/atm/agent-sessions/tests/agents/{}.json", ana.text("agent_id"));
    let kept = scene.home().join(kept);
    let record = std::fs::read(&kept).unwrap();
    let reply = json!({"identity": "ana", "prompt": "SAY two"});
    let refused = other.call("codex-reply", reply.clone()).await.bad();
    assert!(refused.content().contains("is archived"), "{refused:?}");
    assert_eq!(std::fs::read(&kept).unwrap(), record, "it is as it was");
    human.call("thread/unarchive", thread).await.expect("it is back");
    assert_eq!(server.call("codex-reply", reply).await.good().content(), "two");
    other.leave().await;
    scene.end(server).await;
}

async fn a_server_that_is_refused_a_parked_agents_thread_says_what_to_do_and_gives_the_agent_back(stage: Stage) {
    let locks = stage.codex().to_string_lossy().contains("0.169.0");
    let scene = stage.plain().await;
    let mut command = scene.command(&[]);
    command.env("ATM_AGENT_MCP_MAX_CONCURRENT_THREADS", "1");
    let server = Server::start(command).await;
    let parked = server.call("codex", json!({"prompt": "SAY one"})).await.good();
    server.call("codex", json!({"prompt": "SAY another"})).await.good();

    let other = scene.serve(&[]).await;
    // It is parked while the other one begins.
    let is_free = |told: &Told| {
        told.list("sessions").iter().any(|one| one["agent_id"] == parked["agent_id"] && one["resumable"] == true)
    };
    while !is_free(&other.call("agent_sessions", json!({})).await.good()) {}
    let reply = json!({"agent_id": parked.text("agent_id"), "prompt": "SAY two"});
    let two = other.call("codex-reply", reply.clone()).await;
    if locks {
        let refused = two.bad();
        assert!(refused.content().contains("try again in a minute"), "{refused:?}");
        assert_eq!(server.call("codex-reply", reply).await.good().content(), "two");
    } else {
        assert_eq!(two.good().content(), "two", "this Codex has no lock");
    }
    other.leave().await;
    scene.end(server).await;
}
