//! The real Claude Code client, headless and offline: its model is a script on loopback, as Codex's is.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::stage::{Scene, Stage};

const CLAUDE: &str = "2.1.330";

on_each_codex! {
    claude_code_connects_starts_an_agent_writes_to_it_and_reads_its_answer,
}

/// The part of the Anthropic Messages API that `claude -p` needs: it asks for each of these tools once, then says that it is
/// done.
struct Api {
    url: String,
    _tasks: JoinSet<()>,
}

impl Api {
    async fn start(calls: Vec<(&'static str, Value)>) -> Api {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let calls = Arc::new(calls);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let calls = calls.clone();
                let service = service_fn(move |request| answer(request, calls.clone()));
                connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Api { url, _tasks: tasks }
    }
}

async fn answer(
    request: hyper::Request<Incoming>,
    calls: Arc<Vec<(&'static str, Value)>>,
) -> Result<hyper::Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    if asked["stream"] != true {
        return Ok(hyper::Response::new(Full::from(r#"{"input_tokens":1}"#)));
    }
    let messages = asked["messages"].as_array().into_iter().flatten();
    let blocks = messages.flat_map(|message| message["content"].as_array().into_iter().flatten());
    let step = blocks.filter(|block| block["type"] == "tool_result").count();
    let (block, delta, stop) = match calls.get(step) {
        Some((name, input)) => (
            json!({"type": "tool_use", "id": format!("toolu_{step}"), "name": name, "input": {}}),
            json!({"type": "input_json_delta", "partial_json": input.to_string()}),
            "tool_use",
        ),
        None => (json!({"type": "text", "text": ""}), json!({"type": "text_delta", "text": "all done"}), "end_turn"),
    };
    let usage = json!({"input_tokens": 1, "output_tokens": 1});
    let message = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": asked["model"], "content": [], "usage": usage,
        "stop_reason": null, "stop_sequence": null,
    });
    let events = [
        json!({"type": "message_start", "message": message}),
        json!({"type": "content_block_start", "index": 0, "content_block": block}),
        json!({"type": "content_block_delta", "index": 0, "delta": delta}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": stop, "stop_sequence": null}, "usage": usage}),
        json!({"type": "message_stop"}),
    ];
    let text: String =
        events.iter().map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap())).collect();
    let response = hyper::Response::builder().header("content-type", "text/event-stream").body(Full::from(text));
    Ok(response.unwrap())
}

fn claude() -> PathBuf {
    let here = || {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("target/claude-code").join(CLAUDE).join("node_modules/.bin/claude")
    };
    let claude = std::env::var_os("ATM_TEST_CLAUDE").map_or_else(here, PathBuf::from);
    assert!(claude.exists(), "{} is not there; `cargo xtask test` installs it and runs the tests", claude.display());
    claude
}

impl Scene {
    /// `claude -p` in this world, with our server and this model, and without anything of the user's.
    fn claude(&self, api: &Api) -> Command {
        let ours = self.command(&[]);
        let ours = ours.as_std();
        let text = |text: &std::ffi::OsStr| text.to_str().unwrap().to_owned();
        let env: BTreeMap<String, String> =
            ours.get_envs().filter_map(|(name, value)| Some((text(name), text(value?)))).collect();
        let args: Vec<String> = ours.get_args().map(text).collect();
        let server = json!({"type": "stdio", "command": text(ours.get_program()), "args": args, "env": env});
        let config = self.home().join("mcp.json");
        std::fs::write(&config, json!({"mcpServers": {"codex": server}}).to_string()).unwrap();
        let mut claude = Command::new(claude());
        claude.args(["-p", "go", "--output-format", "json", "--strict-mcp-config", "--mcp-config"]).arg(config);
        claude.args([
            "--allowedTools",
            "mcp__codex__codex mcp__codex__atm_send mcp__codex__atm_read mcp__codex__agent_wait",
        ]);
        claude.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", self.home());
        claude.env("ANTHROPIC_BASE_URL", &api.url).env("ANTHROPIC_API_KEY", "sk-ant-dummy");
        for off in [
            "DISABLE_TELEMETRY",
            "DISABLE_ERROR_REPORTING",
            "DISABLE_AUTOUPDATER",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
        ] {
            claude.env(off, "1");
        }
        claude.current_dir(self.project()).stdin(Stdio::null()).kill_on_drop(true);
        claude
    }
}

async fn claude_code_connects_starts_an_agent_writes_to_it_and_reads_its_answer(stage: Stage) {
    let scene = stage.with(crate::post::correspondent(false)).await;
    let tell = "TELL team-lead the tests pass";
    let api = Api::start(vec![
        ("mcp__codex__codex", json!({"identity": "ana", "prompt": "hello"})),
        ("mcp__codex__codex", json!({"identity": "ben", "prompt": tell})),
        ("mcp__codex__atm_send", json!({"to": "ana", "message": "look at the schema"})),
        ("mcp__codex__atm_read", json!({})),
    ])
    .await;
    let output = scene.claude(&api).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let result: Value = serde_json::from_str(&said).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!((&result["result"], &result["is_error"]), (&json!("all done"), &json!(false)), "{said}");
    // What it was told of its calls stands in its transcript.
    let transcripts = scene.home().join(".claude/projects");
    let transcript: String = std::fs::read_dir(transcripts)
        .unwrap()
        .flat_map(|project| std::fs::read_dir(project.unwrap().path()).unwrap())
        .filter_map(|file| std::fs::read_to_string(file.unwrap().path()).ok())
        .collect();
    for told in ["Sent to team-lead", "Sent to ana", "the tests pass"] {
        assert!(transcript.contains(told), "{told} in {transcript}");
    }
    assert_eq!(scene.inbox("tests", "ana")[0].from, "team-lead");
    let mail = scene.inbox("tests", "team-lead");
    assert_eq!((mail[0].from.as_str(), mail[0].text.as_str()), ("ben", "the tests pass"));
    // A headless session has no team, and none is made for it.
    let teams = std::fs::read_dir(scene.home().join(".claude/teams")).unwrap().map(|team| team.unwrap().file_name());
    assert_eq!(teams.collect::<Vec<_>>(), ["tests"]);
}
