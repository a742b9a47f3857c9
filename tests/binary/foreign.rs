//! What an error does with what it is about: short, on one line, and with what to do.

use atm_agent_mcp::mcp::codes;
use atm_agent_mcp::plain::is_unseen;
use serde_json::{Value, json};

use crate::stage::Stage;

/// Text that ends its line, moves a cursor, and turns and hides what stands behind it.
const EVIL: &str = "a\nb\r\u{1b}[2J\u{202e}c\u{200b}\u{2028}d";

/// Every string of a value.
fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(all) => all.iter().flat_map(strings).collect(),
        Value::Object(all) => all.values().flat_map(strings).collect(),
        _ => vec![],
    }
}

/// No text of the answer does more than to be read.
fn assert_plain(answer: &Value, what: &str) {
    for text in strings(answer) {
        assert!(!text.contains(is_unseen), "{what}: {text:?}");
    }
}

#[tokio::test]
async fn foreign_text_in_an_error_is_on_one_line_and_turns_and_hides_nothing() {
    let stage = Stage::set(json!({})).await;
    let mut server = stage.server(&[]).await;
    let long = |word: &str| format!("{EVIL}{word}");
    let cases = [
        ("codex", json!({ "prompt": "x", "cwd": EVIL })),
        ("codex", json!({ "agent_file": EVIL })),
        ("codex", json!({ "prompt": "x", "identity": EVIL })),
        ("codex", json!({ "prompt": "x", "agent_id": EVIL })),
        ("codex", json!({ "prompt": "x", "role": EVIL })),
        ("codex", json!({ "prompt": "x", "sandbox": EVIL })),
        ("codex", json!({ "prompt": "x", "background": EVIL })),
        ("codex", json!({ "prompt": "x", EVIL: 1 })),
        ("codex-reply", json!({ "prompt": "x", "agent_id": EVIL })),
        ("codex-reply", json!({ "prompt": "x", "threadId": EVIL })),
        ("codex-reply", json!({ "prompt": "x", "conversationId": EVIL })),
        ("codex-reply", json!({ "prompt": "x", "identity": EVIL })),
        ("agent_status", json!({ "threadId": EVIL })),
        ("agent_close", json!({ "agent_id": EVIL })),
        ("agent_interrupt", json!({ "threadId": EVIL })),
        ("agent_read", json!({ "threadId": EVIL })),
        ("agent_read", json!({ "identity": "ana", "what": EVIL })),
        ("agent_steer", json!({ "agent": EVIL, "text": "x" })),
        ("agent_wait", json!({ "agents": [EVIL] })),
        ("agent_wait", json!({ "mode": EVIL })),
        ("agent_approve", json!({ "ask_id": EVIL, "decision": "accept" })),
        ("agent_approve", json!({ "ask_id": "ask-1", "decision": EVIL })),
        ("atm_send", json!({ "to": EVIL, "message": "x" })),
        ("atm_send", json!({ "to": "a\u{202e}b", "message": "x" })),
        ("atm_send", json!({ "to": "x@a\u{202e}b", "message": "x" })),
        ("atm_send", json!({ "to": "ana", "message": "x", "identity": EVIL })),
        ("atm_broadcast", json!({ "message": "x", "team": EVIL })),
        ("atm_read", json!({ "id": EVIL })),
        ("atm_read", json!({ "since": EVIL })),
        ("atm_read", json!({ EVIL: true })),
    ];
    for (tool, arguments) in cases {
        let what = format!("{tool} {arguments}");
        let result = server.call(tool, arguments).await;
        assert_eq!(result["isError"], true, "{what}: {result}");
        assert_plain(&result, &what);
    }
    assert_plain(&server.call(&long("tool"), json!({})).await, "a tool");
    let state = json!({ "name": "codex", "arguments": {}, "requestState": EVIL });
    assert_plain(&server.request("tools/call", state).await, "requestState");
    assert_plain(&server.request("tasks/get", json!({ "taskId": EVIL })).await, "taskId");
    assert_plain(&server.request(EVIL, json!({})).await, "a method");
    assert_plain(&server.request(EVIL, json!([])).await, "a method with wrong parameters");
}

/// What a text says that tells what to do.
const ADVICE: [&str; 13] = [
    "use ",
    "expected ",
    "name ",
    "at most ",
    "it is a ",
    "agent_sessions",
    "agent_status",
    "all=true",
    "there are no roles",
    "such as",
    "leave identity out",
    "name another",
    "there are no fields",
];

/// What is taken as it is.
const TAKEN: [(&str, &str); 7] = [
    ("model", "text"),
    ("reasoning-effort", "text"),
    ("base-instructions", "text"),
    ("developer-instructions", "text"),
    ("compact-prompt", "text"),
    ("from", "text"),
    ("summary", "text"),
];

#[tokio::test]
async fn whatever_is_given_to_whatever_argument_is_refused_in_short_with_a_code_and_what_to_do() {
    let stage = Stage::set(json!({})).await;
    let mut server = stage.server(&[]).await;
    let tools = server.request("tools/list", json!({})).await["result"]["tools"].clone();
    let huge = format!("{EVIL}{}", "yä".repeat(700_000));
    let base = |tool: &str| match tool {
        "codex" => json!({ "prompt": "x" }),
        "codex-reply" => json!({ "prompt": "x", "identity": "ana" }),
        "agent_steer" => json!({ "agent": "ana", "text": "x" }),
        "agent_approve" => json!({ "ask_id": "ask-1", "decision": "accept" }),
        "atm_send" => json!({ "to": "ana", "message": "x" }),
        "atm_broadcast" => json!({ "message": "x" }),
        _ => json!({}),
    };
    let mut refused = 0;
    for tool in tools.as_array().unwrap() {
        let name = tool["name"].as_str().unwrap();
        let known =
            tool["inputSchema"]["properties"].as_object().into_iter().flatten().map(|(argument, _)| argument.as_str());
        let mut calls: Vec<(&str, &str, Value)> = vec![(huge.as_str(), "unknown field", json!(1))];
        for argument in known {
            calls.extend([(argument, "text", json!(huge)), (argument, "list", json!([huge]))]);
        }
        for (argument, kind, value) in calls {
            // What is Codex's to judge.
            if TAKEN.contains(&(argument, kind)) {
                continue;
            }
            let mut arguments = base(name);
            if ["agent_id", "threadId", "conversationId"].contains(&argument) {
                arguments.as_object_mut().unwrap().remove("identity");
            }
            if argument == "agent_file" {
                arguments.as_object_mut().unwrap().remove("prompt");
            }
            arguments[argument] = value;
            let what = format!("{name} {} as {kind}", argument.chars().take(20).collect::<String>());
            let result = server.call(name, arguments).await;
            let size = result.to_string().len();
            assert!(size < 10_000, "{what}: a result of {size} bytes");
            assert_plain(&result, &what);
            assert_eq!(result["isError"], true, "{what}: {result}");
            refused += 1;
            let structured = &result["structuredContent"];
            let code = codes::of(structured["error"].as_str().unwrap());
            let (number, side) = (json!(code.number), json!(code.side.word()));
            assert_eq!((&structured["code"], &structured["error_source"]), (&number, &side), "{what}");
            let text = result["content"][0]["text"].as_str().unwrap();
            assert!(ADVICE.iter().any(|advice| text.contains(advice)), "{what}: {text}");
        }
    }
    assert!(refused > 100, "{refused}");
    let size = server.call(&huge, json!({})).await.to_string().len();
    assert!(size < 10_000, "an unknown tool: {size} bytes");
}
