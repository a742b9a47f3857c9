//! Every flag of `serve` has an effect, and what nobody set is not sent.

use serde_json::{Value, json};

use crate::server::Server;
use crate::stage::Stage;

const SETTINGS: &str = "[plugins.atm-agent-mcp]\nfast_model = 'swift'\n\n[plugins.atm-agent-mcp.roles.critic]\n\
                        model = 'stern'\nsandbox = 'read-only'\napproval_policy = 'never'\nreasoning_effort = 'high'\n";

/// What Codex is told of a new agent's thread by a server with these flags.
async fn thread_of(flags: &[&str], arguments: Value) -> Value {
    let stage = Stage::set(json!({})).await;
    std::fs::write(stage.project().join("settings.toml"), SETTINGS).unwrap();
    let mut server = stage.server(flags).await;
    server.done("codex", arguments).await;
    let thread = stage.codex().await.got("thread/start").await;
    assert_eq!(thread["cwd"], json!(stage.project()));
    thread
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[tokio::test]
async fn what_nobody_set_is_not_sent() {
    let thread = thread_of(&[], json!({ "prompt": "x" })).await;
    assert_eq!(keys(&thread), ["config", "cwd", "developerInstructions", "dynamicTools"]);
    // A steer is not to destroy an answer, and no model is to decide for people.
    assert_eq!(thread["config"], json!({ "features.instant_interrupt": false, "approvals_reviewer": "user" }));
}

#[tokio::test]
async fn each_flag_that_is_codexs_business_is_sent_and_nothing_else() {
    let with = |flags: &'static [&'static str], sent: Value| (flags, sent);
    let cases = [
        with(&["--model", "large"], json!({ "model": "large" })),
        with(&["--config", "settings.toml", "--fast"], json!({ "model": "swift" })),
        with(&["--sandbox", "workspace-write"], json!({ "sandbox": "workspace-write" })),
        with(&["--readonly"], json!({ "sandbox": "read-only" })),
        with(&["--explore"], json!({ "sandbox": "read-only" })),
        with(&["--approval-policy", "untrusted"], json!({ "approvalPolicy": "untrusted" })),
        with(&["--approval-policy", "on-failure"], json!({ "approvalPolicy": "on-request" })),
        with(&["--subagents"], json!({ "config": { "features.multi_agent": true } })),
        with(
            &["--config", "settings.toml", "--role", "critic"],
            json!({
                "model": "stern",
                "sandbox": "read-only",
                "approvalPolicy": "never",
                "config": { "model_reasoning_effort": "high" },
            }),
        ),
        with(
            &["--config", "settings.toml", "--role", "critic", "--model", "large", "--sandbox", "workspace-write"],
            json!({
                "model": "large",
                "sandbox": "workspace-write",
                "approvalPolicy": "never",
                "config": { "model_reasoning_effort": "high" },
            }),
        ),
    ];
    for (flags, sent) in cases {
        let mut thread = thread_of(flags, json!({ "prompt": "x" })).await;
        let thread = thread.as_object_mut().unwrap();
        let config = thread["config"].as_object_mut().unwrap();
        assert_eq!(config.remove("features.instant_interrupt"), Some(json!(false)));
        assert_eq!(config.remove("approvals_reviewer"), Some(json!("user")));
        let ours = |key: &str| ["cwd", "developerInstructions", "dynamicTools"].contains(&key);
        thread.retain(|key, value| !ours(key) && *value != json!({}));
        assert_eq!(json!(thread), sent, "{flags:?}");
    }
}

#[tokio::test]
async fn what_the_call_says_is_stronger_than_what_the_flags_say() {
    let flags = ["--model", "large", "--readonly", "--approval-policy", "never", "--allow-full-access"];
    let arguments =
        json!({ "prompt": "x", "model": "m", "sandbox": "danger-full-access", "approval-policy": "on-request" });
    let thread = thread_of(&flags, arguments).await;
    let sent = [&thread["model"], &thread["sandbox"], &thread["approvalPolicy"]];
    assert_eq!(sent, [&json!("m"), &json!("danger-full-access"), &json!("on-request")]);
}

#[tokio::test]
async fn team_is_whose_agents_these_are_and_identity_what_they_are_called() {
    let stage = Stage::set(json!({})).await;
    let mut server = stage.server(&["--team", "red", "--identity", "ann"]).await;
    let first = server.done("codex", json!({ "prompt": "x" })).await;
    let second = server.done("codex", json!({ "prompt": "x" })).await;
    assert_eq!((&first["identity"], &second["identity"]), (&json!("ann"), &json!("ann-2")));
    assert_eq!(server.done("agent_status", json!({})).await["team"], "red");
    let record = format!(".config/atm/agent-sessions/red/agents/{}.json", first["agent_id"].as_str().unwrap());
    assert!(stage.home().join(record).is_file());
    let told = stage.codex().await.got("thread/start").await["developerInstructions"].as_str().unwrap().to_owned();
    assert!(told.contains("\"team\":\"red\"") && told.contains("\"agent\":\"ann\""), "{told}");
}

#[tokio::test]
async fn a_call_that_takes_longer_than_the_timeout_is_interrupted_and_says_so() {
    let stage = Stage::set(json!({ "turns": [["started", { "say": "half" }, "never"], ["started"]] })).await;
    let mut server = stage.server(&["--timeout", "1"]).await;
    let result = server.call("codex", json!({ "prompt": "x" })).await;
    let told = &result["structuredContent"];
    assert_eq!((&told["status"], &told["error"]), (&json!("timed_out"), &json!("REQUEST_TIMEOUT")), "{result}");
    assert!(told["content"].as_str().unwrap().contains("half"), "{result}");
    stage.codex().await.got("turn/interrupt").await;
    assert_eq!(server.done("codex-reply", json!({ "prompt": "x", "identity": "codex" })).await["status"], "completed");
}

/// The only call of an agent whose turn does not end when it is interrupted.
async fn endless(turn: Value) -> Value {
    let stage = Stage::set(json!({ "ignores": ["turn/interrupt"], "turns": [turn] })).await;
    let mut server = stage.server(&["--timeout", "1"]).await;
    server.call("codex", json!({ "prompt": "x" })).await["structuredContent"].clone()
}

#[tokio::test]
async fn a_call_ends_with_its_timeout_though_codex_neither_begins_nor_ends_the_turn() {
    let (endless, unbegun) = tokio::join!(endless(json!(["started", "never"])), endless(json!(["never"])));
    for told in [endless, unbegun] {
        assert_eq!((&told["status"], &told["error"]), (&json!("timed_out"), &json!("REQUEST_TIMEOUT")), "{told}");
    }
}

#[tokio::test]
async fn resume_continues_the_agent_that_was_active_last_or_the_one_that_is_named() {
    let stage = Stage::set(json!({})).await;
    let mut server = stage.server(&[]).await;
    let ann = server.done("codex", json!({ "prompt": "x", "identity": "ann" })).await;
    let bob = server.done("codex", json!({ "prompt": "x", "identity": "bob" })).await;
    server.leave().await;
    stage.codex().await;
    let ann_id = ann["agent_id"].as_str().unwrap();
    let cases = [(&["--resume"][..], &bob), (&["--resume", "ann"], &ann), (&["--resume", ann_id], &ann)];
    for (flags, agent) in cases {
        let server = Server::spawn(stage.command(flags));
        let resumed = stage.codex().await.got("thread/resume").await;
        assert_eq!(resumed["threadId"], agent["threadId"], "{flags:?}");
        assert!(server.leave().await.status.success());
    }
}

#[tokio::test]
async fn resume_of_nobody_ends_the_server_with_what_to_do() {
    let stage = Stage::set(json!({})).await;
    for flags in [&["--resume"][..], &["--resume", "eve"], &["--resume", "../../x"]] {
        let left = Server::spawn(stage.command(flags)).ended().await;
        assert_eq!((left.status.code(), left.rest.len()), (Some(1), 0), "{}", left.stderr);
        assert!(left.stderr.contains("Error: no agent to resume") && left.stderr.contains("Hint: "), "{}", left.stderr);
    }
}
