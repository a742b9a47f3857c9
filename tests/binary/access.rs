//! Full access to the machine: refused with the key to set, however it is asked for.

use serde_json::{Value, json};

use crate::server::Server;
use crate::stage::Stage;

/// Sees that a call is refused as one with wrong arguments, and that it names the key and the user's file.
async fn refused(server: &mut Server, tool: &str, arguments: Value, asked: &str) {
    let result = server.call(tool, arguments).await;
    let told = &result["structuredContent"];
    assert_eq!((&result["isError"], &told["error"]), (&json!(true), &json!("INVALID_SESSION_PARAMS")), "{result}");
    let said = told["content"].as_str().unwrap();
    let words = [asked, "allow_full_access = true", ".config/atm/config.toml", "workspace-write"];
    assert!(words.iter().all(|word| said.contains(word)) && !said.contains('\n'), "{said}");
}

#[tokio::test]
async fn full_access_is_refused_however_a_call_asks_for_it() {
    let stage = Stage::set(json!({})).await;
    let settings = "[plugins.atm-agent-mcp.roles.free]\nsandbox = 'danger-full-access'\n";
    std::fs::write(stage.project().join(".atm.toml"), settings).unwrap();
    let mut server = stage.server(&[]).await;
    for (arguments, asked) in [
        (json!({ "prompt": "x", "sandbox": "danger-full-access" }), "sandbox danger-full-access"),
        (json!({ "prompt": "x", "role": "free" }), "sandbox danger-full-access"),
        (json!({ "prompt": "x", "config": { "sandbox_mode": "danger-full-access" } }), "config \"sandbox_mode\""),
        (
            json!({ "prompt": "x", "sandbox": "read-only", "config": { "default_permissions": ":danger-full-access" } }),
            "config \"default_permissions\"",
        ),
        (json!({ "prompt": "x", "config": { "permissions.p": { "filesystem": {} } } }), "config \"permissions.p\""),
        (json!({ "prompt": "x", "config": { "projects": {} }, "background": true }), "config \"projects\""),
    ] {
        refused(&mut server, "codex", arguments, asked).await;
    }
    assert_eq!(server.done("agent_sessions", json!({})).await["sessions"], json!([]), "no agent was started");
    server.done("codex", json!({ "prompt": "x", "sandbox": "workspace-write" })).await;
}

#[tokio::test]
async fn full_access_is_refused_whatever_the_settings_say_and_they_are_warned_of() {
    let stage = Stage::set(json!({})).await;
    let settings = "[plugins.atm-agent-mcp]\nsandbox = 'danger-full-access'\nallow_full_access = true\n";
    std::fs::write(stage.project().join(".atm.toml"), settings).unwrap();
    for flags in [&[][..], &["--sandbox", "danger-full-access"]] {
        let mut server = stage.server(flags).await;
        refused(&mut server, "codex", json!({ "prompt": "x" }), "sandbox danger-full-access").await;
        let said = server.leave().await.stderr;
        assert!(said.contains(".atm.toml:3: `allow_full_access` is passed over"), "{said}");
        assert!(said.contains("the sandbox danger-full-access is not allowed"), "{said}");
    }
}

#[tokio::test]
async fn an_agent_that_had_full_access_is_continued_without_it_or_not_at_all() {
    let stage = Stage::set(json!({})).await;
    let mut server = stage.server(&["--allow-full-access"]).await;
    let full = json!({ "prompt": "x", "identity": "ana", "sandbox": "danger-full-access" });
    let ana = server.done("codex", full).await["agent_id"].clone();
    assert_eq!(stage.codex().await.got("thread/start").await["sandbox"], "danger-full-access");
    server.leave().await;

    let mut server = stage.server(&[]).await;
    let asked = "sandbox danger-full-access";
    refused(&mut server, "codex-reply", json!({ "prompt": "x", "agent_id": ana }), asked).await;
    refused(&mut server, "codex", json!({ "prompt": "x", "agent_id": ana }), asked).await;
    server.done("codex", json!({ "prompt": "x", "agent_id": ana, "sandbox": "workspace-write" })).await;
}
