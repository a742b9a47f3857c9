//! `atm-agent-mcp config`, and settings that are wrong.

use std::process::Output;

use serde_json::{Value, json};

use crate::server::Server;
use crate::stage::Stage;

async fn printed(stage: &Stage, args: &[&str]) -> (Output, String, String) {
    let output = stage.program(args).output().await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    (output, stdout, stderr)
}

async fn with_settings(settings: &str) -> Stage {
    let stage = Stage::set(json!({})).await;
    std::fs::write(stage.project().join(".atm.toml"), settings).unwrap();
    stage
}

#[tokio::test]
async fn config_shows_every_value_and_where_it_comes_from() {
    let stage = with_settings("[plugins.atm-agent-mcp]\nmodel = 'large'\nrequest_timeout_secs = 60\n").await;
    let (output, text, stderr) = printed(&stage, &["config", "--lead", "boss"]).await;
    assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""));
    let row = |key: &str| text.lines().find(|line| line.starts_with(key)).unwrap_or_else(|| panic!("{key}: {text}"));
    assert!(row("model ").contains("large") && row("model ").ends_with(".atm.toml:2"), "{text}");
    assert!(row("lead ").contains("boss") && row("lead ").ends_with("flag --lead"), "{text}");
    assert!(row("codex_bin ").ends_with("environment ATM_AGENT_MCP_CODEX_BIN"), "{text}");
    assert!(row("sandbox ").contains("(not set)") && row("sandbox ").ends_with("default"), "{text}");

    let (output, text, _) = printed(&stage, &["config", "--json"]).await;
    assert_eq!(output.status.code(), Some(0));
    let listing: Vec<Value> = serde_json::from_str(&text).unwrap();
    let setting = |key: &str| listing.iter().find(|listed| listed["key"] == key).unwrap();
    let source = stage.project().join(".atm.toml");
    let source = format!("{}:3", source.display());
    assert_eq!(
        setting("request_timeout_secs"),
        &json!({ "key": "request_timeout_secs", "value": "60", "source": source })
    );
    assert_eq!(setting("sandbox")["value"], Value::Null);
    assert_eq!(setting("lead")["value"], "team-lead");
    assert_eq!(stage.files(), Vec::<std::path::PathBuf>::new(), "nothing is written");
}

#[tokio::test]
async fn an_unknown_key_is_a_warning_with_its_place_and_the_key_that_was_meant() {
    let stage = with_settings("[plugins.atm-agent-mcp]\n\nmodle = 'large'\n").await;
    let (output, _, stderr) = printed(&stage, &["config"]).await;
    assert_eq!(output.status.code(), Some(0));
    let words = ["Warning: ", ".atm.toml:3: unknown key `modle`", "`model`"];
    assert!(words.iter().all(|word| stderr.contains(word)), "{stderr}");
    let left = stage.server(&[]).await.leave().await;
    assert!(left.status.success() && left.stderr.contains(".atm.toml:3: unknown key `modle`"), "{}", left.stderr);
}

#[tokio::test]
async fn a_value_that_is_not_allowed_ends_the_program_with_2_its_place_and_what_is_allowed() {
    let stage = with_settings("[plugins.atm-agent-mcp]\nsandbox = 'none'\n").await;
    for args in [&["config"][..], &["config", "--json"], &["serve"]] {
        let (output, stdout, stderr) = printed(&stage, args).await;
        assert_eq!((output.status.code(), stdout.as_str()), (Some(2), ""), "{args:?}: {stderr}");
        assert!(stderr.contains(".atm.toml:2: sandbox") && stderr.contains("read-only, workspace-write"), "{stderr}");
    }
    let mut command = stage.program(&["serve"]);
    command.env("ATM_AGENT_MCP_MAX_CONCURRENT_THREADS", "none");
    let left = Server::spawn(command).ended().await;
    assert_eq!(left.status.code(), Some(2));
    let place = "environment ATM_AGENT_MCP_MAX_CONCURRENT_THREADS: expected a whole number";
    assert!(left.stderr.contains(place), "{}", left.stderr);
}

#[tokio::test]
async fn the_limits_of_the_queue_hold_for_a_running_server() {
    let stage = with_settings("[plugins.atm-agent-mcp]\nqueue_max_bytes = 3\nqueue_max_entries = 1\n").await;
    let mut server = stage.server(&[]).await;
    server.done("codex", json!({ "prompt": "x", "identity": "ana" })).await;
    let long = server.fails("agent_steer", json!({ "agent": "ana", "text": "four" })).await;
    assert!(long.contains("its text has 4 bytes, at most 3 are allowed"), "{long}");
    server.leave().await;

    // Nobody takes what waits for an agent that does not run.
    let mut server = stage.server(&[]).await;
    let queued = server.done("agent_steer", json!({ "agent": "ana", "text": "one" })).await;
    assert_eq!(queued["status"], "queued");
    let full = server.fails("agent_steer", json!({ "agent": "ana", "text": "two" })).await;
    assert!(full.contains("is full: 1 entries wait (queue_max_entries)"), "{full}");
}

#[tokio::test]
async fn a_flag_that_is_not_allowed_ends_the_program_with_2_and_says_what_is() {
    let stage = Stage::set(json!({})).await;
    let cases: [(&[&str], &str); 6] = [
        (&["--sandbox", "none"], "workspace-write"),
        (&["--identity", "A"], "1 to 64 of a-z"),
        (&["--readonly", "--sandbox", "read-only"], "cannot be used with"),
        (&["--fast"], "fast_model"),
        (&["--timeout", "soon"], "a whole number from 0"),
        (&["--config", "absent.toml"], "absent.toml"),
    ];
    for (flags, word) in cases {
        let left = Server::spawn(stage.command(flags)).ended().await;
        assert_eq!((left.status.code(), left.rest.len()), (Some(2), 0), "{flags:?}: {}", left.stderr);
        assert!(left.stderr.contains(word), "{flags:?}: {}", left.stderr);
    }
}

#[tokio::test]
async fn a_role_that_no_file_describes_ends_the_program_with_2() {
    let stage = Stage::set(json!({})).await;
    let left = Server::spawn(stage.command(&["--role", "poet"])).ended().await;
    assert_eq!(left.status.code(), Some(2), "{}", left.stderr);
    assert!(left.stderr.contains("role \"poet\" is not known"), "{}", left.stderr);
}

#[tokio::test]
async fn what_stands_in_a_file_makes_no_lines_of_its_own_in_the_log_and_moves_no_cursor() {
    let key = "\"x\\u001b[2K\\nERROR forged\"";
    let settings = format!("[plugins.atm-agent-mcp]\n{key} = 1\nmodel = {key}\nroles.{key}.model = 'm'\n");
    let stage = with_settings(&settings).await;
    let (_, stdout, stderr) = printed(&stage, &["config"]).await;
    let log = stage.server(&[]).await.leave().await.stderr;
    for said in [&stdout, &stderr, &log] {
        assert!(said.contains("x\\u{1b}[2K\\nERROR forged"), "{said}");
        assert!(!said.contains('\u{1b}') && !said.lines().any(|line| line.starts_with("ERROR")), "{said}");
    }
    let stage = with_settings("[plugins.atm-agent-mcp]\nroles.\"x\\u001b[2K\\nHint: forged\" = 1\n").await;
    let (output, _, stderr) = printed(&stage, &["config"]).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr.contains("x\\u{1b}[2K\n  Hint: forged: expected a table"), "{stderr}");
}
