//! An interactive Claude Code in a real terminal, with a team of its session, and our agents in it.

use std::path::Path;
use std::time::Duration;

use atm_agent_mcp::demo::model::{Gate, Reply, Request, spoken};
use serde_json::{Value, json};

use crate::claude::{claude_code, teams};
use crate::claude_api::{ClaudeApi, LAST_WORD, Step};
use crate::stage::{self, Scene, Stage};
use crate::terminal::Terminal;

const CODEX: &str = "0.169.0";
const KEY: &str = "sk-ant-dummy";
/// After so long a key counts as one of its own.
const KEY_APART: Duration = Duration::from_secs(2);

/// Claude Code has been used here before: it asks nothing at its start.
fn known(scene: &Scene) {
    let dir = scene.home().join(".claude");
    std::fs::create_dir_all(&dir).unwrap();
    let project = scene.project().canonicalize().unwrap().display().to_string();
    let noted = json!({
        "hasCompletedOnboarding": true,
        "theme": "dark",
        "customApiKeyResponses": { "approved": [KEY], "rejected": [] },
        "projects": { project: { "hasTrustDialogAccepted": true, "hasCompletedProjectOnboarding": true } },
    });
    std::fs::write(dir.join(".claude.json"), noted.to_string()).unwrap();
    let server = json!({"command": env!("CARGO_BIN_EXE_atm-agent-mcp"), "args": ["serve", "--team", "tests"]});
    std::fs::write(scene.home().join("mcp.json"), json!({"mcpServers": {"atm": server}}).to_string()).unwrap();
}

async fn interactive(scene: &Scene, api: &ClaudeApi) -> Terminal {
    known(scene);
    let mut tmux = scene.as_claude(Path::new("tmux"), api);
    tmux.env("CLAUDE_CODE_EXPERIMENTAL_AGENT_TEAMS", "1");
    let servers = scene.home().join("mcp.json");
    let line = format!(
        "{} --permission-mode acceptEdits --strict-mcp-config --allowedTools mcp__atm,SendMessage --mcp-config {}",
        claude_code().display(),
        servers.display()
    );
    Terminal::open(tmux, (120, 40), &line).await
}

/// The model of an agent that answers mail; the gate is reached when its answer is sent.
fn agent(answered: &Gate) -> impl Fn(&Request) -> Reply + Send + Sync + use<> {
    let answered = answered.clone();
    move |request: &Request| match request.last_user_text() {
        _ if request.last_item_is_output() => Reply::say("answered").after(&answered),
        mail if mail.contains("atm-letter") => {
            Reply::call("atm.send", json!({"to": "team-lead", "message": "they are green"}))
        }
        _ => spoken(request),
    }
}

fn selected(tools: &str) -> Step {
    Step::call("ToolSearch", json!({"query": format!("select:{tools}")}))
}

/// Types what has the model begin its steps.
async fn begin(terminal: &Terminal) {
    terminal.shows("accept edits on").await;
    terminal.types("take the steps").await;
    terminal.press(&["Enter"]).await;
}

async fn leave(terminal: &Terminal) {
    terminal.types("/exit").await;
    terminal.press(&["Enter"]).await;
    terminal.shows("ended with 0").await;
}

#[tokio::test]
async fn an_agent_is_a_member_of_the_sessions_team_is_written_to_by_claude_and_outlives_it() {
    stage::play(CODEX, async |stage: Stage| {
        let answered = Gate::new();
        answered.open();
        let scene = stage.with(agent(&answered)).await;
        let api = ClaudeApi::start(vec![
            selected("mcp__atm__codex,SendMessage"),
            Step::call("mcp__atm__codex", json!({"identity": "ana", "prompt": "SAY hello from codex"})),
            Step::call("SendMessage", json!({"to": "ana", "summary": "tests", "message": "are the tests green?"})),
        ])
        .await;
        let terminal = interactive(&scene, &api).await;
        begin(&terminal).await;
        answered.reached().await;
        let all = teams(&scene);
        let session = all.iter().find(|team| team.starts_with("session-")).expect("a team of the session");
        let dir = scene.home().join(".claude/teams").join(session);
        let roster: Value = serde_json::from_slice(&std::fs::read(dir.join("config.json")).unwrap()).unwrap();
        let ana = roster["members"].as_array().unwrap().iter().find(|member| member["name"] == "ana");
        assert!(ana.is_some_and(|ana| ana["atm"]["team"] == "tests"), "{roster}");
        let letters = scene.asked_last().texts("user").into_iter().filter(|text| text.contains("are the tests green?"));
        let letters: Vec<String> = letters.collect();
        assert!(letters.len() == 1 && letters[0].contains(&format!("team=\"{session}\"")), "{letters:?}");
        // Claude Code reads the mail of its lead only if it has started a teammate itself.
        let mail: Value = serde_json::from_slice(&std::fs::read(dir.join("inboxes/team-lead.json")).unwrap()).unwrap();
        let answer = mail.as_array().unwrap().iter().find(|mail| mail["text"] == "they are green");
        assert_eq!(answer.map(|answer| (&answer["from"], &answer["read"])), Some((&json!("ana"), &json!(false))));
        terminal.shows("(atm/codex) completed.").await;
        leave(&terminal).await;
        assert_eq!((teams(&scene), scene.codexes()), (vec!["tests".to_owned()], Vec::new()));
        let server = scene.serve(&[]).await;
        let again = server.call("codex-reply", json!({"identity": "ana", "prompt": "SAY still here"})).await.good();
        assert_eq!(again.text("content"), "still here");
        scene.end(server).await;
    })
    .await;
}

#[tokio::test]
async fn its_user_decides_by_the_form_of_a_task_and_its_model_is_woken_by_the_end() {
    stage::play(CODEX, async |stage: Stage| {
        let scene = stage.plain().await;
        let touch = json!({
            "identity": "ana", "prompt": "RUN touch made", "approval-policy": "untrusted", "sandbox": "workspace-write",
        });
        let api = ClaudeApi::start(vec![selected("mcp__atm__codex"), Step::call("mcp__atm__codex", touch)]).await;
        let terminal = interactive(&scene, &api).await;
        begin(&terminal).await;
        let form = terminal.shows("requests your input").await;
        assert!(form.contains("ana asks to run") && form.contains("touch made"), "{form}");
        for (key, then) in
            [("Right", "◯ Yes, this once"), ("Enter", "✔ Decision: Yes, this once"), ("Down", "❯ Accept")]
        {
            terminal.press(&[key]).await;
            terminal.shows(then).await;
        }
        assert!(!scene.project().join("made").exists());
        // It passes over keys that come fast one after the other (2.1.330).
        loop {
            terminal.press(&["Enter"]).await;
            let is_gone = terminal.looks(async |screen| !screen.contains("❯ Accept"));
            if tokio::time::timeout(KEY_APART, is_gone).await.is_ok() {
                break;
            }
        }
        terminal.shows("(atm/codex) completed.").await;
        assert!(scene.project().join("made").exists());
        let woken = terminal
            .looks(async |_| api.asked().iter().any(|asked| asked.conversation().contains("task-notification")))
            .await;
        woken.unwrap();
        leave(&terminal).await;
    })
    .await;
}

#[tokio::test]
async fn the_end_of_a_background_turn_wakes_an_idle_session_by_its_socket() {
    stage::play(CODEX, async |stage: Stage| {
        let (scene, [gate]) = stage.with_gates(["ana"]).await;
        std::fs::write(scene.project().join(".atm.toml"), "[plugins.atm-agent-mcp]\ninbox_socket = true\n").unwrap();
        let work = json!({"identity": "ana", "prompt": "HOLD ana", "background": true});
        let api = ClaudeApi::start(vec![selected("mcp__atm__codex"), Step::call("mcp__atm__codex", work)]).await;
        let terminal = interactive(&scene, &api).await;
        begin(&terminal).await;
        gate.reached().await;
        terminal.shows(LAST_WORD).await;
        gate.open();
        terminal.shows("Your agent ana has completed its background turn.").await;
        let is_told = |text: &str| api.asked().iter().any(|asked| asked.conversation().contains(text));
        let told = terminal.looks(async |_| is_told("Its answer: ana is done")).await;
        told.expect("its model is asked because of it");
        let mail = scene.home().join(".claude/teams/tests/inboxes/team-lead.json");
        assert!(!mail.exists(), "and not by mail too");
        leave(&terminal).await;
    })
    .await;
}
