//! `doctor`: what it finds, what it says of it, what it exits with, and what `--fix` does and leaves.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Stdio;

use atm_agent_mcp::codex::run_dir::MARK;
use atm_agent_mcp::home::{Home, private_dir};
use atm_agent_mcp::ids::{MemberName, TeamName};
use atm_agent_mcp::mail::{Activity, ClaudePost, Lead, NewMember, Post};
use atm_agent_mcp::queue::Text;
use serde_json::{Value, json};

use crate::queue_cli::{Pair, Said, said};
use crate::stage::{PROGRAM, Stage};

/// A Codex that plays the trial as a real one does.
fn well() -> Value {
    let says = |text: &str| json!(["started", {"say": text}]);
    json!({"turns": [says("the trial turn works"), says("a command works"), says("0 unread.")]})
}

fn with(mut script: Value, more: Value) -> Value {
    script.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    script
}

/// A world in which nothing is to be looked at.
async fn stage(script: Value) -> Stage {
    let stage = Stage::set(script).await;
    let settings = json!({"mcpServers": {"codex": {"command": PROGRAM, "args": ["serve"]}}});
    fs::write(stage.home().join(".claude.json"), settings.to_string()).unwrap();
    stage
}

async fn doctor(stage: &Stage, args: &[&str], env: &[(&str, &str)]) -> Said {
    let mut command = stage.program(&[&["doctor"], args].concat());
    command.envs(env.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
    said(command, b"").await
}

/// What it found, for programs; the exit code, which is also in it.
async fn found(stage: &Stage, args: &[&str], env: &[(&str, &str)]) -> (Option<i32>, Vec<Value>) {
    let said = doctor(stage, &[&["--json"], args].concat(), env).await;
    let report: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|_| panic!("{said:?}"));
    assert_eq!(report["exit_code"].as_i64().map(|code| code as i32), said.code, "{report}");
    assert_eq!(said.stderr, "", "no progress where there is no terminal");
    for finding in report["findings"].as_array().unwrap() {
        let has = |field: &str| !word(finding, field).is_empty();
        assert!(has("what") && (word(finding, "level") == "ok" || has("why") && has("mend")), "{finding}");
    }
    (said.code, report["findings"].as_array().unwrap().clone())
}

fn of<'a>(found: &'a [Value], check: &str) -> Vec<&'a Value> {
    found.iter().filter(|finding| finding["check"] == check).collect()
}

/// The only one of this check that is worse than a note.
fn trouble<'a>(found: &'a [Value], check: &str) -> &'a Value {
    let bad: Vec<&Value> =
        of(found, check).into_iter().filter(|finding| ["warning", "error"].contains(&word(finding, "level"))).collect();
    assert_eq!(bad.len(), 1, "{check}: {found:#?}");
    bad[0]
}

fn word<'a>(finding: &'a Value, field: &str) -> &'a str {
    finding[field].as_str().unwrap_or_default()
}

#[tokio::test]
async fn where_all_is_well_it_says_so_in_plain_text_and_exits_with_0() {
    let stage = stage(well()).await;
    let said = doctor(&stage, &[], &[]).await;
    assert_eq!((said.code, said.stderr.as_str()), (Some(0), ""), "{}", said.stdout);
    assert!(said.stdout.ends_with("\nAll is well.\n") && !said.stdout.contains('\u{1b}'), "{}", said.stdout);
    for line in [
        "  ok       Codex 0.169.0 (",
        "  ok       dynamic tools: known",
        "  ok       the server codex (for you in every project) is",
    ] {
        assert!(said.stdout.contains(line), "no {line:?} in {}", said.stdout);
    }
    let made: Vec<_> =
        stage.files().into_iter().filter(|path| path.starts_with(stage.home().join(".config"))).collect();
    assert!(made.is_empty(), "who looks leaves nothing: {made:?}");
}

#[tokio::test]
async fn without_a_codex_or_with_one_that_is_too_old_nothing_else_of_it_is_tried() {
    let stage = stage(with(well(), json!({"version": "0.99.1"}))).await;
    let nowhere = [("ATM_AGENT_MCP_CODEX_BIN", "/nowhere/codex")];
    for (env, what) in [(&nowhere[..], "was not found (looked for /nowhere/codex)"), (&[], "Codex 0.99.1 (")] {
        let (code, found) = found(&stage, &[], env).await;
        let finding = trouble(&found, "programs");
        assert_eq!((code, word(finding, "level")), (Some(2), "error"), "{finding}");
        assert!(word(finding, "what").contains(what), "{finding}");
        assert!(word(finding, "mend").starts_with("npm install -g @openai/codex"), "{finding}");
        assert!(of(&found, "codex").is_empty() && of(&found, "trial").is_empty(), "{found:?}");
        assert!(!of(&found, "directories").is_empty() && !of(&found, "registration").is_empty(), "{found:?}");
    }
}

#[tokio::test]
async fn a_codex_that_does_not_start_is_an_error_with_its_last_words() {
    let stage = stage(json!({"start": {"exit": 3}, "prints": ["config.toml:7: what is this?"]})).await;
    let (code, found) = found(&stage, &[], &[]).await;
    let finding = trouble(&found, "codex");
    assert_eq!(code, Some(2));
    assert!(word(finding, "what").contains("config.toml:7: what is this?"), "{finding}");
    assert_eq!(word(finding, "mend"), "codex app-server --help");
    for check in ["login", "mcp_servers"] {
        assert_eq!(word(trouble(&found, check), "what"), "not known: Codex could not be asked", "{found:?}");
    }
    assert!(word(trouble(&found, "trial"), "what").contains("config.toml:7: what is this?"), "{found:?}");
}

#[tokio::test]
async fn a_directory_for_codex_that_is_not_there_is_named_with_the_command_that_makes_it() {
    let stage = stage(json!({"start": {"exit": 1}})).await;
    let (code, found) = found(&stage, &[], &[("CODEX_HOME", "/nowhere/codex")]).await;
    assert_eq!(code, Some(2));
    assert_eq!(word(trouble(&found, "codex"), "mend"), "mkdir -p /nowhere/codex, or unset CODEX_HOME");
}

#[tokio::test]
async fn what_of_the_protocol_is_missing_is_found_by_asking() {
    let unknown = |method: &str| format!("Invalid request: unknown variant `{method}`, expected one of `initialize`");
    let refuses = |method: &str| json!({"refuses": {method: unknown(method)}});
    let stage = stage(with(well(), refuses("turn/steer"))).await;
    let (code, found) = self::found(&stage, &[], &[]).await;
    assert_eq!(code, Some(2));
    assert_eq!(word(trouble(&found, "codex"), "what"), "this Codex does not know turn/steer");
    stage.rewrite(with(well(), refuses("thread/queue/add")));
    let (code, found) = self::found(&stage, &[], &[]).await;
    assert_eq!(code, Some(0));
    assert!(of(&found, "codex").iter().any(|finding| word(finding, "what").starts_with("queue: it has none")));
    stage.rewrite(with(well(), json!({"without_listen": true})));
    let (code, found) = self::found(&stage, &[], &[]).await;
    assert_eq!(code, Some(1));
    assert_eq!(word(trouble(&found, "codex"), "what"), "socket: it listens on none");
}

#[tokio::test]
async fn whether_the_user_is_logged_in_is_asked_of_codex_and_no_value_is_told() {
    let account =
        |account: Value| json!({"answers": {"account/read": {"account": account, "requiresOpenaiAuth": true}}});
    let stage = stage(with(well(), account(Value::Null))).await;
    let (code, found) = self::found(&stage, &[], &[]).await;
    let finding = trouble(&found, "login");
    assert_eq!((code, word(finding, "level")), (Some(2), "error"));
    assert!(word(finding, "mend").ends_with(" login"), "{finding}");
    stage.rewrite(with(well(), account(json!({"type": "chatgpt", "email": "me@here", "planType": "plus"}))));
    let said = doctor(&stage, &["--json"], &[("OPENAI_API_KEY", "sk-very-secret")]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(!said.stdout.contains("me@here") && !said.stdout.contains("sk-very-secret"), "{said:?}");
}

#[tokio::test]
async fn a_trial_turn_that_goes_wrong_is_an_error_and_a_live_one_is_asked_for() {
    let stage = stage(json!({})).await;
    let (code, found) = self::found(&stage, &[], &[]).await;
    assert_eq!(code, Some(2));
    assert!(word(trouble(&found, "trial"), "what").contains("and the answer is \"done\""), "{found:?}");
    assert!(of(&found, "live").is_empty());
    stage.rewrite(well());
    let (code, found) = self::found(&stage, &["--live"], &[]).await;
    assert_eq!(code, Some(0));
    assert!(word(of(&found, "live")[0], "what").ends_with(": the trial turn works"), "{found:?}");
}

#[tokio::test]
async fn settings_that_no_server_starts_with_are_an_error_and_the_rest_is_looked_at() {
    let stage = stage(well()).await;
    fs::write(stage.project().join(".atm.toml"), "[plugins.atm-agent-mcp]\nmax_concurrent_threads = \"many\"\n")
        .unwrap();
    let (code, found) = found(&stage, &[], &[]).await;
    let finding = trouble(&found, "settings");
    assert_eq!((code, word(finding, "level")), (Some(2), "error"));
    assert!(word(finding, "what").contains(".atm.toml:2"), "{finding}");
    assert!(!of(&found, "directories").is_empty());
    assert_eq!(word(of(&found, "trial")[0], "level"), "ok", "with the Codex that the environment names: {found:?}");
}

#[tokio::test]
async fn a_settings_file_that_is_no_toml_is_to_be_mended_at_its_line_or_moved_away_whatever_is_asked() {
    let stage = stage(well()).await;
    let file = stage.project().join(".atm.toml");
    fs::write(&file, "[plugins.atm-agent-mcp]\nteam = [\n").unwrap();
    let (_, found) = found(&stage, &[], &[]).await;
    let mend = word(trouble(&found, "settings"), "mend");
    let path = file.display();
    assert!(
        mend.starts_with("mend line ") && mend.ends_with(&format!("; or move the file away: mv {path} {path}.broken"))
    );
    for command in ["config", "sessions"] {
        let mut command = stage.program(&[command]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let said = said(command, b"").await;
        assert!(said.code == Some(2) && said.stderr.contains(&format!("Hint: {mend}\n")), "{said:?}");
    }
}

#[tokio::test]
async fn in_a_directory_that_is_gone_it_reports_that_as_an_error() {
    let stage = stage(well()).await;
    let gone = stage.project().join("gone");
    fs::create_dir(&gone).unwrap();
    let mut doctor = stage.shell("rmdir \"$PWD\"; exec atm-agent-mcp doctor --json");
    doctor.current_dir(&gone).stdout(Stdio::piped()).stderr(Stdio::piped());
    let said = said(doctor, b"").await;
    let report: Value = serde_json::from_str(&said.stdout).unwrap_or_else(|_| panic!("{said:?}"));
    assert_eq!((said.code, &report["exit_code"]), (Some(2), &json!(2)));
    let finding = &report["findings"][0];
    assert!(word(finding, "what").starts_with("the current directory cannot be read"), "{report}");
    assert_eq!(word(finding, "mend"), "go to a directory that is there");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_report_that_cannot_be_written_is_no_all_clear() {
    let stage = stage(well()).await;
    let mut doctor = stage.program(&["doctor", "--json"]);
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let doctor = doctor.stdout(full).stderr(Stdio::piped()).spawn().unwrap();
    let output = doctor.wait_with_output().await.unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("Error: the output cannot be written"), "{output:?}");
}

#[tokio::test]
async fn a_server_that_runs_what_codex_has_no_more_is_named_with_the_command_that_replaces_it() {
    let stage = stage(well()).await;
    let old =
        json!({"mcpServers": {"old": {"command": "codex", "args": ["mcp-server"], "env": {"KEY": "sk-very-secret"}}}});
    fs::write(stage.project().join(".mcp.json"), old.to_string()).unwrap();
    let (code, found) = found(&stage, &[], &[]).await;
    let finding = trouble(&found, "registration");
    assert_eq!((code, word(finding, "level")), (Some(1), "warning"));
    assert!(word(finding, "what").contains("the server old (for everybody who has the project)"), "{finding}");
    assert_eq!(word(finding, "mend"), "atm-agent-mcp setup");
    assert!(!format!("{found:?}").contains("sk-very-secret"));
}

#[tokio::test]
async fn directories_that_others_can_enter_are_made_private_by_fix_alone() {
    let stage = stage(well()).await;
    let team = Home::at(stage.home()).sessions_dir().join("red");
    private_dir(&team).unwrap();
    fs::set_permissions(&team, Permissions::from_mode(0o755)).unwrap();
    let mode = || fs::metadata(&team).unwrap().permissions().mode() & 0o777;
    let (code, found) = self::found(&stage, &[], &[]).await;
    let finding = trouble(&found, "directories");
    assert_eq!((code, word(finding, "fix"), mode()), (Some(1), "possible", 0o755), "{finding}");
    let said = doctor(&stage, &["--fix"], &[]).await;
    assert_eq!((said.code, mode()), (Some(0), 0o700), "{said:?}");
    assert!(said.stdout.contains("  mended   1 directory can be entered by other users"), "{}", said.stdout);
}

#[tokio::test]
async fn a_file_in_the_place_of_our_directory_is_an_error_that_fix_leaves_alone() {
    let stage = stage(well()).await;
    let own = Home::at(stage.home()).own_dir();
    fs::create_dir_all(own.parent().unwrap()).unwrap();
    fs::write(&own, "not ours").unwrap();
    let (code, found) = found(&stage, &["--fix"], &[]).await;
    let finding = trouble(&found, "directories");
    assert_eq!((code, word(finding, "level")), (Some(2), "error"));
    assert_eq!(fs::read(&own).unwrap(), b"not ours");
}

/// What a server leaves that was killed: its directory, and a Codex.
fn left_by_a_dead_server(home: &Home) -> std::process::Child {
    let dir = home.run_dir().join("dead");
    private_dir(&dir).unwrap();
    let mut sleep = std::process::Command::new("sleep");
    let child = sleep.arg("1000").env(MARK, "dead").process_group(0).spawn().unwrap();
    fs::write(dir.join("owner.lock"), "").unwrap();
    fs::write(dir.join("child.json"), json!({"v": 1, "pid": child.id()}).to_string()).unwrap();
    fs::write(home.run_dir().join("sweep.lock"), "").unwrap();
    child
}

#[tokio::test]
async fn what_a_dead_server_left_is_found_by_looking_and_ended_by_fix() {
    let stage = stage(well()).await;
    let home = Home::at(stage.home());
    let mut child = left_by_a_dead_server(&home);
    let (code, found) = self::found(&stage, &[], &[]).await;
    let finding = trouble(&found, "leftovers");
    assert_eq!((code, word(finding, "fix")), (Some(1), "possible"));
    assert!(word(finding, "what").contains(&format!("Codex still runs (process {})", child.id())), "{finding}");
    assert!(child.try_wait().unwrap().is_none(), "who looks ends nothing");
    let (code, found) = self::found(&stage, &["--fix"], &[]).await;
    assert_eq!(code, Some(0));
    assert!(of(&found, "leftovers").iter().any(|finding| word(finding, "fix") == "done"), "{found:?}");
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    assert!(!home.run_dir().join("dead").exists());
}

#[tokio::test]
async fn members_that_nobody_runs_are_taken_out_and_texts_that_nobody_got_are_not() {
    let pair = Pair::gather().await;
    pair.stage.rewrite(well());
    let home = Home::at(pair.stage.home());
    let post = ClaudePost::open(&home, &TeamName::from(&pair.ana.team));
    let lead =
        Lead { name: MemberName::parse("team-lead").unwrap(), session_id: None, model: "m".into(), cwd: "/".into() };
    post.create(&lead).unwrap();
    let (name, agent, team) = (pair.ana.identity.clone(), pair.ana.agent_id.clone(), pair.ana.team.clone());
    let (agent_type, model, color, cwd) = ("codex".into(), "m".into(), "blue".into(), "/".into());
    let new = NewMember { name, agent: agent.clone(), team, agent_type, model, prompt: None, color, cwd };
    post.join(&new).unwrap();
    post.set_active(&agent, Activity::Active).unwrap();
    let text = pair.queue().enqueue(&Text { text: "for ana".into(), ..Text::default() }).unwrap();
    pair.queue().bury(&text, "a test").unwrap();
    fs::write(pair.dir.agents_dir().join("broken.json"), "{").unwrap();

    let whats = |found: &[Value]| -> Vec<String> {
        let bad = of(found, "leftovers").into_iter().filter(|finding| word(finding, "level") == "warning");
        bad.map(|finding| format!("{} {}", word(finding, "fix"), word(finding, "what"))).collect()
    };
    let (code, found) = self::found(&pair.stage, &[], &[]).await;
    let seen = whats(&found);
    assert_eq!((code, seen.len()), (Some(1), 3), "{seen:?}");
    assert!(seen[0].starts_with("possible the team red has members that no server runs: ana"), "{seen:?}");
    assert!(
        seen[1].contains("broken.json cannot be read") && seen[2].ends_with("1 text could not be delivered"),
        "{seen:?}"
    );
    let (code, found) = self::found(&pair.stage, &["--fix"], &[]).await;
    let seen = whats(&found);
    assert!(code == Some(1) && seen[0].starts_with("done the team red"), "{seen:?}");
    let names: Vec<String> = post.roster().unwrap().into_iter().map(|member| member.name).collect();
    assert_eq!(names, ["team-lead"]);
    assert_eq!(pair.queue().depth().unwrap().dead, 1);
    assert!(pair.dir.agents_dir().join("broken.json").exists());
}
