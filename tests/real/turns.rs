//! Turns: what a call returns, who continues what, what runs beside what.

use serde_json::{Value, json};

use crate::stage::Stage;

on_each_codex! {
    a_turn_returns_the_answer_and_where_it_came_from,
    a_reply_by_any_of_an_agents_names_continues_its_thread,
    two_agents_work_at_the_same_time,
    calls_to_one_agent_run_in_their_order,
    a_failed_turn_says_why_and_the_thread_goes_on,
    without_a_socket_codex_is_spoken_to_over_its_pipes,
}

async fn a_turn_returns_the_answer_and_where_it_came_from(stage: Stage) {
    let scene = stage.plain().await;
    let server = scene.serve(&[]).await;
    let told = server.call("codex", json!({"identity": "ana", "prompt": "SAY Hello.\n  Two lines. "})).await.good();

    assert_eq!(told.content(), "Hello.\n  Two lines.");
    assert_eq!((told.text("identity"), told.text("status")), ("ana", "completed"));
    for id in ["threadId", "agent_id", "turn_id"] {
        assert!(!told.text(id).is_empty(), "{told:?}");
    }
    assert_eq!((&told["usage"]["input_tokens"], &told["usage"]["output_tokens"]), (&json!(100), &json!(10)));
    assert_eq!(told["usage"]["thread_total_tokens"], 110);
    assert!(told["usage"]["context_window"].is_u64() && told["duration_ms"].is_u64(), "{told:?}");
    assert_eq!((told["error"].as_str(), told["notes"].as_array()), (None, None));

    let [answer, line] = told.texts()[..] else { panic!("two texts: {told:?}") };
    assert_eq!(answer, told.content());
    assert_eq!(line.lines().count(), 1);
    for known in ["ana", told.text("agent_id"), told.text("threadId"), "completed"] {
        assert!(line.contains(known), "{line}");
    }
    scene.end(server).await;
}

async fn a_reply_by_any_of_an_agents_names_continues_its_thread(stage: Stage) {
    let scene = stage.plain().await;
    let server = scene.serve(&[]).await;
    let first = server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    let names = [
        ("identity", "ana"),
        ("agent_id", first.text("agent_id")),
        ("threadId", first.text("threadId")),
        ("conversationId", first.text("threadId")),
    ];
    let mut said = vec!["one".to_owned()];
    for (argument, name) in names {
        let reply = server.call("codex-reply", json!({argument: name, "prompt": format!("SAY by {argument}")})).await;
        let reply = reply.good();
        assert_eq!(reply.content(), format!("by {argument}"));
        for same in ["threadId", "agent_id", "identity"] {
            assert_eq!(reply[same], first[same], "{argument}");
        }
        assert_eq!(scene.asked_last().texts("assistant"), said, "the model is told all that was said");
        said.push(reply.content().to_owned());
    }
    scene.end(server).await;
}

async fn two_agents_work_at_the_same_time(stage: Stage) {
    let (scene, [ana, ben]) = stage.with_gates(["ana", "ben"]).await;
    let server = scene.serve(&[]).await;
    let of_ana = server.begin("codex", json!({"identity": "ana", "prompt": "HOLD ana"})).await;
    let of_ben = server.begin("codex", json!({"identity": "ben", "prompt": "HOLD ben"})).await;
    ana.reached().await;
    ben.reached().await;

    ben.open();
    assert_eq!(of_ben.result().await.good().content(), "ben is done");
    let status = server.call("agent_status", json!({})).await.good();
    assert_eq!((&status["busy_thread_count"], &status["idle_thread_count"]), (&json!(1), &json!(1)));
    ana.open();
    assert_eq!(of_ana.result().await.good().content(), "ana is done");
    scene.end(server).await;
}

async fn calls_to_one_agent_run_in_their_order(stage: Stage) {
    let (scene, [first]) = stage.with_gates(["first"]).await;
    let server = scene.serve(&[]).await;
    let mut calls = vec![server.begin("codex", json!({"identity": "ana", "prompt": "HOLD first"})).await];
    first.reached().await;
    for prompt in ["SAY second", "SAY third", "SAY fourth"] {
        calls.push(server.begin("codex-reply", json!({"identity": "ana", "prompt": prompt})).await);
    }
    server.ping().await;
    assert_eq!(scene.model().requests().len(), 1, "a busy agent is not steered");

    first.open();
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.result().await.good().content().to_owned());
    }
    assert_eq!(answers, ["first is done", "second", "third", "fourth"]);
    let asked: Vec<_> = scene.model().requests().iter().map(|request| request.last_user_text()).collect();
    assert_eq!(asked, ["HOLD first", "SAY second", "SAY third", "SAY fourth"]);
    scene.end(server).await;
}

async fn a_failed_turn_says_why_and_the_thread_goes_on(stage: Stage) {
    let scene = stage.plain().await;
    let server = scene.serve(&[]).await;
    let first = server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    // What Codex says of it: a 400 in the words of the model, a 500 in its own.
    for (status, words) in [(400, "the prompt asked for it"), (500, "")] {
        let told = server.call("codex-reply", json!({"identity": "ana", "prompt": format!("FAIL {status}")})).await;
        let told = told.bad();
        assert_eq!((told.text("status"), told.text("error")), ("failed", "TURN_FAILED"));
        assert!(told.content().starts_with("The turn of ana failed: ") && told.content().contains(words), "{told:?}");
        assert!(!told.content().contains("did not say why"), "{told:?}");
        assert_eq!(told["threadId"], first["threadId"]);
    }
    let after = server.call("codex-reply", json!({"identity": "ana", "prompt": "SAY on"})).await.good();
    assert_eq!((after.content(), &after["threadId"]), ("on", &first["threadId"]));
    scene.end(server).await;
}

async fn without_a_socket_codex_is_spoken_to_over_its_pipes(stage: Stage) {
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *--listen*) echo \"error: unexpected argument '--listen' found\" >&2; exit 2;; esac\n\
         exec '{}' \"$@\"\n",
        atm_agent_mcp::codex::program::find(Some(stage.codex())).unwrap().display()
    );
    let scene = stage.plain().await;
    let codex = scene.codex_home().join("old-codex");
    std::fs::write(&codex, script).unwrap();
    std::fs::set_permissions(&codex, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let scene = scene.with_codex(codex);
    let server = scene.serve(&[]).await;
    let told = server.call("codex", json!({"identity": "ana", "prompt": "RUN echo piped"})).await.good();
    assert_eq!(told.content(), "piped");
    let status = server.call("agent_status", json!({})).await.good();
    assert_eq!((&status["codex"]["transport"], &status["codex"]["socket"]), (&json!("stdio"), &Value::Null));
    scene.end(server).await;
}
