//! `setup --undo`: what comes back, to the byte, and what stays because it is somebody else's by now.

use std::fs;

use serde_json::{Value, json};

use crate::setup::{Home, read};

const LOST: &str = r#"{"mcpServers": {"codex": {"command": "codex", "args": ["mcp-server"], "env": {}}}}"#;

/// What Claude Code does of `mcp add --scope user codex -- COMMAND serve`.
#[cfg(unix)]
const ADDS: &str = r#"printf '{"mcpServers": {"codex": {"type": "stdio", "command": "%s", "args": ["serve"], "env": {}}}}' "$7" \
    > "${CLAUDE_CONFIG_DIR:-$HOME}/.claude.json""#;

#[cfg(unix)]
#[tokio::test]
async fn what_is_taken_back_is_what_was_added_whatever_the_environment_says_now() {
    let home = Home::new().await;
    home.with_claude(ADDS);
    let elsewhere = home.stage.home().join("ccd");
    fs::create_dir(&elsewhere).unwrap();
    let mut command = home.command(&["--yes"]);
    command.env("CLAUDE_CONFIG_DIR", &elsewhere);
    let said = crate::queue_cli::said(command, b"").await;
    assert_eq!(said.code, Some(0), "{said:?}");
    let foreign = r#"{"mcpServers": {"codex": {"command": "theirs"}}}"#;
    home.write(&home.claude(), foreign);
    fs::remove_file(home.bin.join("claude")).unwrap();
    let back = home.shows(&["--undo", "--yes"]).await;
    assert!(back.starts_with("taken back: add the entry `codex`"), "{back}");
    assert_eq!(read(&home.claude()), foreign);
    assert_eq!(read(&elsewhere.join(".claude.json")), r#"{"mcpServers": {}}"#);
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_gone_already_is_taken_back_already() {
    let home = Home::new().await;
    home.with_claude(ADDS);
    home.shows(&["--yes"]).await;
    home.write(&home.claude(), r#"{"mcpServers": {}}"#);
    home.shows(&["--mcp-json", "--yes"]).await;
    fs::remove_file(home.mcp_json()).unwrap();
    let back = home.shows(&["--undo", "--yes"]).await;
    assert_eq!(back.matches("gone already: ").count(), 2, "{back}");
    assert!(!home.memory().exists());
}

#[cfg(unix)]
#[tokio::test]
async fn a_claude_that_outlives_its_setup_is_ended_and_what_it_may_have_added_stays_remembered() {
    use tokio::io::AsyncReadExt;
    let home = Home::new().await;
    let fifo = home.stage.home().join("held");
    std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    let mut held = tokio::net::unix::pipe::OpenOptions::new().open_receiver(&fifo).unwrap();
    let sleep = which::which("sleep").unwrap();
    home.with_claude(&format!(
        "exec 3>'{}'; '{}' 1000 >&3 2>&3 & echo $7 >&3; echo ready >&3; wait",
        fifo.display(),
        sleep.display()
    ));
    let mut setup = home.command(&["--yes"]).spawn().unwrap();
    let mut said = Vec::new();
    while !said.ends_with(b"ready\n") {
        crate::server::within("claude", held.read_buf(&mut said)).await.unwrap();
    }
    let pid = setup.id().unwrap().to_string();
    std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap();
    assert_eq!(crate::server::within("its end", setup.wait()).await.unwrap().code(), Some(130));
    assert_eq!(crate::server::within("claude's end", held.read_buf(&mut said)).await.unwrap(), 0, "all of it is gone");

    // As if it had been killed so that it could end nothing.
    let back = home.shows(&["--undo", "--yes"]).await;
    assert!(back.starts_with("not there (yet), so it stays remembered"), "{back}");
    let program = String::from_utf8(said).unwrap().lines().next().unwrap().to_owned();
    let entry = json!({"mcpServers": {"codex": {"type": "stdio", "command": program, "args": ["serve"], "env": {}}}});
    home.write(&home.claude(), &entry.to_string());
    let memory = read(&home.memory());
    let back = home.shows(&["--undo", "--yes"]).await;
    assert!(back.starts_with("taken back: ") && !home.memory().exists(), "{back}");
    // It is not waited for for ever.
    let mut old: Value = serde_json::from_str(&memory).unwrap();
    old["done"][0]["at"] = json!("2026-01-01T00:00:00Z");
    home.write(&home.memory(), &old.to_string());
    let back = home.shows(&["--undo", "--yes"]).await;
    assert!(back.starts_with("gone already: ") && !home.memory().exists(), "{back}");
}

#[cfg(unix)]
#[tokio::test]
async fn an_entry_that_the_user_has_edited_stays() {
    let home = Home::new().await;
    home.with_claude(ADDS);
    home.shows(&["--yes"]).await;
    home.write(&home.mcp_json(), LOST);
    home.shows(&["--scope", "project", "--yes"]).await;
    for file in [home.claude(), home.mcp_json()] {
        fs::write(&file, read(&file).replace(r#""env": {}"#, r#""env": {"KEY": "value"}"#)).unwrap();
    }
    let (claude, mcp_json) = (read(&home.claude()), read(&home.mcp_json()));
    let back = home.says(&["--undo", "--yes"]).await;
    assert_eq!(back.stdout.matches("left, for it was changed since: ").count(), 2, "{back:?}");
    assert!(back.code == Some(1) && back.stderr.contains("2 of what setup has done"), "{back:?}");
    assert_eq!((read(&home.claude()), read(&home.mcp_json())), (claude, mcp_json));
    assert!(home.shows(&["--undo", "--yes"]).await.starts_with("Nothing to take back"), "they are the user's now");
}

#[tokio::test]
async fn what_was_changed_since_is_left_as_it_is() {
    let home = Home::new().await;
    home.write(&home.mcp_json(), LOST);
    home.shows(&["--mcp-json", "--settings", "--yes"]).await;
    home.shows(&["--completions", "fish", "--yes"]).await;
    let theirs = r#"{"mcpServers": {"codex": {"command": "atm-agent-mcp", "args": ["serve", "--fast"]}}}"#;
    home.write(&home.mcp_json(), theirs);
    let settings = home.project().join(".atm.toml");
    let completions = home.stage.home().join(".config/fish/completions/atm-agent-mcp.fish");
    for file in [&settings, &completions] {
        assert!(file.exists());
        home.write(file, "# mine\n");
    }
    let would = home.says(&["--undo"]).await;
    assert!(would.stdout.contains("where it is still as it was left") && would.stderr.contains("--yes"), "{would:?}");
    let back = home.says(&["--undo", "--yes"]).await;
    assert_eq!(back.stdout.matches("left, for it was changed since: ").count(), 3, "{back:?}");
    assert_eq!(back.code, Some(1), "{back:?}");
    assert_eq!(read(&home.mcp_json()), theirs);
    assert_eq!((read(&settings).as_str(), read(&completions).as_str()), ("# mine\n", "# mine\n"));
}

#[tokio::test]
async fn files_come_back_to_the_byte_and_what_setup_has_made_goes_again() {
    let home = Home::new().await;
    for theirs in [
        "{\n  \"mcpServers\": { \"codex\": {\"args\": [ \"mcp-server\" ],\"command\":  \"codex\" } } }",
        "",
        " \n",
        "{\"foo\":1}",
        "\u{feff}{\"foo\":1}\r\n",
        "\u{feff}",
        "{ }\n",
        "{\"mcpServers\": {}, \"ümlaut\": \"é\"}",
    ] {
        home.write(&home.mcp_json(), theirs);
        home.shows(&["--mcp-json", "--yes"]).await;
        assert!(read(&home.mcp_json()).contains("atm-agent-mcp"), "{theirs}");
        home.shows(&["--undo", "--yes"]).await;
        assert_eq!(read(&home.mcp_json()), theirs);
    }
    fs::remove_file(home.mcp_json()).unwrap();
    let before = home.stage.files();
    home.shows(&["--mcp-json", "--settings", "--completions", "bash", "--yes"]).await;
    home.shows(&["--undo", "--yes"]).await;
    assert_eq!(home.stage.files(), before);
}

#[tokio::test]
async fn a_file_that_others_have_changed_keeps_what_they_did() {
    let home = Home::new().await;
    home.write(&home.mcp_json(), "{\"foo\":1}");
    home.shows(&["--mcp-json", "--yes"]).await;
    home.write(&home.mcp_json(), &read(&home.mcp_json()).replace("\"foo\":1", "\"foo\":2"));
    home.shows(&["--undo", "--yes"]).await;
    assert_eq!(read(&home.mcp_json()), "{\"foo\":2}");
    home.write(&home.mcp_json(), &LOST.replace("codex\",", "/opt/codex\","));
    home.shows(&["--mcp-json", "--yes"]).await;
    home.write(&home.mcp_json(), &read(&home.mcp_json()).replace("}}}", "}}, \"bar\": 1}"));
    home.shows(&["--undo", "--yes"]).await;
    let expected = LOST.replace("codex\",", "/opt/codex\",").replace("}}}", "}}, \"bar\": 1}");
    assert_eq!(read(&home.mcp_json()), expected);
}

#[tokio::test]
async fn an_entry_of_ours_whose_program_is_gone_is_replaced_and_restored() {
    let home = Home::new().await;
    let gone = r#"{"mcpServers": {"mine": {"command": "/nowhere/atm-agent-mcp", "args": ["serve", "--fast"]}}}"#;
    home.write(&home.claude(), gone);
    let done = home.shows(&["--yes"]).await;
    assert!(done.contains("    - /nowhere/atm-agent-mcp serve --fast\n    + "), "{done}");
    let now: Value = serde_json::from_str(&read(&home.claude())).unwrap();
    let entry = json!({"command": env!("CARGO_BIN_EXE_atm-agent-mcp"), "args": ["serve", "--fast"]});
    assert_eq!(now["mcpServers"]["mine"], entry);
    assert!(home.shows(&["--yes"]).await.starts_with("Nothing to do."));
    home.shows(&["--undo", "--yes"]).await;
    assert_eq!(read(&home.claude()), gone);
}

#[tokio::test]
async fn variables_that_env_was_given_become_those_of_the_entry_and_are_arguments_again() {
    let home = Home::new().await;
    let lost = r#"{"mcpServers": {"a": {"command": "env", "args": [ "TOKEN=a secret","codex", "mcp-server"]},
        "b": {"command":"codex","args":["mcp-server" ]}}}"#;
    home.write(&home.claude(), lost);
    let done = home.shows(&["--yes"]).await;
    assert!(done.contains("- env TOKEN=... codex mcp-server\n") && done.contains("TOKEN in its environment"), "{done}");
    assert!(!done.contains("a secret"), "{done}");
    let now: Value = serde_json::from_str(&read(&home.claude())).unwrap();
    assert_eq!(now["mcpServers"]["a"]["env"], json!({"TOKEN": "a secret"}));
    assert_eq!(now["mcpServers"]["a"]["args"], json!(["serve"]));
    // Whether the file is as it was left, or another program has changed it.
    for more in [false, true] {
        let changed = |text: &str| text.replace("{\"mcpServers\"", "{\"more\": 1, \"mcpServers\"");
        if more {
            home.shows(&["--yes"]).await;
            fs::write(home.claude(), changed(&read(&home.claude()))).unwrap();
        }
        assert!(!read(&home.memory()).contains("a secret"));
        home.shows(&["--undo", "--yes"]).await;
        let expected = if more { changed(lost) } else { lost.to_owned() };
        assert_eq!(read(&home.claude()), expected);
    }
}

#[tokio::test]
async fn an_entry_that_somebody_has_changed_back_is_gone_already_with_its_variables() {
    let home = Home::new().await;
    let lost = r#"{"mcpServers": {"a": {"command": "env", "args": ["A=1", "B=2", "codex", "mcp-server"]}}}"#;
    home.write(&home.claude(), lost);
    home.shows(&["--yes"]).await;
    home.write(&home.claude(), lost);
    let back = home.shows(&["--undo", "--yes"]).await;
    assert!(back.starts_with("gone already: change the entry `a`"), "{back}");
    assert_eq!(read(&home.claude()), lost);
}

#[tokio::test]
async fn setups_at_the_same_time_remember_all_that_they_do() {
    let home = Home::new().await;
    let setup = async |name: &str| {
        let project = home.stage.home().join(name);
        fs::create_dir(&project).unwrap();
        let mut command = home.command(&["--mcp-json", "--yes"]);
        command.current_dir(&project);
        crate::queue_cli::said(command, b"").await
    };
    let all = tokio::join!(setup("a"), setup("b"), setup("c"), setup("d"));
    let memory: Value = serde_json::from_str(&read(&home.memory())).unwrap();
    assert_eq!(memory["done"].as_array().map(Vec::len), Some(4), "{memory} {all:?}");
    let back = home.shows(&["--undo", "--yes"]).await;
    assert_eq!(back.matches("taken back: ").count(), 4, "{back}");
}
