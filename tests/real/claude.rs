//! The client that most users have: Claude Code, headless, its model a script on loopback, with our program and a real Codex.
//!
//! With the variables set here it speaks to that script and to nobody else (2.1.330, by strace). It speaks the protocol
//! of 2026-07-28, or an older one where it is told to; it hides the tools of servers behind its own `ToolSearch`, and
//! shows its model the structure of a result instead of its text.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Output;

use atm_agent_mcp::demo::model::{Gate, Reply, Request, spoken};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::claude_api::{ClaudeApi, LAST_WORD, Step};
use crate::stage::{self, Scene, Stage};

const CLAUDE_CODE: &str = "2.1.330";
const CODEX: &str = "0.169.0";

const BIN: &str = env!("CARGO_BIN_EXE_atm-agent-mcp");

/// What `cargo xtask test` has installed: where it says, or where it does so by default.
pub(crate) fn claude_code() -> PathBuf {
    let here = || {
        let version = Path::new(env!("CARGO_MANIFEST_DIR")).join("target").join("claude-code").join(CLAUDE_CODE);
        version.join("node_modules").join(".bin").join("claude")
    };
    let path = env::var_os("ATM_TEST_CLAUDE_CODE").map_or_else(here, PathBuf::from);
    assert!(path.exists(), "{} is not there; `cargo xtask test` installs it and runs the tests", path.display());
    path
}

impl Scene {
    /// Claude Code, with all of its files in this world and nobody to talk to but `api`.
    pub(crate) fn claude(&self, api: &ClaudeApi) -> Command {
        self.as_claude(&claude_code(), api)
    }

    /// A program that starts it: with its directory and its environment.
    pub(crate) fn as_claude(&self, program: &Path, api: &ClaudeApi) -> Command {
        let mut command = self.foreign(program);
        // Its socket, and the notes of its children.
        let temp = self.home().join("tmp");
        std::fs::create_dir_all(&temp).unwrap();
        command.env("CLAUDE_CONFIG_DIR", self.home().join(".claude")).env("CLAUDE_CODE_TMPDIR", temp);
        command.env("ANTHROPIC_BASE_URL", api.base_url()).env("ANTHROPIC_API_KEY", "sk-ant-dummy");
        for off in [
            "DISABLE_TELEMETRY",
            "DISABLE_ERROR_REPORTING",
            "DISABLE_AUTOUPDATER",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
        ] {
            command.env(off, "1");
        }
        command.stdin(std::process::Stdio::null());
        command
    }
}

/// What it printed; it has not failed.
pub(crate) fn printed(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn claude_code_says_that_it_is_connected() {
    stage::play(CODEX, async |stage: Stage| {
        let scene = stage.plain().await;
        let api = ClaudeApi::start(Vec::new()).await;
        let add = ["mcp", "add", "--scope", "user", "atm", "--", BIN, "serve"];
        printed(scene.claude(&api).args(add).output().await.unwrap());
        let listed = printed(scene.claude(&api).args(["mcp", "list"]).output().await.unwrap());
        assert!(listed.lines().any(|line| line.starts_with("atm: ") && line.ends_with(" Connected")), "{listed}");
        assert_eq!(teams(&scene), Vec::<String>::new());
    })
    .await;
}

#[tokio::test]
async fn claude_code_starts_an_agent_writes_to_it_and_reads_its_answer() {
    stage::play(CODEX, |stage| correspondence(stage, "auto", "modern")).await;
}

#[tokio::test]
async fn claude_code_does_so_in_the_older_protocol_too() {
    stage::play(CODEX, |stage| correspondence(stage, "legacy", "legacy")).await;
}

async fn correspondence(stage: Stage, negotiation: &str, era: &str) {
    let answered = Gate::new();
    answered.open();
    let scene = stage.with(agent(&answered)).await;
    let api = ClaudeApi::start(vec![
        Step::call("ToolSearch", json!({"query": "select:mcp__atm__codex,mcp__atm__atm_send,mcp__atm__atm_read"})),
        Step::call("mcp__atm__codex", json!({"identity": "ana", "prompt": "SAY hello from codex"})),
        Step::call("mcp__atm__atm_send", json!({"to": "ana", "message": "are the tests green?"})),
        Step::call("mcp__atm__atm_read", json!({})).once(&answered),
    ])
    .await;
    let said = converse(&scene, &api, negotiation).await;
    assert_eq!((&said["result"], &said["permission_denials"]), (&json!(LAST_WORD), &json!([])), "{said}");

    // Its model was told what the server is for, and of the tools by name.
    let asked = api.asked();
    let first = asked.first().unwrap().conversation();
    assert!(first.contains("Runs a team of OpenAI Codex agents.") && first.contains("mcp__atm__atm_send"), "{first}");
    let results = asked.last().unwrap().results();
    let [_, started, sent, read] = &results[..] else { panic!("{results:?}") };
    let [started, sent, read] = [started, sent, read].map(|text| serde_json::from_str::<Value>(text).unwrap());
    assert_eq!(started["content"], "hello from codex", "{started}");
    assert_eq!(sent["recipient"], "running here", "{sent}");
    let mail = read["messages"].as_array().unwrap();
    let answer = mail.iter().find(|mail| mail["text"] == "they are green");
    assert_eq!(answer.map(|answer| &answer["from"]), Some(&json!("ana")), "{read}");

    // The agent was asked, by the lead and once.
    let letters = scene.asked_last().texts("user").into_iter().filter(|text| text.contains("are the tests green?"));
    let letters: Vec<String> = letters.collect();
    assert!(letters.len() == 1 && letters[0].contains("from=\"team-lead\""), "{letters:?}");

    // The server knew the session, and made no team of its name: headless, Claude Code has none.
    let environment = std::fs::read_to_string(environment(&scene)).unwrap();
    let session = format!("CLAUDE_CODE_SESSION_ID={}", said["session_id"].as_str().unwrap());
    assert!(environment.lines().any(|line| line == session), "{environment}");
    assert_eq!(teams(&scene), ["tests"]);
    assert!(noted(&scene).contains(&format!("\\\"protocolEra\\\":\\\"{era}\\\"")), "{}", noted(&scene));
    assert_eq!(scene.codexes(), Vec::<String>::new(), "a Codex that outlives its client");
}

#[tokio::test]
async fn claude_codes_user_decides_by_its_form() {
    stage::play(CODEX, |stage| decided(stage, "auto")).await;
}

#[tokio::test]
async fn claude_codes_user_decides_by_its_form_in_the_older_protocol_too() {
    stage::play(CODEX, |stage| decided(stage, "legacy")).await;
}

/// A hook of the settings stands for the user: it fills in the form.
async fn decided(stage: Stage, negotiation: &str) {
    let scene = stage.plain().await;
    let accept = json!({"hookSpecificOutput": {"hookEventName": "Elicitation", "action": "accept", "content": {"decision": "accept"}}});
    let answer = scene.home().join("answer.json");
    std::fs::write(&answer, accept.to_string()).unwrap();
    let hook = json!({"type": "command", "command": format!("cat {}", answer.display())});
    let settings = json!({"hooks": {"Elicitation": [{"hooks": [hook]}]}});
    std::fs::create_dir_all(scene.home().join(".claude")).unwrap();
    std::fs::write(scene.home().join(".claude/settings.json"), settings.to_string()).unwrap();
    let result = asks_once(&scene, negotiation).await;
    assert_eq!(result["status"], "completed", "{result}");
    assert!(scene.project().join("made").exists());
}

#[tokio::test]
async fn a_headless_claude_code_is_told_what_to_decide_instead_of_waiting_for_nobody() {
    stage::play(CODEX, async |stage: Stage| {
        for negotiation in ["auto", "legacy"] {
            let scene = stage.again().plain().await;
            let result = asks_once(&scene, negotiation).await;
            assert_eq!(result["status"], "awaiting_approval", "{negotiation}: {result}");
            assert!(result["content"].as_str().unwrap().contains("agent_approve"), "{result}");
            assert!(!scene.project().join("made").exists());
        }
    })
    .await;
}

/// Has Claude Code start an agent that asks for a command; what its model is told of it.
async fn asks_once(scene: &Scene, negotiation: &str) -> Value {
    let touch = json!({"identity": "ana", "prompt": "RUN touch made", "approval-policy": "untrusted", "sandbox": "workspace-write"});
    let steps = vec![
        Step::call("ToolSearch", json!({"query": "select:mcp__atm__codex"})),
        Step::call("mcp__atm__codex", touch),
    ];
    let api = ClaudeApi::start(steps).await;
    converse(scene, &api, negotiation).await;
    let results = api.asked().last().unwrap().results();
    serde_json::from_str(results.last().unwrap()).unwrap()
}

/// The model of an agent that answers mail; the gate is reached when its answer is sent.
fn agent(answered: &Gate) -> impl Fn(&Request) -> Reply + Send + Sync + use<> {
    let answered = answered.clone();
    move |request: &Request| {
        if request.last_item_is_output() {
            return Reply::say("answered").after(&answered);
        }
        match request.last_user_text() {
            mail if mail.contains("atm-letter") => {
                Reply::call("atm.send", json!({"to": "team-lead", "message": "they are green"}))
            }
            _ => spoken(request),
        }
    }
}

/// Has Claude Code take all the steps of its model, and answers with what it says at the end.
async fn converse(scene: &Scene, api: &ClaudeApi, negotiation: &str) -> Value {
    let servers = scene.home().join("mcp.json");
    let serve = "env > \"$1\"; exec \"$0\" serve --team tests";
    let server = json!({"command": "/bin/sh", "args": ["-c", serve, BIN, environment(scene)]});
    std::fs::write(&servers, json!({"mcpServers": {"atm": server}}).to_string()).unwrap();
    let mut claude = scene.claude(api);
    claude.env("MCP_PROTOCOL_NEGOTIATION", negotiation);
    claude.args(["-p", "take the steps", "--output-format", "json", "--strict-mcp-config"]);
    claude.args(["--allowedTools", "mcp__atm", "--mcp-config"]).arg(servers);
    serde_json::from_str(&printed(claude.output().await.unwrap())).unwrap()
}

/// Where the environment that the server was started with is written down.
fn environment(scene: &Scene) -> PathBuf {
    scene.home().join("environment")
}

/// The teams that have a directory.
pub(crate) fn teams(scene: &Scene) -> Vec<String> {
    let all = std::fs::read_dir(scene.home().join(".claude").join("teams")).into_iter().flatten().flatten();
    all.map(|team| team.file_name().to_string_lossy().into_owned()).collect()
}

/// What Claude Code has noted of our server, in the one place where it does so.
fn noted(scene: &Scene) -> String {
    let all = std::fs::read_dir(scene.home().join(".cache/claude-cli-nodejs")).unwrap();
    let dirs = all.flatten().filter_map(|project| std::fs::read_dir(project.path().join("mcp-logs-atm")).ok());
    dirs.flatten().flatten().map(|log| std::fs::read_to_string(log.path()).unwrap()).collect()
}
