//! Whatever fails, in whatever state: every call ends, nothing is left, and what the next server shows is true.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::letters::until;
use crate::queue::text;
use crate::stage::{Scene, Server, Stage};

on_each_codex! {
    a_model_that_fails_hangs_or_breaks_off_ends_no_more_than_its_turn,
    a_codex_that_is_stopped_ends_with_its_server_in_every_state,
    a_codex_that_is_stopped_for_a_moment_loses_nothing,
    a_codex_that_is_killed_in_any_state_ends_its_calls_and_is_started_anew,
    a_server_that_is_killed_in_any_state_leaves_a_true_one,
    a_client_that_leaves_in_the_middle_of_everything_loses_nothing_that_waits,
    of_five_hundred_calls_at_once_each_is_answered,
}

/// In what an agent can be when something fails.
const STATES: [&str; 4] = ["idle", "running", "asking", "closing"];

/// An agent in this state, and the calls that wait for it.
async fn bring(scene: &Scene, server: &Server, state: &str, gate: &atm_agent_mcp::demo::model::Gate) -> Value {
    let start =
        json!({"identity": state, "prompt": "SAY ready", "approval-policy": "untrusted", "sandbox": "workspace-write"});
    let ready = server.call("codex", start).await.good();
    until(server, || scene.members("tests").contains(&state.to_owned())).await;
    let prompt = match state {
        "idle" => return ready["threadId"].clone(),
        "asking" => "RUN touch made",
        _ => "HOLD ana",
    };
    let turn = json!({"identity": state, "prompt": prompt, "background": true});
    server.call("codex-reply", turn).await.good();
    match state {
        "asking" => server.shows(state, "awaiting_approval").await,
        _ => gate.reached().await,
    }
    if state == "closing" {
        drop(server.begin("agent_close", json!({"identity": state})).await);
    }
    ready["threadId"].clone()
}

async fn a_model_that_fails_hangs_or_breaks_off_ends_no_more_than_its_turn(stage: Stage) {
    let scene = stage.plain().await;
    let server = scene.serve(&[]).await;
    server.call("codex", json!({"identity": "ana", "prompt": "SAY ready"})).await.good();
    for (prompt, status) in [("FAIL 500", "failed"), ("CUT in the mid", "failed"), ("SILENCE", "interrupted")] {
        let turn = server.begin("codex-reply", json!({"identity": "ana", "prompt": prompt})).await;
        if status == "interrupted" {
            scene.model().arrived(scene.model().requests().len() + 1).await;
            server.call("agent_interrupt", json!({"identity": "ana"})).await.good();
        }
        let told = turn.result().await.bad();
        assert_eq!(told.text("status"), status, "{prompt}: {told:?}");
        let (code, source) = if status == "failed" { (-32011, "child") } else { (-32013, "proxy") };
        assert_eq!((&told["code"], told.text("error_source")), (&json!(code), source), "{told:?}");
        assert_eq!(told["codex_error_info"].is_null(), status != "failed", "{told:?}");
        let after = server.call("codex-reply", json!({"identity": "ana", "prompt": "SAY on"})).await.good();
        assert_eq!(after.content(), "on", "{prompt}");
        server.shows("ana", "idle").await;
    }
    scene.end(server).await;
}

async fn a_codex_that_is_stopped_ends_with_its_server_in_every_state(stage: Stage) {
    for state in STATES {
        let (scene, [gate]) = stage.again().with_gates(["ana"]).await;
        let server = scene.serve(&[]).await;
        let thread = bring(&scene, &server, state, &gate).await;
        server.codex().await.signal(Signal::STOP);
        let status = server.asked_to_end().await;
        assert!(status.success(), "{state}: {status}");
        assert_eq!(scene.codexes(), Vec::<String>::new(), "{state}");
        let server = scene.serve(&[]).await;
        let sessions = server.call("agent_sessions", json!({"include_closed": true})).await.good();
        let expected = if state == "closing" { "closed" } else { "resumable" };
        assert_eq!(sessions.each("sessions", "status"), [expected], "{state}");
        assert_eq!(sessions.list("sessions")[0]["threadId"], thread);
        scene.end(server).await;
    }
}

async fn a_codex_that_is_killed_in_any_state_ends_its_calls_and_is_started_anew(stage: Stage) {
    for state in STATES {
        let (scene, [gate]) = stage.again().with_gates(["ana"]).await;
        let server = scene.serve(&[]).await;
        let thread = bring(&scene, &server, state, &gate).await;
        server.codex().await.kill();
        if ["running", "asking"].contains(&state) {
            let result = loop {
                let told = server.call("agent_wait", json!({"agents": [state], "mode": "all"})).await.good();
                if let [result] = told.list("results") {
                    break result.clone();
                }
            };
            assert_eq!(
                (&result["status"], &result["error"]),
                (&json!("lost"), &json!("CHILD_PROCESS_DEAD")),
                "{state}"
            );
        }
        let status = server.call("agent_status", json!({})).await.good();
        assert_eq!(
            status["agents"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|agent| !agent["asks"].as_array().unwrap().is_empty())
                .count(),
            0
        );
        if state == "closing" {
            server.shows(state, "closed").await;
        } else {
            let reply = json!({"identity": state, "prompt": "SAY on"});
            let mut on = server.call("codex-reply", reply.clone()).await;
            if on.text("status") == "lost" {
                // It was asked at the very moment of the death; the next one is not.
                on = server.call("codex-reply", reply).await;
            }
            let on = on.good();
            assert_eq!((on.content(), &on["threadId"]), ("on", &thread), "{state}");
        }
        assert!(!scene.project().join("made").exists());
        scene.end(server).await;
    }
}

async fn a_codex_that_is_stopped_for_a_moment_loses_nothing(stage: Stage) {
    let (scene, [gate]) = stage.with_gates(["ana"]).await;
    let server = scene.serve(&[]).await;
    server.call("codex", json!({"identity": "ben", "prompt": "SAY ready"})).await.good();
    let held = server.begin("codex", json!({"identity": "ana", "prompt": "HOLD ana"})).await;
    gate.reached().await;
    let codex = server.codex().await;
    codex.signal(Signal::STOP);
    let other = server.begin("codex-reply", json!({"identity": "ben", "prompt": "SAY and I"})).await;
    let status = server.call("agent_status", json!({"identity": "ana"})).await.good();
    assert_eq!(status.text("status"), "running", "what is asked of us is answered meanwhile");
    gate.open();
    codex.signal(Signal::CONT);
    assert_eq!(other.result().await.good().content(), "and I");
    held.result().await.good();
    scene.end(server).await;
}

async fn a_server_that_is_killed_in_any_state_leaves_a_true_one(stage: Stage) {
    for state in STATES {
        let (scene, [gate]) = stage.again().with_gates(["ana"]).await;
        let server = scene.serve(&[]).await;
        bring(&scene, &server, state, &gate).await;
        let mut witness = server.codex().await.connect().await;
        server.kill().await;
        while witness.incoming.recv().await.is_some() {}
        let server = scene.serve(&[]).await;
        let sessions = server.call("agent_sessions", json!({"include_closed": true})).await.good();
        let status = sessions.each("sessions", "status")[0].to_owned();
        // Killed while it was being closed it may be either, and says so.
        let may_be: &[&str] = if state == "closing" { &["closed", "resumable"] } else { &["resumable"] };
        assert!(may_be.contains(&&*status), "{state}: {status}");
        until(&server, || scene.members("tests") == ["team-lead"]).await;
        let other = json!({"identity": state, "prompt": "SAY my name is free"});
        if status == "closed" {
            server.call("codex", other).await.good();
        } else {
            let on = server.call("codex-reply", json!({"identity": state, "prompt": "SAY on"})).await.good();
            assert_eq!(on.content(), "on", "{state}");
        }
        assert!(!scene.project().join("made").exists(), "what nobody has decided is not done");
        scene.end(server).await;
    }
}

async fn a_client_that_leaves_in_the_middle_of_everything_loses_nothing_that_waits(stage: Stage) {
    let (scene, [gate]) = stage.with_gates(["ana"]).await;
    let server = scene.serve(&[]).await;
    for state in STATES {
        bring(&scene, &server, state, &gate).await;
    }
    let agents = server.call("agent_sessions", json!({})).await.good();
    let id = |name: &str| {
        let agent = agents.list("sessions").iter().find(|agent| agent["identity"] == name).unwrap();
        agent["agent_id"].as_str().unwrap().to_owned()
    };
    let queue = scene.queue_of(&id("asking"));
    queue.enqueue(&text("SAY in the queue")).unwrap();
    scene.mail("team-lead", "running", "in the inbox");
    let flood = server.begin("codex-reply", json!({"identity": "running", "prompt": "SAY never"})).await;
    scene.end(server).await;
    drop(flood);
    let server = scene.serve(&[]).await;
    for name in ["asking", "running"] {
        server.call("codex-reply", json!({"identity": name, "prompt": "SAY back"})).await.good();
    }
    until(&server, || scene.unread("running") == 0 && queue.list().unwrap().is_empty()).await;
    for (name, said) in [("asking", "> SAY in the queue\n"), ("running", "> in the inbox\n")] {
        server.rested(name).await;
        let read = server.call("agent_read", json!({"identity": name, "turns": 50})).await.good();
        assert_eq!(read.content().matches(said).count(), 1, "{name}: {read:?}");
    }
    scene.end(server).await;
}

async fn of_five_hundred_calls_at_once_each_is_answered(stage: Stage) {
    let scene = stage.plain().await;
    let server = scene.serve(&[]).await;
    server.call("codex", json!({"identity": "ana", "prompt": "SAY ready"})).await.good();
    let mut calls = Vec::new();
    for n in 0..500 {
        let (tool, arguments) = match n % 5 {
            0 => ("codex-reply", json!({"identity": "ana", "prompt": format!("SAY {n}")})),
            1 => ("agent_status", json!({"identity": "ana"})),
            2 => ("agent_sessions", json!({})),
            3 => ("atm_pending_count", json!({})),
            _ => ("agent_read", json!({"identity": "ana"})),
        };
        calls.push((n, server.begin(tool, arguments).await));
    }
    for (n, call) in calls {
        let told = call.result().await;
        match told.0.is_error {
            // More than 64 cannot wait for one agent; those are told so.
            Some(true) => assert!(n % 5 == 0 && told.content().contains("64 calls wait"), "{n}: {told:?}"),
            _ => assert!(n % 5 != 0 || told.content() == n.to_string(), "{n}: {told:?}"),
        }
    }
    scene.end(server).await;
}
