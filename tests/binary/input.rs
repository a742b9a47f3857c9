//! What a client can send that is wrong: a clear error, nothing started, nothing written, and the server goes on.

use serde_json::{Value, json};

use crate::server::Server;
use crate::stage::Stage;

/// Nothing has been started and nothing written, and the next call works.
async fn untouched(stage: &Stage, server: &mut Server, what: &str) {
    let status = server.done("agent_status", json!({})).await;
    assert_eq!((&status["child_alive"], &status["active_thread_count"]), (&json!(false), &json!(0)), "{what}");
    // What was asked is in the journal; that is all.
    let audit = stage.home().join(".config/atm/agent-sessions/default/audit.jsonl");
    let files: Vec<_> = stage.files().into_iter().filter(|file| !audit.starts_with(file)).collect();
    assert_eq!(files, Vec::<std::path::PathBuf>::new(), "{what}");
}

async fn refused(tool: &str, cases: &[(Value, &[&str])]) {
    let stage = Stage::set(json!({})).await;
    std::fs::create_dir(stage.project().join("dir")).unwrap();
    std::fs::write(stage.project().join("latin1.md"), b"caf\xe9").unwrap();
    std::fs::File::create(stage.project().join("large.md")).unwrap().set_len(5 << 20).unwrap();
    let mut server = stage.server(&[]).await;
    for (arguments, words) in cases {
        let shown: String = arguments.to_string().chars().take(120).collect();
        let error = server.fails(tool, arguments.clone()).await;
        for word in *words {
            assert!(error.contains(word), "{shown} does not name {word:?}: {error}");
        }
        assert!(error.len() < 2000, "{shown}: an error of {} bytes", error.len());
        untouched(&stage, &mut server, &shown).await;
    }
    assert_eq!(server.done("codex", json!({ "prompt": "go" })).await["content"], "done");
}

#[tokio::test]
async fn arguments_of_codex_that_cannot_be_used_are_named_and_nothing_is_started_or_written() {
    let name: &[&str] = &["identity", "1 to 64 of a-z, 0-9"];
    refused(
        "codex",
        &[
            (json!({}), &["prompt", "missing", "agent_file"]),
            (json!({ "prompt": "" }), &["prompt", "empty"]),
            (json!({ "prompt": " \n" }), &["prompt", "empty"]),
            (json!({ "prompt": "x".repeat(20 << 20) }), &["prompt", "20971520", "1048576"]),
            (json!({ "prompt": 5 }), &["prompt", "expected a string"]),
            (json!({ "prompt": "x", "background": "yes" }), &["background", "expected a boolean"]),
            (json!({ "prompt": "x", "config": [] }), &["config", "expected a map"]),
            (json!({ "prompt": "x", "promt": "y" }), &["promt", "unknown field", "prompt"]),
            (json!({ "prompt": "x", "agent_file": "a.md" }), &["prompt", "agent_file", "not both"]),
            (json!({ "agent_file": "absent.md" }), &["agent_file", "absent.md", "cannot be read"]),
            (json!({ "agent_file": "dir" }), &["agent_file", "not a file"]),
            (json!({ "agent_file": "latin1.md" }), &["agent_file", "UTF-8"]),
            (json!({ "agent_file": "large.md" }), &["agent_file", "4194304"]),
            (json!({ "prompt": "x", "identity": "../../x" }), name),
            (json!({ "prompt": "x", "identity": "" }), name),
            (json!({ "prompt": "x", "identity": "a".repeat(300) }), name),
            (json!({ "prompt": "x", "identity": "A b" }), name),
            (json!({ "prompt": "x", "role": "poet" }), &["role", "poet", "there are no roles"]),
            (json!({ "prompt": "x", "cwd": "absent" }), &["cwd", "absent", "not a directory"]),
            (json!({ "prompt": "x", "cwd": "latin1.md" }), &["cwd", "not a directory"]),
            (json!({ "prompt": "x", "sandbox": "none" }), &["sandbox", "read-only", "workspace-write"]),
            (json!({ "prompt": "x", "approval-policy": "maybe" }), &["approval-policy", "untrusted", "on-request"]),
            (json!({ "prompt": "x", "profile": "fast" }), &["profile", "config", "role"]),
            (json!({ "prompt": "x", "agent_id": "../../x" }), &["Session not found", "agent_id"]),
        ],
    )
    .await;
}

#[tokio::test]
async fn arguments_of_codex_reply_that_cannot_be_used_are_named_and_nothing_is_started_or_written() {
    let missing = "0190b5c4-0000-7000-8000-000000000000";
    refused(
        "codex-reply",
        &[
            (json!({ "identity": "ann" }), &["prompt", "missing"]),
            (json!({ "prompt": "x" }), &["agent_id", "identity", "threadId"]),
            (json!({ "prompt": "x", "identity": "ann", "threadId": missing }), &["exactly one"]),
            (json!({ "prompt": "x", "identity": "ann" }), &["Session not found for identity: ann", "agent_sessions"]),
            (json!({ "prompt": "x", "identity": "../../x" }), &["identity", "1 to 64"]),
            (json!({ "prompt": "x", "agent_id": missing }), &["Session not found for", missing, "agent_sessions"]),
            (json!({ "prompt": "x", "threadId": missing }), &["Session not found for", missing, "agent_sessions"]),
            (
                json!({ "prompt": "x", "conversationId": missing }),
                &["Session not found for", missing, "agent_sessions"],
            ),
            (json!({ "prompt": "x", "threadId": "a b" }), &["Session not found for thread_id: a b", "agent_sessions"]),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_tool_that_there_is_not_is_an_error_that_lists_those_there_are() {
    refused("codex_exec", &[(json!({}), &["codex_exec", "codex-reply", "agent_wait"])]).await;
    let unknown = json!({ "agent": "nobody", "text": "x" });
    refused("agent_steer", &[(unknown, &["Session not found for agent: nobody.", "agent_sessions"])]).await;
    refused("atm_read", &[(json!({ "id": "m-1" }), &["no message m-1", "atm_read with all=true"])]).await;
    refused("agent_wait", &[(json!({ "mode": "some" }), &["mode", "any", "all"])]).await;
    refused("agent_wait", &[(json!({ "timeout_ms": 600_001 }), &["timeout_ms", "600000"])]).await;
    refused("agent_read", &[(json!({}), &["agent_id", "identity", "threadId"])]).await;
}

/// The error of a request, with its code and its words.
fn assert_error(answer: &Value, code: i64, words: &[&str]) {
    assert_eq!(answer["error"]["code"], code, "{answer}");
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(words.iter().all(|word| message.contains(word)), "{answer}");
}

#[tokio::test]
async fn a_line_that_is_no_message_is_answered_with_what_it_is_and_the_next_one_works() {
    let stage = Stage::set(json!({})).await;
    let mut server = stage.server(&[]).await;
    let lines: [(&[u8], i64, &str); 6] = [
        (b"hello\n", -32700, "not JSON"),
        (b"{\"jsonrpc\":\"2.0\",\n", -32700, "not JSON"),
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"caf\xe9\"}\n", -32700, "UTF-8"),
        (b"[]\n", -32600, "JSON-RPC"),
        (b"17\n", -32600, "JSON-RPC"),
        (b"{\"jsonrpc\":\"2.0\"}\n", -32600, "JSON-RPC"),
    ];
    for (line, code, word) in lines {
        server.write(line).await;
        let shown = String::from_utf8_lossy(line);
        assert_error(&server.answer(Value::Null).await, code, &[word]);
        untouched(&stage, &mut server, &shown).await;
    }
    // What is passed over otherwise is looked at too, and whose request it is can be read.
    let call = |inside: &[u8]| {
        let head = br#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"codex","arguments":{"prompt":""#;
        [head, inside, b"\"}}}\n"].concat()
    };
    for (inside, word) in
        [(&b"\\ud800"[..], "half of a surrogate pair"), (b"\\ud800\\u0041", "surrogate"), (b"caf\xe9", "UTF-8")]
    {
        server.write(&call(inside)).await;
        assert_error(&server.answer(7).await, -32700, &[word]);
    }
    server.write(&call(b"\"}},\"also\":{\"x\":{\"y\":\"\\udc00")).await;
    assert_error(&server.answer(7).await, -32700, &["surrogate"]);
    untouched(&stage, &mut server, "half a surrogate pair").await;
    server.write(b"\n  \r\n{\"jsonrpc\":\"2.0\",\"id\":\"crlf\",\"method\":\"ping\"}\r\n").await;
    assert_eq!(server.answer("crlf").await["result"], json!({}));
    server.write(&[vec![b'x'; 65 << 20], b"\n".to_vec()].concat()).await;
    assert_error(&server.answer(Value::Null).await, -32600, &["longer than"]);
    untouched(&stage, &mut server, "a line of 65 MB").await;
    assert_eq!(server.leave().await.rest, Vec::<Value>::new());
}

#[tokio::test]
async fn a_method_that_there_is_not_and_parameters_of_the_wrong_form_are_errors_of_the_protocol() {
    let stage = Stage::set(json!({})).await;
    let mut server = stage.server(&[]).await;
    assert_error(&server.request("tools/cook", json!({})).await, -32601, &["tools/cook", "tools/call"]);
    assert_error(&server.request("tools/call", json!({})).await, -32602, &["tools/call", "name", "arguments"]);
    let wrong = json!({ "name": "codex", "arguments": "prompt" });
    let refused = server.request("tools/call", wrong).await;
    assert_error(&refused, -32602, &["tools/call", "arguments"]);
    let known = json!({ "error": "INVALID_SESSION_PARAMS", "code": -32007, "error_source": "proxy" });
    assert_eq!(refused["error"]["data"], known);
    assert_error(&server.request("tools/call", json!([1])).await, -32600, &["tools/call"]);
    server.send(&json!({ "jsonrpc": "2.0", "id": 1.5, "method": "ping" })).await;
    assert_error(&server.answer(1.5).await, -32600, &["ping"]);
    server.notify("notifications/unheard_of", json!({})).await;
    server.notify("notifications/cancelled", json!({ "requestId": 4711 })).await;
    server.send(&json!({ "jsonrpc": "2.0", "id": 99, "result": {} })).await;
    untouched(&stage, &mut server, "wrong requests").await;
    assert_eq!(server.leave().await.rest, Vec::<Value>::new());
}

#[tokio::test]
async fn what_comes_before_initialize_does_not_end_the_server() {
    let stage = Stage::set(json!({})).await;
    let mut server = Server::spawn(stage.command(&[]));
    server.notify("notifications/initialized", json!({})).await;
    server.notify("notifications/cancelled", json!({ "requestId": 1 })).await;
    server.write(b"garbage\n").await;
    assert_error(&server.answer(Value::Null).await, -32700, &["not JSON"]);
    assert_eq!(server.request("ping", json!({})).await["result"], json!({}));
    let hello = server.hello().await;
    assert_eq!(hello["result"]["serverInfo"]["name"], "atm-agent-mcp", "{hello}");
    untouched(&stage, &mut server, "before initialize").await;
}

#[tokio::test]
async fn a_second_initialize_is_answered_and_the_session_goes_on() {
    let stage = Stage::set(json!({})).await;
    let mut server = stage.server(&[]).await;
    let again = server.hello().await;
    assert!(again.get("result").is_some() || again.get("error").is_some(), "{again}");
    untouched(&stage, &mut server, "a second initialize").await;
    assert_eq!(server.done("codex", json!({ "prompt": "go" })).await["content"], "done");
}

#[tokio::test]
async fn a_relative_cwd_begins_at_the_servers_own_directory_and_agent_file_at_cwd() {
    let stage = Stage::set(json!({})).await;
    let sub = stage.project().join("sub");
    std::fs::create_dir(&sub).unwrap();
    std::fs::write(sub.join("task.md"), "mow the lawn").unwrap();
    let mut server = stage.server(&[]).await;
    server.done("codex", json!({ "agent_file": "task.md", "cwd": "./sub" })).await;
    let mut codex = stage.codex().await;
    assert_eq!(codex.got("thread/start").await["cwd"], json!(sub));
    assert_eq!(codex.got("turn/start").await["input"][0]["text"], "mow the lawn");
}

#[tokio::test]
async fn a_relative_cwd_begins_at_the_clients_root_if_it_has_one() {
    let stage = Stage::set(json!({})).await;
    let root = stage.project().join("my root");
    std::fs::create_dir_all(root.join("sub")).unwrap();
    let mut server = Server::spawn(stage.command(&[]));
    server.hello_with(json!({ "roots": {} })).await;
    let call = server.begin("codex", json!({ "prompt": "x", "cwd": "sub" })).await;
    let asked = server.asked("roots/list").await;
    let uri = format!("file://{}", root.to_str().unwrap().replace(' ', "%20"));
    let roots = json!({ "roots": [{ "uri": uri, "name": "root" }] });
    server.send(&json!({ "jsonrpc": "2.0", "id": asked["id"], "result": roots })).await;
    assert_eq!(server.result(call).await["isError"], false);
    assert_eq!(stage.codex().await.got("thread/start").await["cwd"], json!(root.join("sub")));
}

#[tokio::test]
async fn on_failure_is_taken_as_on_request_and_the_result_says_so() {
    let stage = Stage::set(json!({})).await;
    let mut server = stage.server(&[]).await;
    let result = server.done("codex", json!({ "prompt": "x", "approval-policy": "on-failure" })).await;
    assert_eq!(stage.codex().await.got("thread/start").await["approvalPolicy"], "on-request");
    assert!(result["notes"][0].as_str().unwrap().contains("on-failure"), "{result}");
}

#[tokio::test]
async fn requests_in_one_write_and_requests_byte_by_byte_are_the_same_requests() {
    let stage = Stage::set(json!({})).await;
    let mut server = stage.server(&[]).await;
    let request =
        |id: u64| format!("{}\n", json!({ "jsonrpc": "2.0", "id": id, "method": "tools/list", "params": {} }));
    server.write((1..=50).map(request).collect::<String>().as_bytes()).await;
    let first = server.answer(1).await;
    for id in 2..=50 {
        assert_eq!(server.answer(id).await["result"], first["result"]);
    }
    for byte in request(51).bytes() {
        server.write(&[byte]).await;
    }
    assert_eq!(server.answer(51).await["result"], first["result"]);
    assert_eq!(server.leave().await.rest, Vec::<Value>::new());
}
