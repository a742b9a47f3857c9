//! `setup` with the real Claude Code: what it is told, what it then has, and what is taken back.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::{Value, json};

use crate::claude::{claude_code, printed};
use crate::claude_api::ClaudeApi;
use crate::stage::{self, Scene, Stage};
use crate::terminal::Terminal;

const CODEX: &str = "0.169.0";
const BIN: &str = env!("CARGO_BIN_EXE_atm-agent-mcp");

/// A world with Claude Code and our program on its `PATH`.
struct Desk {
    scene: Scene,
    api: ClaudeApi,
    path: std::ffi::OsString,
}

impl Desk {
    async fn of(stage: Stage) -> Desk {
        let scene = stage.plain().await;
        let dirs = [claude_code(), BIN.into()].map(|program| program.parent().unwrap().to_owned());
        let others = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(dirs.into_iter().chain(std::env::split_paths(&others))).unwrap();
        Desk { scene, api: ClaudeApi::start(Vec::new()).await, path }
    }

    async fn setup(&self, args: &[&str]) -> Output {
        self.setup_in(&self.scene.project(), args).await
    }

    async fn setup_in(&self, directory: &Path, args: &[&str]) -> Output {
        let mut command = self.scene.program(&[&["setup"], args].concat());
        // Claude Code, which it starts, is to speak to nobody here either.
        let claude = self.scene.claude(&self.api);
        command.envs(claude.as_std().get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.env("PATH", &self.path).env_remove("XDG_CONFIG_HOME").stdin(std::process::Stdio::null());
        command.current_dir(directory);
        command.output().await.unwrap()
    }

    async fn claude(&self, args: &[&str]) -> Output {
        self.scene.claude(&self.api).env("PATH", &self.path).args(args).output().await.unwrap()
    }

    async fn has(&self, name: &str) -> String {
        printed(self.claude(&["mcp", "get", name]).await)
    }

    /// Claude Code's settings, where `CLAUDE_CONFIG_DIR` says.
    fn settings(&self) -> PathBuf {
        self.scene.home().join(".claude").join(".claude.json")
    }

    fn servers(&self) -> Value {
        let settings = json_of(&self.settings());
        let project = settings["projects"].as_object().and_then(|projects| projects.values().next());
        let local = project.map(|project| project["mcpServers"].clone()).unwrap_or_default();
        json!({"user": settings["mcpServers"], "local": local})
    }
}

fn json_of(file: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

#[tokio::test]
async fn setup_registers_with_claude_code_in_each_scope_and_takes_it_back() {
    stage::play(CODEX, async |stage: Stage| {
        for (scope, words) in [("user", "User config"), ("local", "Local config"), ("project", "Project config")] {
            let desk = Desk::of(stage.again()).await;
            let would = printed(desk.setup(&["--scope", scope]).await);
            let command = format!("claude mcp add --scope {scope} codex -- atm-agent-mcp serve");
            assert!(would.contains(&command), "{would}");
            assert!(!desk.settings().exists(), "nothing was done");
            printed(desk.setup(&["--scope", scope, "--yes"]).await);
            let has = desk.has("codex").await;
            assert!(has.contains(words) && has.contains("Command: atm-agent-mcp\n  Args: serve\n"), "{has}");
            // A server that a project brings along is started when the user has agreed to it.
            assert!(has.contains("Connected") || scope == "project", "{has}");
            let again = printed(desk.setup(&["--scope", scope, "--yes"]).await);
            assert!(again.starts_with("Nothing to do."), "{again}");
            let back = printed(desk.setup(&["--undo", "--yes"]).await);
            assert!(back.starts_with("taken back: "), "{back}");
            let gone = desk.claude(&["mcp", "get", "codex"]).await;
            assert!(!gone.status.success(), "{gone:?}");
            assert!(!desk.scene.project().join(".mcp.json").exists());
        }
    })
    .await;
}

#[tokio::test]
async fn what_claude_code_was_told_of_the_lost_server_becomes_ours_and_is_the_users_again() {
    stage::play(CODEX, async |stage: Stage| {
        let desk = Desk::of(stage).await;
        let lost = ["codex", "mcp-server", "-c", "model=\"gpt-5\""];
        let user = ["mcp", "add", "--scope", "user", "helper", "-e", "KEY=value", "--"];
        printed(desk.claude(&[&user[..], &lost].concat()).await);
        printed(desk.claude(&[&["mcp", "add", "--scope", "local", "here", "--"][..], &lost[..2]].concat()).await);
        let before = desk.servers();
        printed(desk.setup(&["--yes"]).await);
        let has = desk.has("helper").await;
        assert!(has.contains("Connected") && has.contains("Args: serve --model gpt-5\n"), "{has}");
        assert!(has.contains("KEY=value"), "{has}");
        assert!(desk.has("here").await.contains("Connected"));
        let mut expected = before.clone();
        for (holder, name) in [("user", "helper"), ("local", "here")] {
            expected[holder][name]["command"] = json!("atm-agent-mcp");
        }
        expected["user"]["helper"]["args"] = json!(["serve", "--model", "gpt-5"]);
        expected["local"]["here"]["args"] = json!(["serve"]);
        assert_eq!(desk.servers(), expected);
        printed(desk.setup(&["--undo", "--yes"]).await);
        assert_eq!(desk.servers(), before);
    })
    .await;
}

#[tokio::test]
async fn setup_and_claude_code_change_the_same_settings_and_lose_nothing_of_each_others() {
    stage::play(CODEX, async |stage: Stage| {
        let desk = Desk::of(stage).await;
        printed(desk.claude(&["mcp", "add", "--scope", "user", "old", "--", "codex", "mcp-server"]).await);
        for round in ["a", "b", "c"] {
            let add = ["mcp", "add", "--scope", "user", round, "--", "true"];
            let (setup, claude) = tokio::join!(desk.setup(&["--yes"]), desk.claude(&add));
            printed(setup);
            printed(claude);
            let servers = desk.servers();
            assert_eq!(servers["user"]["old"]["command"], "atm-agent-mcp", "{servers}");
            assert_eq!(servers["user"][round]["command"], "true", "{servers}");
            printed(desk.setup(&["--undo", "--yes"]).await);
        }
    })
    .await;
}

#[tokio::test]
async fn in_a_linked_worktree_it_is_registered_for_the_repository_as_claude_code_does() {
    stage::play(CODEX, async |stage: Stage| {
        let desk = Desk::of(stage).await;
        let linked = desk.scene.home().join("linked");
        let identity = ["-c", "user.name=u", "-c", "user.email=u@localhost"];
        let commit = ["commit", "--quiet", "--allow-empty", "-m", "first"];
        for args in [
            &["init", "--quiet"][..],
            &[&identity[..], &commit].concat(),
            &["worktree", "add", linked.to_str().unwrap()],
        ] {
            printed(desk.scene.foreign(Path::new("git")).args(args).output().await.unwrap());
        }
        printed(desk.setup_in(&linked, &["--scope", "local", "--yes"]).await);
        assert_eq!(desk.servers()["local"]["codex"]["command"], "atm-agent-mcp");
        let again = printed(desk.setup_in(&linked, &["--yes"]).await);
        assert!(again.starts_with("Nothing to do."), "{again}");
        printed(desk.setup_in(&linked, &["--undo", "--yes"]).await);
        assert_eq!(desk.servers()["local"], json!({}));
    })
    .await;
}

#[tokio::test]
async fn what_the_user_has_changed_in_claude_code_since_is_left() {
    stage::play(CODEX, async |stage: Stage| {
        let desk = Desk::of(stage).await;
        let remove = ["mcp", "remove", "--scope", "user", "codex"];
        let ours = ["-e", "KEY=value", "--", "atm-agent-mcp", "serve"];
        for theirs in [&["--", "mine"][..], &ours] {
            printed(desk.setup(&["--yes"]).await);
            printed(desk.claude(&remove).await);
            printed(desk.claude(&[&["mcp", "add", "--scope", "user", "codex"], theirs].concat()).await);
            let before = desk.servers();
            let back = desk.setup(&["--undo", "--yes"]).await;
            assert_eq!(back.status.code(), Some(1), "{back:?}");
            assert!(back.stdout.starts_with(b"left, for it was changed since: "), "{back:?}");
            assert_eq!(desk.servers(), before);
            printed(desk.claude(&remove).await);
        }
        printed(desk.setup(&["--yes"]).await);
        printed(desk.claude(&remove).await);
        let back = printed(desk.setup(&["--undo", "--yes"]).await);
        assert!(back.starts_with("gone already: "), "{back}");
    })
    .await;
}

#[tokio::test]
async fn on_a_terminal_setup_asks_and_does_it_only_for_a_yes() {
    stage::play(CODEX, async |stage: Stage| {
        let scene = stage.plain().await;
        let settings = scene.home().join(".claude.json");
        let lost = r#"{"mcpServers": {"codex": {"command": "codex", "args": ["mcp-server"]}}}"#;
        std::fs::write(&settings, lost).unwrap();
        let size = (120, 30);
        for (key, ends, is_lost) in [("n", "ended with 0", true), ("y", "done: change the entry `codex`", false)] {
            let terminal = Terminal::run(&scene, size, &["setup"]).await;
            let asked = terminal.shows("Do it? [y/N]").await;
            assert!(asked.contains("- codex mcp-server"), "{asked}");
            terminal.press(&[key, "Enter"]).await;
            terminal.shows(ends).await;
            terminal.shows("ended with 0").await;
            assert_eq!(std::fs::read_to_string(&settings).unwrap() == lost, is_lost);
        }
        let terminal = Terminal::run(&scene, size, &["setup", "--undo"]).await;
        terminal.shows("Take it back? [y/N]").await;
        terminal.press(&["y", "Enter"]).await;
        terminal.shows("ended with 0").await;
        assert_eq!(std::fs::read_to_string(&settings).unwrap(), lost);
    })
    .await;
}
