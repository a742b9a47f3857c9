//! `setup`: what it does not do, and how it says so.

use std::fs;

use crate::setup::{Home, read};

#[tokio::test]
async fn a_broken_file_is_refused_before_anything_is_shown_or_done() {
    let home = Home::new().await;
    for (broken, why) in [
        ("{ // c\n}", "line 1 column 3"),
        ("[]", "it is an array"),
        ("{\"mcpServers\": {\"a\": {},\n}}", "line 2 column 1"),
        ("{\n  \"mcpServers\": null}", "\"mcpServers\" is null, and no object (line 2 column 17)"),
        ("{\"mcpServers\": []}", "\"mcpServers\" is an array"),
    ] {
        home.write(&home.mcp_json(), broken);
        for args in [&["--mcp-json", "--yes"][..], &["--mcp-json"]] {
            let said = home.says(args).await;
            assert!(said.code == Some(2) && said.stderr.contains(why), "{broken}: {said:?}");
            assert!(said.stderr.contains(".mcp.json") && said.stderr.contains("Hint: mend it"), "{said:?}");
            assert_eq!(said.stdout, "");
        }
        assert_eq!(read(&home.mcp_json()), broken);
        assert!(!home.memory().exists(), "what was not done is not remembered");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_broken_file_of_claude_codes_is_not_given_to_claude_code() {
    let home = Home::new().await;
    home.with_claude("exit 3");
    home.write(&home.claude(), "{");
    let said = home.says(&["--yes"]).await;
    assert!(said.code == Some(2) && said.stderr.contains(".claude.json cannot be changed: it is no JSON"), "{said:?}");
    assert!(said.stderr.contains("Hint: mend it, and run") && !said.stderr.contains("move it away"), "{said:?}");
}

#[tokio::test]
async fn a_file_that_was_passed_over_is_said_without_claude_code_too() {
    let home = Home::new().await;
    home.write(&home.mcp_json(), "{");
    let said = home.says(&["--yes"]).await;
    assert!(said.code == Some(1) && said.stderr.contains("not on PATH"), "{said:?}");
    assert!(said.stderr.contains(".mcp.json was passed over: it is no JSON"), "{said:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_of_a_repository_that_leads_out_of_it_is_not_followed() {
    use std::os::unix::fs::symlink;
    let home = Home::new().await;
    let outside = home.stage.home().join("outside.json");
    symlink(home.stage.home().join("absent"), home.mcp_json()).unwrap();
    let said = home.says(&["--mcp-json", "--yes"]).await;
    assert!(said.code == Some(2) && said.stderr.contains("a link that leads nowhere"), "{said:?}");
    fs::remove_file(home.mcp_json()).unwrap();

    let lost = r#"{"mcpServers": {"codex": {"command": "codex", "args": ["mcp-server"]}}}"#;
    home.write(&outside, lost);
    symlink(&outside, home.mcp_json()).unwrap();
    let said = home.says(&["--mcp-json", "--yes"]).await;
    assert!(said.code == Some(2) && said.stderr.contains("a link that leads out of the repository"), "{said:?}");
    home.with_claude("exit 3");
    let said = home.says(&[]).await;
    assert!(said.stdout.contains("is a link that leads out of the repository, so it stays"), "{said:?}");
    assert_eq!(read(&outside), lost);

    let theirs = home.stage.home().join("outside.toml");
    home.write(&theirs, "# mine\n");
    symlink(&theirs, home.project().join(".atm.toml")).unwrap();
    home.shows(&["--settings", "--yes"]).await;
    assert_eq!(read(&theirs), "# mine\n");

    // Neither when it has come between what was done and its undoing.
    fs::remove_file(home.mcp_json()).unwrap();
    home.shows(&["--mcp-json", "--yes"]).await;
    let ours = home.stage.home().join("ours.json");
    fs::rename(home.mcp_json(), &ours).unwrap();
    symlink(&ours, home.mcp_json()).unwrap();
    let back = home.says(&["--undo", "--yes"]).await;
    assert!(back.code == Some(1) && back.stdout.starts_with("left, for it was changed since: "), "{back:?}");
    assert!(read(&ours).contains("\"serve\""), "{}", read(&ours));
    fs::remove_file(home.mcp_json()).unwrap();

    // The user's own may be a link to wherever they keep it.
    home.write(&outside, lost);
    symlink(&outside, home.claude()).unwrap();
    home.shows(&["--yes"]).await;
    assert!(read(&outside).contains("\"serve\""), "{}", read(&outside));
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_done_is_shown_before_and_what_stands_when_it_fails_is_said() {
    let home = Home::new().await;
    home.with_claude("exit 3");
    let elsewhere = r#"{"projects": {"/elsewhere": {"mcpServers": {"a": {"command": "codex", "args": ["mcp-server", "-c", "x=y"]}}}}}"#;
    home.write(&home.claude(), elsewhere);
    let said = home.says(&["--yes"]).await;
    let (shown, done) = said.stdout.split_once("done: change the entry `a`").unwrap_or_else(|| panic!("{said:?}"));
    assert!(shown.contains("    - codex mcp-server -c x=y\n    + ") && shown.contains("-c x=y\n"), "{shown}");
    assert!(shown.contains("not taken over, for serve has no such flag: -c x=y\n"), "{shown}");
    assert!(!done.contains("done: "), "{done}");
    assert_eq!(said.code, Some(1));
    assert!(
        said.stderr.contains("failed: exit status: 3") && said.stderr.contains("stands: change the entry `a`"),
        "{said:?}"
    );
    assert!(said.stderr.contains("`atm-agent-mcp setup --undo` takes back what stands"), "{said:?}");
    home.shows(&["--undo", "--yes"]).await;
    assert_eq!(read(&home.claude()), elsewhere);
}

#[tokio::test]
async fn a_shell_line_is_reported_with_what_to_write_instead() {
    let home = Home::new().await;
    let line = r#"{"mcpServers": {"codex": {"command": "bash", "args": ["-lc", "KEY=hidden codex mcp-server -c model=gpt-5"]}}}"#;
    home.write(&home.claude(), line);
    let said = home.says(&["--yes"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.stdout.contains("By hand: ") && said.stdout.contains("`codex` in "), "{said:?}");
    assert!(said.stdout.contains(r#""args": ["serve"]"#) && !said.stdout.contains("hidden"), "{said:?}");
    assert_eq!(read(&home.claude()), line);
}

#[tokio::test]
async fn a_secret_among_the_arguments_is_neither_shown_nor_kept_nor_lost() {
    let home = Home::new().await;
    let lost = r#"{"mcpServers": {"codex": {"command": "codex", "args": ["mcp-server", "-c", "model_providers.k.key=hidden"]}}}"#;
    home.write(&home.claude(), lost);
    let said = home.says(&["--yes"]).await;
    assert!(said.stdout.contains("By hand: ") && said.stdout.contains("(-c model_providers.k.key=...)"), "{said:?}");
    assert!(!said.stdout.contains("hidden") && !said.stderr.contains("hidden"), "{said:?}");
    assert!(!home.memory().exists());
    assert_eq!(read(&home.claude()), lost);
}

#[tokio::test]
async fn an_entry_that_is_there_twice_is_refused_and_said() {
    let home = Home::new().await;
    let entry = r#""a": {"command": "codex", "args": ["mcp-server"]}"#;
    for file in [home.mcp_json(), home.claude()] {
        let twice = format!("{{\"mcpServers\": {{{entry}, {entry}}}}}");
        home.write(&file, &twice);
        let said = home.says(&["--yes"]).await;
        assert!(said.code == Some(2) && said.stderr.contains("the server \"a\" is there twice"), "{said:?}");
        assert_eq!(read(&file), twice);
        fs::remove_file(&file).unwrap();
    }
}

#[cfg(unix)]
#[tokio::test]
async fn what_setup_waits_for_is_said() {
    use tokio::io::{AsyncBufReadExt, BufReader};
    let home = Home::new().await;
    home.write(&home.claude(), r#"{"mcpServers": {"a": {"command": "codex", "args": ["mcp-server"]}}}"#);
    let lock = home.stage.home().join(".claude.json.lock");
    fs::create_dir(&lock).unwrap();
    let mut child = home.command(&["--yes"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = crate::server::within("a word of it", lines.next_line()).await.unwrap().unwrap();
    assert!(line.contains("waiting for") && line.contains(".claude.json.lock"), "{line}");
    fs::remove_dir(&lock).unwrap();
    assert!(crate::server::within("its end", child.wait()).await.unwrap().success());
}
