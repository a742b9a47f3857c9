//! The end of a background turn reaches the lead's Claude Code session, by the way that the settings want.

use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::UnixListener;

use crate::server::{Server, within};
use crate::stage::Stage;

/// A server whose client has an inbox socket there, and the agent `ana`, whose turn has ended in the background.
async fn turn_ended(stage: &Stage, setting: &str, socket: &std::path::Path) -> Server {
    let mut command = stage.command(&[]);
    command.env("ATM_AGENT_MCP_INBOX_SOCKET", setting);
    command.env("CLAUDE_CODE_MESSAGING_SOCKET", socket).env("CLAUDE_CODE_MESSAGING_TOKEN", "a-token");
    let mut server = Server::open(command).await;
    server.done("codex", json!({ "prompt": "x", "identity": "ana", "background": true })).await;
    server
}

/// What the lead's inbox says, as soon as it says anything.
async fn mail(stage: &Stage) -> String {
    let inbox = stage.home().join(".claude/teams/default/inboxes/team-lead.json");
    let mail = async {
        loop {
            match std::fs::read_to_string(&inbox) {
                Ok(text) if text.contains("idle_notification") => return text,
                _ => tokio::task::yield_now().await,
            }
        }
    };
    within("a mail", mail).await
}

#[tokio::test]
async fn with_inbox_socket_the_session_is_told_on_it_and_not_by_mail() {
    let stage = Stage::set(json!({})).await;
    let path = stage.project().join("inbox");
    let listener = UnixListener::bind(&path).unwrap();
    let server = turn_ended(&stage, "true", &path).await;
    let mut heard = String::new();
    let (mut session, _) = within("a notice", listener.accept()).await.unwrap();
    within("its end", session.read_to_string(&mut heard)).await.unwrap();
    let lines: Vec<Value> = heard.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0], json!({ "type": "auth", "token": "a-token" }));
    assert_eq!((&lines[1]["type"], &lines[1]["message"]["role"]), (&json!("user"), &json!("user")));
    let told = lines[1]["message"]["content"].as_str().unwrap();
    assert!(told.contains("agent ana has completed") && told.ends_with("Its answer: done"), "{told}");
    server.leave().await;
    assert!(!stage.home().join(".claude").exists());
    let audit = std::fs::read_to_string(stage.home().join(".config/atm/agent-sessions/default/audit.jsonl")).unwrap();
    assert!(audit.contains("\"action\":\"tell_lead\"") && !audit.contains("a-token"), "{audit}");
}

#[tokio::test]
async fn a_session_that_cannot_be_reached_by_its_socket_or_need_not_be_gets_mail() {
    for (setting, is_there) in [("true", false), ("false", true)] {
        let stage = Stage::set(json!({})).await;
        let path = stage.project().join("inbox");
        let _listener = is_there.then(|| UnixListener::bind(&path).unwrap());
        let server = turn_ended(&stage, setting, &path).await;
        assert!(mail(&stage).await.contains("done"));
        server.leave().await;
    }
}
