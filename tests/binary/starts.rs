//! A Codex that is not there, too old, dying or silent: the call says so, with what to do, and the next call tries again.

use std::time::{Duration, Instant};

#[cfg(unix)]
use serde_json::Value;
use serde_json::json;

use crate::server::Server;
use crate::stage::Stage;

/// How long a call may take to say that there is no Codex.
const PROMISED: Duration = Duration::from_secs(15);

/// The error of a first call.
async fn error_of(server: &mut Server) -> String {
    let asked = Instant::now();
    let result = server.call("codex", json!({ "prompt": "x" })).await;
    assert!(asked.elapsed() < PROMISED, "{:?}", asked.elapsed());
    assert_eq!(result["isError"], true, "{result}");
    result["structuredContent"]["content"].as_str().unwrap().to_owned()
}

/// Codex is put right, and the same call works under the same name; nothing of the failed start is left.
async fn goes_on(stage: &Stage, mut server: Server) {
    let status = server.done("agent_status", json!({})).await;
    assert_eq!(status["child_alive"], false, "{status}");
    stage.rewrite(json!({}));
    let result = server.done("codex", json!({ "prompt": "x" })).await;
    assert_eq!((&result["content"], &result["identity"]), (&json!("done"), &json!("codex")));
    assert!(server.leave().await.status.success());
    let run: Vec<_> = stage.files().into_iter().filter(|path| path.parent().unwrap().ends_with("run")).collect();
    assert_eq!(run, [stage.home().join(".config/atm/run/sweep.lock")]);
}

#[tokio::test]
async fn without_codex_the_call_tells_the_command_that_installs_it() {
    let stage = Stage::set(json!({})).await;
    let mut command = stage.command(&[]);
    command.env_remove("ATM_AGENT_MCP_CODEX_BIN").env("PATH", stage.project());
    let error = error_of(&mut Server::open(command).await).await;
    assert!(error.contains("npm install -g @openai/codex") && error.contains("codex_bin"), "{error}");
    let mut command = stage.command(&[]);
    command.env("ATM_AGENT_MCP_CODEX_BIN", "/nowhere/codex");
    let error = error_of(&mut Server::open(command).await).await;
    assert!(error.contains("npm install -g @openai/codex") && error.contains("/nowhere/codex"), "{error}");
}

#[tokio::test]
async fn a_codex_that_is_too_old_is_told_with_its_version_and_the_command_that_updates_it() {
    let stage = Stage::set(json!({ "version": "0.143.9" })).await;
    let mut server = stage.server(&[]).await;
    let error = error_of(&mut server).await;
    let words = ["0.143.9", "too old", "0.144.0", "npm install -g @openai/codex@latest"];
    assert!(words.iter().all(|word| error.contains(word)), "{error}");
    stage.codex().await.gone().await;
    goes_on(&stage, server).await;
}

#[tokio::test]
async fn a_codex_that_dies_at_its_start_is_told_with_its_last_lines() {
    let prints = ["\u{1b}[31mError\u{1b}[0m: config.toml:3: unknown variant `sometimes`", "  for approval_policy"];
    let stage = Stage::set(json!({ "prints": prints, "start": { "exit": 3 } })).await;
    let mut server = stage.server(&[]).await;
    let error = error_of(&mut server).await;
    let words = [": 3; its last lines", "Error: config.toml:3: unknown variant `sometimes`\nfor approval_policy"];
    assert!(words.iter().all(|word| error.contains(word)) && !error.contains('\u{1b}'), "{error}");
    goes_on(&stage, server).await;
}

#[tokio::test]
async fn a_codex_that_refuses_to_be_initialized_is_told_with_its_words_and_is_ended() {
    let stage = Stage::set(json!({ "refuses": { "initialize": "no licence" } })).await;
    let mut server = stage.server(&[]).await;
    let error = error_of(&mut server).await;
    assert!(error.contains("no licence"), "{error}");
    stage.codex().await.gone().await;
    goes_on(&stage, server).await;
}

#[tokio::test]
async fn a_codex_that_never_answers_is_told_within_15_seconds_and_is_ended() {
    let stage = Stage::set(json!({ "prints": ["waiting for the keychain"], "start": "silent" })).await;
    let mut server = stage.server(&[]).await;
    let error = error_of(&mut server).await;
    assert!(error.contains("did not answer within 10 s") && error.contains("waiting for the keychain"), "{error}");
    stage.codex().await.gone().await;
    goes_on(&stage, server).await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_codex_that_closes_its_connection_and_stays_is_told_within_15_seconds_and_is_ended() {
    let stage = Stage::set(json!({ "start": "hang_up" })).await;
    let mut server = stage.server(&[]).await;
    let error = error_of(&mut server).await;
    assert!(error.contains("closed its connection"), "{error}");
    stage.codex().await.gone().await;
    goes_on(&stage, server).await;
}

#[tokio::test]
async fn calls_at_the_same_time_share_one_start_and_its_failure() {
    let stage = Stage::set(json!({ "prints": ["no"], "start": { "exit": 3 } })).await;
    let mut server = stage.server(&[]).await;
    let mut calls = Vec::new();
    for _ in 0..5 {
        calls.push(server.begin("codex", json!({ "prompt": "x" })).await);
    }
    for call in calls {
        assert_eq!(server.result(call).await["isError"], true);
    }
    goes_on(&stage, server).await;
}

#[tokio::test]
async fn a_home_that_cannot_be_used_is_told_with_its_path_and_nothing_is_started() {
    let stage = Stage::set(json!({})).await;
    std::fs::write(stage.home().join(".config"), "a file").unwrap();
    let mut server = stage.server(&[]).await;
    let error = server.fails("codex", json!({ "prompt": "x" })).await;
    assert!(error.contains(stage.home().join(".config").to_str().unwrap()), "{error}");
    let status = server.done("agent_status", json!({})).await;
    assert_eq!((&status["child_alive"], &status["active_thread_count"]), (&json!(false), &json!(0)));
}

#[cfg(unix)]
#[tokio::test]
async fn a_codex_without_listen_is_spoken_to_over_its_pipes() {
    let stage = Stage::set(json!({ "without_listen": true })).await;
    let mut server = stage.server(&[]).await;
    assert_eq!(server.done("codex", json!({ "prompt": "x" })).await["content"], "done");
    assert_eq!(stage.codex().await.args, ["app-server"]);
    let status = server.done("agent_status", json!({})).await;
    assert_eq!((&status["codex"]["transport"], &status["codex"]["socket"]), (&json!("stdio"), &Value::Null));
    assert_eq!(server.done("codex-reply", json!({ "identity": "codex", "prompt": "x" })).await["content"], "done");
    assert!(server.leave().await.status.success());
}

#[cfg(unix)]
#[tokio::test]
async fn a_codex_that_listens_is_spoken_to_over_a_socket_that_only_the_user_can_reach() {
    use std::os::unix::fs::PermissionsExt;
    let stage = Stage::set(json!({})).await;
    let mut server = stage.server(&[]).await;
    server.done("codex", json!({ "prompt": "x" })).await;
    let status = server.done("agent_status", json!({})).await;
    assert_eq!(status["codex"]["transport"], "unix socket", "{status}");
    let socket = std::path::PathBuf::from(status["codex"]["socket"].as_str().unwrap());
    let codex = stage.codex().await;
    assert_eq!(codex.args, ["app-server", "--listen", &format!("unix://{}", socket.display())]);
    assert_eq!(status["codex"]["pid"], codex.pid);
    let mode = std::fs::metadata(socket.parent().unwrap()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}
