//! Both eras of MCP: `initialize`, and the requests of 2026-07-28 that stand for themselves.

use std::process::Stdio;

use rmcp::model::{CallToolRequestParams, ProtocolVersion};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt};
use serde_json::json;

use crate::stage::{Stage, Told};

on_each_codex! {
    a_client_that_initializes_has_the_tools_and_a_turn,
    a_client_that_discovers_has_the_tools_and_a_turn,
    a_client_that_tries_both_has_the_tools_and_a_turn,
}

async fn a_client_that_initializes_has_the_tools_and_a_turn(stage: Stage) {
    turn(stage, ClientLifecycleMode::Initialize).await;
}

async fn a_client_that_discovers_has_the_tools_and_a_turn(stage: Stage) {
    let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
    turn(stage, ClientLifecycleMode::Discover { preferred_versions }).await;
}

async fn a_client_that_tries_both_has_the_tools_and_a_turn(stage: Stage) {
    let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
    turn(stage, ClientLifecycleMode::Auto { preferred_versions, legacy_version: None }).await;
}

async fn turn(stage: Stage, mode: ClientLifecycleMode) {
    let scene = stage.plain().await;
    let mut command = scene.command(&[]);
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a server");
    let pipes = (process.stdout.take().unwrap(), process.stdin.take().unwrap());
    let mut session = ().serve_with_lifecycle(pipes, mode).await.expect("a session");

    let tools = session.list_tools(None).await.expect("the tools").tools;
    let names: Vec<_> = tools.iter().map(|tool| &*tool.name).collect();
    assert_eq!(names[..2], ["codex", "codex-reply"]);
    let mut said = Vec::new();
    for (tool, prompt) in [("codex", "SAY one"), ("codex-reply", "SAY two")] {
        let arguments = json!({"identity": "ana", "prompt": prompt}).as_object().unwrap().clone();
        let params = CallToolRequestParams::new(tool).with_arguments(arguments);
        let told = Told(session.call_tool(params).await.expect("a result")).good();
        said.push(told.content().to_owned());
        assert!(!told.text("threadId").is_empty());
    }
    assert_eq!(said, ["one", "two"]);
    session.close().await.ok();
    drop(session);
    assert!(process.wait().await.unwrap().success());
    assert_eq!(scene.codexes(), Vec::<String>::new());
}
