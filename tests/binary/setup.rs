//! `setup`: what it shows, does and takes back, in the files of a home and of a project.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::queue_cli::{Said, said};
use crate::stage::Stage;

/// A home, a project, and programs on a `PATH` of their own.
pub(crate) struct Home {
    pub(crate) stage: Stage,
    pub(crate) bin: PathBuf,
}

impl Home {
    pub(crate) async fn new() -> Home {
        let stage = Stage::set(json!({})).await;
        let bin = stage.home().join("bin");
        fs::create_dir_all(&bin).unwrap();
        Home { stage, bin }
    }

    pub(crate) async fn says(&self, args: &[&str]) -> Said {
        said(self.command(args), b"").await
    }

    pub(crate) fn command(&self, args: &[&str]) -> tokio::process::Command {
        let mut command = self.stage.program(&[&["setup"], args].concat());
        for name in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "APPDATA"] {
            command.env_remove(name);
        }
        command.env("PATH", &self.bin).env("USERPROFILE", self.stage.home()).env("SHELL", "/bin/zsh");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) async fn shows(&self, args: &[&str]) -> String {
        let said = self.says(args).await;
        assert_eq!(said.code, Some(0), "{args:?}: {said:?}");
        said.stdout
    }

    pub(crate) fn write(&self, path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A Claude Code that is this script of the shell.
    #[cfg(unix)]
    pub(crate) fn with_claude(&self, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        let claude = self.bin.join("claude");
        self.write(&claude, &format!("#!/bin/sh\n{script}\n"));
        fs::set_permissions(&claude, fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub(crate) fn claude(&self) -> PathBuf {
        self.stage.home().join(".claude.json")
    }

    pub(crate) fn mcp_json(&self) -> PathBuf {
        self.project().join(".mcp.json")
    }

    /// As the program sees it.
    pub(crate) fn project(&self) -> PathBuf {
        self.stage.project().canonicalize().unwrap()
    }

    /// What setup remembers.
    pub(crate) fn memory(&self) -> PathBuf {
        self.stage.home().join(".config/atm/setup.json")
    }
}

pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Settings as somebody may have them: odd spaces, fields that nobody here knows, and the lost server twice.
const SETTINGS: &str = r#"{"zeta": 1.0,   "tips": {"\ud800": []},
  "mcpServers": {
    "other": {"command":"x"},
    "my-codex": { "type": "stdio", "timeout": 600000,
      "command": "/opt/codex", "args": ["-m", "gpt-5", "mcp-server", "-c", "a.b=1"], "env": {"KEY": "a secret"} }
  },
  "projects": {"/elsewhere": {"mcpServers": {"c": {"args": ["mcp", "serve"], "command": "codex"}}, "history": ["\ud800"]}}
}"#;

#[tokio::test]
async fn setup_shows_what_it_would_do_and_does_nothing_of_it() {
    let home = Home::new().await;
    home.write(&home.claude(), SETTINGS);
    let before = home.stage.files();
    let said = home.says(&["--scope", "user", "--mcp-json"]).await;
    assert_eq!(said.code, Some(2), "one of them: {said:?}");
    let said = home.says(&[]).await;
    assert!(said.stdout.contains("    - /opt/codex -m gpt-5 mcp-server -c a.b=1\n"), "{said:?}");
    assert!(
        said.stdout.contains(" serve --model gpt-5\n    not taken over, for serve has no such flag: -c a.b=1\n"),
        "{said:?}"
    );
    assert!(said.stdout.contains("(for you in /elsewhere):\n    - codex mcp serve\n"), "{said:?}");
    assert!(!said.stdout.contains("a secret"), "{said:?}");
    assert!(said.stderr.contains("--yes does it"), "{said:?}");
    assert_eq!(home.stage.files(), before);
    assert_eq!(read(&home.claude()), SETTINGS);
}

#[tokio::test]
async fn the_lost_server_is_replaced_where_it_stands_and_taken_back_byte_for_byte() {
    let home = Home::new().await;
    home.write(&home.claude(), SETTINGS);
    let done = home.shows(&["--yes"]).await;
    assert_eq!(done.matches("done: change the entry").count(), 2, "{done}");
    let after = read(&home.claude());
    let program = serde_json::to_string(env!("CARGO_BIN_EXE_atm-agent-mcp")).unwrap();
    let expected = SETTINGS
        .replace(
            r#""/opt/codex", "args": ["-m", "gpt-5", "mcp-server", "-c", "a.b=1"]"#,
            &format!(r#"{program}, "args": ["serve", "--model", "gpt-5"]"#),
        )
        .replace(
            r#"{"args": ["mcp", "serve"], "command": "codex"}"#,
            &format!(r#"{{"args": ["serve"], "command": {program}}}"#),
        );
    assert_eq!(after, expected);
    assert!(!read(&home.memory()).contains("a secret"));
    let again = home.shows(&["--yes"]).await;
    assert!(again.starts_with("Nothing to do."), "{again}");
    let back = home.shows(&["--undo", "--yes"]).await;
    assert_eq!(back.matches("taken back: ").count(), 2, "{back}");
    assert_eq!(read(&home.claude()), SETTINGS);
    assert!(!home.memory().exists());
    assert!(home.shows(&["--undo", "--yes"]).await.starts_with("Nothing to take back"));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn claude_desktop_starts_this_program_by_its_whole_path() {
    let home = Home::new().await;
    let desktop = home.stage.home().join(".config/Claude/claude_desktop_config.json");
    let lost = r#"{"mcpServers": {"codex": {"command": "npx", "args": ["-y", "@openai/codex", "mcp-server"]}}}"#;
    home.write(&desktop, lost);
    let done = home.shows(&["--yes"]).await;
    assert!(done.contains("done: change the entry `codex`") && done.contains("for Claude Desktop"), "{done}");
    assert!(done.contains("not on PATH"), "Claude Code has it not yet: {done}");
    let now: Value = serde_json::from_str(&read(&desktop)).unwrap();
    let entry = json!({"command": env!("CARGO_BIN_EXE_atm-agent-mcp"), "args": ["serve"]});
    assert_eq!(now["mcpServers"]["codex"], entry);
    home.shows(&["--undo", "--yes"]).await;
    assert_eq!(read(&desktop), lost);
}

#[tokio::test]
async fn without_claude_code_it_says_so_and_an_mcp_json_can_be_written() {
    let home = Home::new().await;
    let said = home.says(&["--yes"]).await;
    assert!(
        said.code == Some(1) && said.stderr.contains("not on PATH") && said.stderr.contains("--mcp-json"),
        "{said:?}"
    );
    home.shows(&["--mcp-json", "--name", "agents", "--yes"]).await;
    let entry: Value = serde_json::from_str(&read(&home.mcp_json())).unwrap();
    assert_eq!(entry, json!({"mcpServers": {"agents": {"command": "atm-agent-mcp", "args": ["serve"]}}}));
    home.shows(&["--undo", "--yes"]).await;
    assert!(!home.mcp_json().exists(), "it was new");
    let theirs = "{\"x\": 1,\n\t\"mcpServers\": {\n\t\t\"a\": {\"command\": \"b\"}\n\t}\n}\n";
    home.write(&home.mcp_json(), theirs);
    home.shows(&["--mcp-json", "--yes"]).await;
    assert!(read(&home.mcp_json()).contains("\n\t\t\"codex\": {\n"), "{}", read(&home.mcp_json()));
    home.shows(&["--undo", "--yes"]).await;
    assert_eq!(read(&home.mcp_json()), theirs);
}

#[tokio::test]
async fn a_name_of_another_server_and_files_of_others_are_not_taken() {
    let home = Home::new().await;
    home.write(&home.mcp_json(), r#"{"mcpServers": {"codex": {"command": "mine"}}}"#);
    let taken = home.says(&["--mcp-json", "--yes"]).await;
    assert!(taken.code == Some(2) && taken.stderr.contains("--name"), "{taken:?}");
    let settings = home.project().join(".atm.toml");
    home.write(&settings, "# mine\n");
    let note = home.shows(&["--settings", "--yes"]).await;
    assert!(note.contains("is not from setup, so it stays as it is"), "{note}");
    assert_eq!(read(&settings), "# mine\n");
    assert!(!home.memory().exists(), "what was not done is not remembered");
}

#[cfg(unix)]
#[tokio::test]
async fn completions_are_written_for_the_users_shell_and_renewed_only_if_they_are_ours() {
    let home = Home::new().await;
    let file = home.stage.home().join(".zfunc/_atm-agent-mcp");
    let said = home.shows(&["--completions", "--yes"]).await;
    assert!(said.contains("fpath+=~/.zfunc") && read(&file).starts_with("#compdef atm-agent-mcp\n"), "{said}");
    assert!(home.shows(&["--completions"]).await.contains("is there already"));
    home.write(&file, "# of an older version\n");
    assert!(home.shows(&["--completions"]).await.contains("is not from setup"));
    // As if an older version had written that.
    let fingerprint = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, b"# of an older version\n").to_string();
    let mut memory: Value = serde_json::from_str(&read(&home.memory())).unwrap();
    memory["done"][0]["fingerprint"] = json!(fingerprint);
    home.write(&home.memory(), &memory.to_string());
    home.shows(&["--completions", "--yes"]).await;
    assert!(read(&file).starts_with("#compdef atm-agent-mcp\n"));
    home.shows(&["--undo", "--yes"]).await;
    assert!(!file.exists());
}

#[cfg(unix)]
#[tokio::test]
async fn a_claude_code_that_does_not_do_it_is_quoted_and_nothing_is_remembered() {
    let home = Home::new().await;
    for (script, what) in [("echo out of order >&2; exit 3", "out of order"), ("exit 0", "the entry is not in")] {
        home.with_claude(script);
        let said = home.says(&["--yes"]).await;
        assert!(said.code == Some(1) && said.stderr.contains(what), "{said:?}");
        assert!(said.stderr.contains("`claude mcp add --scope user codex -- "), "{said:?}");
        assert!(!home.memory().exists());
    }
}
