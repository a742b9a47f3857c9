//! stdout is the protocol's.

use serde_json::json;

use crate::stage::Stage;

fn noisy(without_listen: bool) -> serde_json::Value {
    let turn = json!([
        "started",
        { "raw": "\u{1b}[31mERROR\u{1b}[0m not a message" },
        { "raw": "{\"method\":" },
        { "raw": "null" },
        { "notify": [3, "thread/unheardOf", { "x": "\u{1b}[1m" }] },
        { "notify": [1, "turn/completed", { "turn": "of an unknown form" }] },
        { "say": "done" }
    ]);
    json!({
        "without_listen": without_listen,
        "prints": ["\u{1b}[33m WARN\u{1b}[0m plugins: \u{1b}[1mslow\u{1b}[0m", "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}"],
        "noise": ["", "\u{1b}[2Kgarbage", "[]", "{}", "{\"id\":4711,\"result\":1}", "{\"id\":\"x\",\"result\":1}"],
        "turns": [turn],
    })
}

/// The harness reads every line of stdout as JSON-RPC, so a foreign byte fails the test.
async fn nothing_but_messages(without_listen: bool) {
    let stage = Stage::set(noisy(without_listen)).await;
    let mut command = stage.command(&[]);
    command.env("ATM_LOG", "trace").env("RUST_LOG", "trace");
    let mut server = crate::server::Server::open(command).await;
    assert_eq!(server.done("codex", json!({ "prompt": "x" })).await["content"], "done");
    assert_eq!(server.done("codex-reply", json!({ "prompt": "x", "identity": "codex" })).await["content"], "done");
    server.fails("codex", json!({})).await;
    let left = server.leave().await;
    assert_eq!(left.rest, Vec::<serde_json::Value>::new());
    assert!(left.status.success(), "{}", left.stderr);
    assert!(left.stderr.contains("slow"), "the log is on stderr: {}", left.stderr);
    assert!(!left.stderr.contains('\u{1b}'), "without colours where nobody looks: {}", left.stderr);
}

#[tokio::test]
async fn stdout_holds_nothing_but_messages_whatever_codex_says_on_its_pipes() {
    nothing_but_messages(true).await;
}

#[cfg(unix)]
#[tokio::test]
async fn stdout_holds_nothing_but_messages_whatever_codex_says_on_its_socket() {
    nothing_but_messages(false).await;
}
