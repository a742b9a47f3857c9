//! The agent's own tools: who calls them, what is answered, and what a call may not hold up.

use std::sync::Arc;

use atm_agent_mcp::config::ServeFlags;
use atm_agent_mcp::session::{McpServer, Toolbox};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::stage::{Script, Stage, turn};
use crate::toolbox::{INTRODUCTION, TestTools};

/// An agent `codex` at work, with tools: its thread is `thread-1`, its turn `turn-1`.
async fn at_work(tools: &Arc<TestTools>) -> Stage {
    Stage::open_with(ServeFlags::default(), Some(tools.clone() as Arc<dyn Toolbox>)).await.at_work().await
}

/// Closes the agent `codex` when its turn has ended and continues it; what Codex is asked then.
async fn continued(stage: &mut Stage) -> Value {
    stage.codex.say("turn/completed", &turn("turn-1", "completed"));
    let agent = stage.client.answer_to(1).await["result"]["structuredContent"]["agent_id"].clone();
    stage.client.call(2, "agent_close", &json!({"identity": "codex"})).await;
    stage.codex.lets_go().await;
    stage.client.answer_to(2).await;
    stage.client.call(3, "codex", &json!({"agent_id": agent, "prompt": "more"})).await;
    stage.codex.expect("thread/resume").await
}

impl Script {
    /// Calls a tool under this request id.
    pub(crate) fn calls(&self, id: u64, thread: &str, tool: &str, arguments: &Value) {
        let turn = if thread == "thread-1" { "turn-1" } else { "turn-of-another" };
        self.asks(
            id,
            "item/tool/call",
            &json!({
                "threadId": thread, "turnId": turn, "callId": "c", "namespace": "atm", "tool": tool, "arguments": arguments,
            }),
        );
    }

    /// The next answer to such a call, which must be to this request.
    pub(crate) async fn told(&mut self, id: u64) -> (bool, String) {
        let answer = self.hear().await;
        assert_eq!((&answer["id"], answer.get("method")), (&json!(id), None), "{answer}");
        let [text] = answer["result"]["contentItems"].as_array().expect("items").as_slice() else { panic!("{answer}") };
        assert_eq!(text["type"], "inputText");
        (answer["result"]["success"].as_bool().unwrap(), text["text"].as_str().unwrap().to_owned())
    }
}

#[tokio::test]
async fn a_thread_is_started_with_the_tools_and_its_agent_is_told_of_them() {
    let tools = Arc::new(TestTools::new(&["echo"]));
    let mut stage = Stage::open_with(ServeFlags::default(), Some(tools)).await;
    stage.client.call(1, "codex", &json!({"prompt": "work", "developer-instructions": "Be brief."})).await;
    stage.codex.shake_hands().await;
    let start = stage.codex.expect("thread/start").await;
    let schema = json!({"type": "object", "properties": {"text": {"type": "string"}}});
    let echo = json!({"type": "function", "name": "echo", "description": "For a test.", "inputSchema": schema});
    let all = json!([{"type": "namespace", "name": "atm", "description": "For tests.", "tools": [echo]}]);
    assert_eq!(start["params"]["dynamicTools"], all);
    let told = start["params"]["developerInstructions"].as_str().unwrap();
    assert!(told.starts_with("Be brief.\n\n<session_context>"), "{told}");
    assert!(told.ends_with(&format!("</session_context>\n\n{INTRODUCTION}")), "{told}");
}

#[tokio::test]
async fn the_caller_is_the_agent_of_the_thread_whatever_the_arguments_say() {
    let tools = Arc::new(TestTools::all());
    let mut stage = at_work(&tools).await;
    let forged = json!({"from": "boss", "identity": "boss", "caller": {"name": "boss"}});
    stage.codex.calls(0, "thread-1", "echo", &forged);
    let (success, text) = stage.codex.told(0).await;
    assert!(success && text.starts_with("codex ") && text.ends_with(&format!(" said {forged}")), "{text}");
    stage.codex.calls(1, "thread-1", "fail", &json!({}));
    assert_eq!(stage.codex.told(1).await, (false, "Error: codex has failed".to_owned()));
}

#[tokio::test]
async fn a_sub_agent_calls_as_the_agent_that_it_belongs_to() {
    let tools = Arc::new(TestTools::all());
    let mut stage = at_work(&tools).await;
    let begun = [
        ("thread-1", json!({"type": "collabAgentToolCall", "tool": "spawnAgent", "receiverThreadIds": ["child"]})),
        ("thread-1", json!({"type": "subAgentActivity", "kind": "started", "agentThreadId": "other"})),
        ("child", json!({"type": "collabAgentToolCall", "tool": "spawnAgent", "receiverThreadIds": ["grandchild"]})),
    ];
    for (thread, item) in begun {
        stage.codex.say("item/completed", &json!({"threadId": thread, "turnId": "t", "item": item}));
    }
    for (id, thread) in [(0, "child"), (1, "other"), (2, "grandchild")] {
        stage.codex.calls(id, thread, "echo", &json!(thread));
        let (success, text) = stage.codex.told(id).await;
        assert!(success && text.starts_with("codex ") && text.ends_with(&format!("said \"{thread}\"")), "{text}");
    }
    stage.codex.say("turn/completed", &turn("turn-1", "completed"));
    stage.client.answer_to(1).await;
    stage.client.call(2, "agent_close", &json!({"identity": "codex"})).await;
    stage.codex.lets_go().await;
    stage.codex.calls(3, "child", "echo", &json!({}));
    assert!(!stage.codex.told(3).await.0, "nobody is left to speak as");
}

#[tokio::test]
async fn to_name_a_foreign_thread_does_not_make_it_ones_own() {
    let tools = Arc::new(TestTools::all());
    let mut stage = at_work(&tools).await;
    for tool in ["sendInput", "wait", "closeAgent"] {
        let item = json!({"type": "collabAgentToolCall", "tool": tool, "receiverThreadIds": ["foreign"]});
        stage.codex.say("item/completed", &json!({"threadId": "thread-1", "turnId": "turn-1", "item": item}));
    }
    stage.codex.calls(0, "foreign", "echo", &json!({}));
    assert!(!stage.codex.told(0).await.0);
}

#[tokio::test]
async fn a_call_in_a_thread_of_nobody_here_is_refused() {
    let tools = Arc::new(TestTools::all());
    let mut stage = at_work(&tools).await;
    stage.codex.say(
        "item/completed",
        &json!({"threadId": "foreign", "turnId": "t", "item": {
            "type": "collabAgentToolCall", "tool": "spawnAgent", "receiverThreadIds": ["child of foreign"],
        }}),
    );
    for (id, thread) in [(0, "foreign"), (1, "child of foreign"), (2, "")] {
        stage.codex.calls(id, thread, "echo", &json!({}));
        let (success, text) = stage.codex.told(id).await;
        assert!(!success && text.contains("no agent of this server has this thread"), "{text}");
    }
}

#[tokio::test]
async fn garbage_is_answered_and_holds_up_nothing() {
    let tools = Arc::new(TestTools::all());
    let mut stage = at_work(&tools).await;
    for (id, arguments) in (0..).zip([json!(null), json!([[]]), json!("{\"text\":"), json!({"text": 7}), json!(1e300)])
    {
        stage.codex.calls(id, "thread-1", "echo", &arguments);
        let (success, text) = stage.codex.told(id).await;
        assert!(success && text.ends_with(&format!("said {arguments}")), "{text}");
    }
    let long = "x".repeat(1_000_000);
    for (id, tool) in [(10, "rm"), (11, ""), (12, "atm__echo"), (13, long.as_str())] {
        stage.codex.calls(id, "thread-1", tool, &json!({}));
        let (success, text) = stage.codex.told(id).await;
        assert!(!success && text.contains("There is no tool") && text.contains("echo, fail, hang"), "{text}");
        assert!(text.len() < 300, "{}", text.len());
    }
    for (id, params) in [(20, json!({"threadId": "thread-1"})), (21, json!({"threadId": "thread-1", "tool": {}}))] {
        stage.codex.asks(id, "item/tool/call", &params);
        assert!(!stage.codex.told(id).await.0);
    }
    stage.codex.calls(30, "thread-1", "echo", &json!(long));
    let (_, text) = stage.codex.told(30).await;
    assert!(text.len() < 101_000 && text.contains("characters in all"), "{}", text.len());
}

#[tokio::test]
async fn without_tools_of_ours_a_call_is_answered_too() {
    let mut stage = Stage::with_running_turn(ServeFlags::default()).await;
    stage.codex.calls(0, "thread-1", "echo", &json!({}));
    assert!(stage.codex.told(0).await.1.contains("gives its agents none"));
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_calls_that_hang_is_bounded_and_each_has_its_end() {
    let tools = Arc::new(TestTools::all());
    let mut stage = at_work(&tools).await;
    let since = Instant::now();
    for id in 0..3000 {
        stage.codex.calls(id, "thread-1", "hang", &json!({}));
    }
    for id in 64..3000 {
        let (success, text) = stage.codex.told(id).await;
        assert!(!success && text.contains("64 calls of this agent are under way"), "{text}");
    }
    assert_eq!(since.elapsed().as_secs(), 0);
    tools.hanging(64).await;
    for _ in 0..64 {
        assert!(stage.codex.hear().await.to_string().contains("hang gave no result within 120 s"));
    }
    assert_eq!(since.elapsed().as_secs(), 120);
    stage.codex.calls(0, "thread-1", "echo", &json!({}));
    assert!(stage.codex.told(0).await.0, "there is room again");
}

#[tokio::test]
async fn a_call_that_hangs_holds_up_neither_the_agents_nor_its_turns_interrupt() {
    let tools = Arc::new(TestTools::all());
    let mut stage = at_work(&tools).await;
    stage.codex.calls(0, "thread-1", "hang", &json!({}));
    tools.hanging(1).await;
    stage.codex.calls(1, "thread-1", "echo", &json!({}));
    assert!(stage.codex.told(1).await.0);
    stage.client.call(2, "agent_interrupt", &json!({"identity": "codex"})).await;
    let interrupt = stage.codex.expect("turn/interrupt").await;
    stage.codex.answer(&interrupt, &json!({}));
    stage.codex.say("turn/completed", &turn("turn-1", "interrupted"));
    stage.codex.expect("thread/backgroundTerminals/clean").await;
    let (success, text) = stage.codex.told(0).await;
    assert!(!success && text.contains("the turn of the call is over"), "{text}");
    stage.client.answer_to(1).await;
    tools.hanging(0).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_is_given_up_when_its_agent_is_closed_or_codex_is_gone() {
    let tools = Arc::new(TestTools::all());
    let mut stage = at_work(&tools).await;
    stage.codex.calls(0, "thread-1", "hang", &json!({}));
    tools.hanging(1).await;
    stage.client.call(2, "agent_close", &json!({"identity": "codex"})).await;
    let interrupt = stage.codex.expect("turn/interrupt").await;
    stage.codex.answer(&interrupt, &json!({}));
    stage.codex.say("turn/completed", &turn("turn-1", "interrupted"));
    stage.client.answer_to(1).await;
    tools.hanging(0).await;

    let Stage { codex, .. } = at_work(&tools).await;
    codex.calls(0, "thread-1", "hang", &json!({}));
    tools.hanging(1).await;
    drop(codex);
    tools.hanging(0).await;
}

fn a_server() -> McpServer {
    McpServer { command: "/bin/atm".into(), args: vec!["agent-tools".into()], env: [].into() }
}

/// What stands in a thread's config for [`a_server`], of the agent `codex`.
fn its_config() -> Value {
    json!({
        "command": "/bin/atm", "args": ["agent-tools"], "env": {"AGENT": "codex"}, "default_tools_approval_mode": "approve",
    })
}

#[tokio::test]
async fn a_codex_that_refuses_the_tools_is_given_a_server_that_has_them_at_every_opening() {
    let tools = Arc::new(TestTools::all().with_server(a_server()));
    let mut stage = Stage::open_with(ServeFlags::default(), Some(tools)).await;
    stage.client.call(1, "codex", &json!({"prompt": "work", "config": {"mcp_servers": {"own": {}}}})).await;
    stage.codex.shake_hands().await;
    let start = stage.codex.expect("thread/start").await;
    stage.codex.refuse(&start, "thread/start.dynamicTools requires experimentalApi capability");
    let again = stage.codex.expect("thread/start").await;
    assert!(again["params"].get("dynamicTools").is_none());
    assert_eq!(again["params"]["config"]["mcp_servers"], json!({"own": {}, "atm": its_config()}));
    assert!(again["params"]["developerInstructions"].as_str().unwrap().ends_with(INTRODUCTION));
    stage.codex.answer(&again, &json!({"thread": {"id": "thread-1"}, "model": "m"}));
    stage.codex.accept_turn("turn-1").await;
    stage.codex.say("turn/started", &turn("turn-1", "inProgress"));
    let resume = continued(&mut stage).await;
    assert_eq!(resume["params"]["config"]["mcp_servers"], json!({"own": {}, "atm": its_config()}));
}

#[tokio::test]
async fn a_codex_that_refuses_the_tools_starts_the_thread_without_if_there_is_no_server() {
    let mut stage = Stage::open_with(ServeFlags::default(), Some(Arc::new(TestTools::all()))).await;
    stage.client.call(1, "codex", &json!({"prompt": "work"})).await;
    stage.codex.shake_hands().await;
    let start = stage.codex.expect("thread/start").await;
    stage.codex.refuse(&start, "dynamic tool name must match ^[a-zA-Z0-9_-]+$ to match Responses API: a b");
    let again = stage.codex.expect("thread/start").await;
    assert!(again["params"].get("dynamicTools").is_none());
    assert!(!again.to_string().contains("mcp_servers") && !again.to_string().contains(INTRODUCTION), "{again}");
}

#[tokio::test]
async fn a_thread_that_has_the_tools_is_given_no_server_beside_them() {
    let tools = Arc::new(TestTools::all().with_server(a_server()));
    let mut stage = at_work(&tools).await;
    let resume = continued(&mut stage).await;
    assert!(!resume.to_string().contains("mcp_servers") && resume.to_string().contains(INTRODUCTION), "{resume}");
}
