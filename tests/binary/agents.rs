//! One agent has one server, its own settings, and every result it ever gave.

use serde_json::{Value, json};

use crate::stage::Stage;

fn record(stage: &Stage, agent: &Value) -> Value {
    let name = format!("{}.json", agent["agent_id"].as_str().unwrap());
    let path = stage.files().into_iter().find(|path| path.ends_with(&name)).expect("a record");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[tokio::test]
async fn an_agent_of_another_server_is_neither_continued_nor_changed_nor_closed() {
    let stage = Stage::set(json!({})).await;
    let mut owner = stage.server(&[]).await;
    let ana = owner.done("codex", json!({ "prompt": "x", "sandbox": "read-only" })).await;
    // It is written after the answer.
    while record(&stage, &ana)["turns"] == 0 {
        owner.done("agent_sessions", json!({})).await;
    }
    let before = record(&stage, &ana);

    let mut other = stage.server(&[]).await;
    let sessions = other.done("agent_sessions", json!({})).await["sessions"].clone();
    assert_eq!(
        (&sessions[0]["status"], &sessions[0]["resumable"]),
        (&json!("running_elsewhere"), &json!(false)),
        "{sessions}"
    );
    let id = &ana["agent_id"];
    for (tool, arguments) in [
        ("codex-reply", json!({ "prompt": "x", "threadId": ana["threadId"] })),
        ("codex", json!({ "prompt": "x", "agent_id": id, "identity": "mine", "sandbox": "danger-full-access" })),
        ("agent_close", json!({ "agent_id": id })),
    ] {
        let result = other.call(tool, arguments).await;
        let told = &result["structuredContent"];
        assert_eq!(
            (&result["isError"], &told["error"]),
            (&json!(true), &json!("SESSION_ELSEWHERE")),
            "{tool}: {result}"
        );
        assert!(told["content"].as_str().unwrap().contains("another server (process"), "{told}");
    }
    assert!(other.leave().await.status.success());
    assert_eq!(record(&stage, &ana), before, "its record is as it was");
    assert_eq!(owner.done("codex-reply", json!({ "prompt": "x", "agent_id": id })).await["content"], "done");

    assert!(owner.leave().await.status.success());
    let mut heir = stage.server(&[]).await;
    assert_eq!(heir.done("codex-reply", json!({ "prompt": "x", "agent_id": id })).await["threadId"], ana["threadId"]);
}

#[tokio::test]
async fn a_continued_agent_keeps_its_own_settings_whatever_the_files_say() {
    let stage = Stage::set(json!({})).await;
    let mut server = stage.server(&[]).await;
    let own = json!({
        "prompt": "x", "identity": "ana", "sandbox": "read-only", "model": "own", "developer-instructions": "OWN",
    });
    let ana = server.done("codex", own).await;
    server.leave().await;

    std::fs::write(stage.project().join("extra.md"), "EXTRA").unwrap();
    let settings = "[plugins.atm-agent-mcp]\nmodel = \"files\"\nsandbox = \"danger-full-access\"\n\
                    extra_instructions_file = \"extra.md\"\n\
                    [plugins.atm-agent-mcp.roles.eager]\nreasoning_effort = \"high\"\n";
    std::fs::write(stage.project().join(".atm.toml"), settings).unwrap();
    let mut server = stage.server(&[]).await;
    let continued = server.done("codex", json!({ "prompt": "x", "agent_id": ana["agent_id"], "role": "eager" })).await;
    assert_eq!(continued["threadId"], ana["threadId"]);
    assert_eq!(record(&stage, &ana)["role"], "eager");
    stage.codex().await.gone().await;
    let resume = stage.codex().await.got("thread/resume").await;
    assert_eq!((&resume["model"], &resume["sandbox"]), (&json!("own"), &json!("read-only")), "{resume}");
    assert_eq!(resume["config"]["model_reasoning_effort"], "high", "what the call's role says does change it");
    let told = resume["developerInstructions"].as_str().unwrap();
    assert!(told.starts_with("OWN\n\n<session_context>") && !told.contains("EXTRA"), "{told}");
}

#[tokio::test]
async fn an_agent_whose_directory_is_gone_is_continued_where_the_caller_says() {
    let stage = Stage::set(json!({})).await;
    let place = stage.project().join("place");
    std::fs::create_dir(&place).unwrap();
    let mut server = stage.server(&[]).await;
    let ana = server.done("codex", json!({ "prompt": "x", "identity": "ana", "cwd": "place" })).await;
    server.leave().await;
    std::fs::remove_dir(&place).unwrap();
    let mut server = stage.server(&[]).await;
    let error = server.fails("codex-reply", json!({ "prompt": "x", "identity": "ana" })).await;
    assert!(error.contains(place.to_str().unwrap()) && error.contains("\"cwd\""), "{error}");
    let elsewhere = json!({ "prompt": "x", "agent_id": ana["agent_id"], "cwd": "." });
    assert_eq!(server.done("codex", elsewhere).await["threadId"], ana["threadId"]);
}

#[tokio::test]
async fn every_result_of_a_background_turn_is_given_and_a_closed_agent_leaves_its_own() {
    let stage = Stage::set(json!({})).await;
    let mut server = stage.server(&[]).await;
    server.done("codex", json!({ "prompt": "x", "identity": "ana" })).await;
    for _ in 0..30 {
        server.done("codex-reply", json!({ "prompt": "x", "identity": "ana", "background": true })).await;
    }
    let waited = server.done("agent_wait", json!({ "agents": ["ana"], "mode": "all" })).await;
    assert_eq!(waited["results"].as_array().unwrap().len(), 30);

    server.done("codex-reply", json!({ "prompt": "x", "identity": "ana", "background": true })).await;
    // A call behind it ends after it.
    server.done("codex-reply", json!({ "prompt": "x", "identity": "ana" })).await;
    let closed = server.done("agent_close", json!({ "identity": "ana" })).await;
    assert_eq!(closed["results"][0]["content"], "done", "{closed}");
}

#[cfg(unix)]
#[tokio::test]
async fn whatever_is_kept_is_for_the_user_only() {
    use std::os::unix::fs::PermissionsExt;
    let stage = Stage::set(json!({})).await;
    let mut server = stage.server(&[]).await;
    server.done("codex", json!({ "prompt": "x", "identity": "ana" })).await;
    server.done("atm_send", json!({ "to": "ana", "message": "x" })).await;
    server.done("atm_read", json!({ "identity": "ana" })).await;
    let files = stage.files();
    for kept in ["owner.lock", "sweep.lock", "audit.jsonl", "@sent.jsonl", "ana.json", "ana.lock", "config.json"] {
        assert!(files.iter().any(|file| file.ends_with(kept)), "{kept} is among {files:?}");
    }
    // What is removed meanwhile was for nobody.
    let modes = files.iter().filter_map(|file| Some((file, std::fs::metadata(file).ok()?)));
    for (file, about) in modes.filter(|(_, about)| about.is_file() || about.is_dir()) {
        let most = if about.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(about.permissions().mode() & 0o777, most, "{}", file.display());
    }
}

#[tokio::test]
async fn background_calls_that_cannot_begin_are_each_told() {
    let stage = Stage::set(json!({ "prints": ["no"], "start": { "exit": 3 } })).await;
    let mut server = stage.server(&[]).await;
    let first = server.begin("codex", json!({ "prompt": "x", "identity": "ana", "background": true })).await;
    let second = server.begin("codex-reply", json!({ "prompt": "x", "identity": "ana", "background": true })).await;
    for call in [first, second] {
        let result = server.result(call).await;
        assert_eq!((&result["isError"], &result["structuredContent"]["status"]), (&json!(true), &json!("refused")));
        assert!(result["structuredContent"]["content"].as_str().unwrap().contains("died at its start"), "{result}");
    }
}

#[tokio::test]
async fn a_run_directory_that_somebody_locks_is_told_in_time_and_keeps_nobody() {
    let stage = Stage::set(json!({})).await;
    let run = stage.home().join(".config/atm/run");
    std::fs::create_dir_all(&run).unwrap();
    let lock = std::fs::File::create(run.join("sweep.lock")).unwrap();
    lock.lock().unwrap();
    let mut server = stage.server(&[]).await;
    let error = server.fails("codex", json!({ "prompt": "x" })).await;
    assert!(error.contains("sweep.lock"), "{error}");
    assert!(server.leave().await.status.success());
}

#[tokio::test]
async fn an_agent_that_is_being_closed_is_not_brought_back_by_a_reply() {
    let stage = Stage::set(json!({ "turns": [["started", "never"]], "ignores": ["turn/interrupt"] })).await;
    let mut server = stage.server(&[]).await;
    server.done("codex", json!({ "prompt": "x", "identity": "ana", "background": true })).await;
    let close = server.begin("agent_close", json!({ "identity": "ana" })).await;
    let reply = server.begin("codex-reply", json!({ "prompt": "x", "identity": "ana" })).await;
    let told = server.result(reply).await["structuredContent"].clone();
    assert_eq!(told["error"], "SESSION_CLOSED", "{told}");
    assert_eq!(server.result(close).await["structuredContent"]["closed"], true);
}

#[tokio::test]
async fn an_agent_that_never_had_a_thread_leaves_no_file() {
    let stage = Stage::set(json!({ "start": { "exit": 3 } })).await;
    let mut server = stage.server(&[]).await;
    server.fails("codex", json!({ "prompt": "x" })).await;
    server.leave().await;
    let left: Vec<_> =
        stage.files().into_iter().filter(|path| path.is_file() && path.to_string_lossy().contains("agents")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_close_that_cannot_be_written_down_says_so() {
    let stage = Stage::set(json!({})).await;
    let mut server = stage.server(&[]).await;
    let ana = server.done("codex", json!({ "prompt": "x", "identity": "ana" })).await;
    let name = format!("{}.json", ana["agent_id"].as_str().unwrap());
    let path = stage.files().into_iter().find(|path| path.ends_with(&name)).unwrap();
    // A directory that is not empty cannot be replaced by a file, whoever asks.
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir_all(path.join("in the way")).unwrap();
    let closed = server.done("agent_close", json!({ "agent_id": ana["agent_id"] })).await;
    let warning = closed["warning"].as_str().unwrap();
    assert!(warning.contains(path.to_str().unwrap()) && warning.contains("cannot be written"), "{closed}");
}
