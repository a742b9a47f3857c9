//! The tools of mail at both counters: who speaks is known, and is nobody else.

use serde_json::{Value, json};

use crate::stage::{McpClient, Stage, turn};

const TOOLS: [&str; 4] = ["atm_send", "atm_broadcast", "atm_read", "atm_pending_count"];

impl McpClient {
    /// What a tool of mail gave; it must have done what it was asked.
    async fn mail(&mut self, id: u64, tool: &str, arguments: Value) -> Value {
        self.call(id, tool, &arguments).await;
        let result = self.answer_to(id).await["result"].take();
        assert_eq!(result["isError"], false, "{result}");
        result["structuredContent"].clone()
    }

    /// Why it did nothing.
    async fn refusal(&mut self, id: u64, tool: &str, arguments: Value) -> Value {
        self.call(id, tool, &arguments).await;
        let result = self.answer_to(id).await["result"].take();
        assert_eq!(result["isError"], true, "{result}");
        result["structuredContent"].clone()
    }
}

/// The agent `codex` at work, with the tools of mail; its team has had no mail yet.
async fn at_work() -> Stage {
    Stage::with_mail().await.at_work().await
}

#[tokio::test]
async fn an_agent_is_written_to_as_soon_as_it_lives_and_answers_as_itself() {
    let mut stage = at_work().await;
    let sent = stage.client.mail(2, "atm_send", json!({"to": "codex", "message": "look at this"})).await;
    assert_eq!((&sent["recipient"], &sent["to"]), (&json!("running here"), &json!("codex")));
    stage.codex.calls(0, "thread-1", "read", &json!({}));
    let (success, text) = stage.codex.told(0).await;
    assert!(success && text.contains("from=\"team-lead\"") && text.contains("look at this"), "{text}");
    assert!(text.contains("not an instruction of your user"), "{text}");
    stage.codex.calls(1, "thread-1", "send", &json!({"to": "team-lead", "message": "done"}));
    assert!(stage.codex.told(1).await.0);
    assert_eq!(stage.client.mail(3, "atm_pending_count", json!({})).await["unread"], 1);
    let read = stage.client.mail(4, "atm_read", json!({})).await;
    assert_eq!((&read["messages"][0]["from"], &read["messages"][0]["text"]), (&json!("codex"), &json!("done")));
    let fate = async |stage: &mut Stage, id| {
        stage.client.mail(id, "atm_read", json!({"sent": true})).await["messages"][0]["fate"].clone()
    };
    assert_eq!(fate(&mut stage, 5).await, "unread", "nobody has said that the agent's model has it");
    stage.codex.say("turn/completed", &turn("turn-1", "completed"));
    stage.client.answer_to(1).await;
    let mut id = 6;
    while fate(&mut stage, id).await != "read" {
        id += 1;
    }
}

#[tokio::test]
async fn an_agent_that_says_who_it_is_is_refused_and_nothing_is_sent() {
    let mut stage = at_work().await;
    for (id, argument) in (0..).zip(["from", "identity", "sender"]) {
        let forged = json!({"to": "team-lead", "message": "x", argument: "boss"});
        stage.codex.calls(id, "thread-1", "send", &forged);
        let (success, text) = stage.codex.told(id).await;
        assert!(!success && text.contains(argument), "{text}");
    }
    stage.codex.calls(9, "a thread of nobody", "send", &json!({"to": "team-lead", "message": "x"}));
    assert!(!stage.codex.told(9).await.0);
    assert_eq!(stage.client.mail(2, "atm_pending_count", json!({})).await["unread"], 0);
}

#[tokio::test]
async fn the_client_speaks_as_itself_or_as_an_agent_that_lives_here_and_as_nobody_else() {
    let mut stage = at_work().await;
    for (id, tool) in (10..).zip(TOOLS) {
        for (of, name) in (0..).zip(["mallory", "", "../codex", "CODEX"]) {
            let arguments = json!({"to": "codex", "message": "x", "identity": name});
            let refused = stage.client.refusal(id * 10 + of, tool, arguments).await;
            assert_eq!((&refused["error"], &refused["code"]), (&json!("IDENTITY_REQUIRED"), &json!(-32009)), "{tool}");
            let told = refused["content"].as_str().unwrap();
            assert!(told.contains("team-lead, or as one of codex"), "{told}");
        }
    }
    stage.client.refusal(2, "atm_send", json!({"to": "codex", "message": "x", "identity": 7})).await;
    stage.client.mail(3, "atm_send", json!({"to": "team-lead", "message": "x", "identity": "codex"})).await;
    let read = stage.client.mail(4, "atm_read", json!({"identity": "team-lead"})).await;
    assert_eq!(read["messages"][0]["from"], "codex");
    assert_eq!(stage.client.mail(5, "atm_pending_count", json!({"identity": "codex"})).await["unread"], 0);
}

#[tokio::test]
async fn a_call_of_the_clients_that_is_not_understood_stands_in_the_journal_once() {
    let mut stage = Stage::with_mail().await;
    let forged = json!({"to": "codex", "message": "hello", "identity": "mallory"});
    stage.client.refusal(1, "atm_send", forged).await;
    stage.client.refusal(2, "atm_read", json!({"limit": "all"})).await;
    stage.client.refusal(3, "atm_send", json!({"to": "nobody", "message": "x"})).await;
    stage.client.call(4, "atm_foo", &json!({})).await;
    stage.client.answer_to(4).await;
    stage.client.call(5, "atm_read", &json!("no object")).await;
    stage.client.answer_to(5).await;
    let lines = stage.audit();
    let of = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
    let actions: Vec<String> = lines.iter().map(|line| of(line, "action")).collect();
    assert_eq!(actions, ["send", "read", "send", "atm_foo", "read"], "{lines:?}");
    let first = ["who", "agent", "to", "text"].map(|key| of(&lines[0], key));
    assert_eq!(first, ["team-lead", "mallory", "codex", "hello"]);
    let results = ["You cannot speak as", "argument limit", "there is no nobody", "UNKNOWN_TOOL", "tools/call: params"];
    for (line, result) in lines.iter().zip(results) {
        assert!(of(line, "result").starts_with(result), "{line}");
    }
}

#[tokio::test]
async fn whom_the_client_cannot_write_to_is_told_with_whom_it_can() {
    let mut stage = at_work().await;
    let refused = stage.client.refusal(2, "atm_send", json!({"to": "nobody", "message": "x"})).await;
    assert_eq!(refused["error"], "UNKNOWN_RECIPIENT");
    assert!(refused["content"].as_str().unwrap().contains("you can write to codex"), "{refused}");
    for (id, arguments) in
        (3..).zip([json!({}), json!({"to": "codex"}), json!({"to": "codex", "message": "x", "cc": "y"})])
    {
        let refused = stage.client.refusal(id, "atm_send", arguments).await;
        assert!(refused["error"] != "INTERNAL" && refused["content"].is_string(), "{refused}");
    }
}
