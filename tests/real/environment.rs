//! What an agent's commands see of the environment that the client gave us.

use serde_json::json;

use crate::stage::{Server, Stage};

on_each_codex! {
    an_agent_sees_the_users_environment_without_what_belongs_to_the_client_or_to_us,
}

async fn an_agent_sees_the_users_environment_without_what_belongs_to_the_client_or_to_us(stage: Stage) {
    let scene = stage.plain().await;
    let mut command = scene.command(&[]);
    for (name, value) in [
        ("CLAUDECODE", "1"),
        ("CLAUDE_CODE_OAUTH_TOKEN", "of-the-client"),
        ("CLAUDE_CODE_SSE_PORT", "1"),
        ("CLAUDE_SESSION_ID", "of-the-client"),
        ("ATM_AGENT_MCP_LEAD", "boss"),
        ("CLAUDE_CONFIG_DIR", "/of/the/user"),
        ("PROVIDER_LICENCE", "of-the-user"),
        ("ANTHROPIC_API_KEY", "taken-out"),
        ("ATM_AGENT_MCP_ENV_REMOVE", "ANTHROPIC_*"),
    ] {
        command.env(name, value);
    }
    let server = Server::start(command).await;
    let prompt = "RUN env | grep -E '^(ATM_|CLAUDE|ANTHROPIC_|PROVIDER_)' | cut -c1-40 | sort";
    let told = server.call("codex", json!({"prompt": prompt, "sandbox": "workspace-write"})).await.good();
    let seen: Vec<&str> = told.content().lines().filter(|line| line.contains('=')).collect();
    let [mark, claude, provider] = seen[..] else { panic!("{seen:?}") };
    assert!(mark.starts_with("ATM_AGENT_MCP_RUN="), "the mark by which leftovers are found: {mark}");
    assert_eq!([claude, provider], ["CLAUDE_CONFIG_DIR=/of/the/user", "PROVIDER_LICENCE=of-the-user"]);
    scene.end(server).await;
}
