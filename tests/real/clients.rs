//! A client that others wrote: the MCP Inspector, on the command line, against our program and a real Codex.
//!
//! It speaks to the server over pipes and to nobody else (2.12.0: strace shows no `connect`). It is stricter than most:
//! it holds every result to the tool's output schema, errors too, and with `--strict` the schemas to what other clients
//! and models can read. Its exit codes: 5 for a tool result with `isError`, 6 for a schema that is not portable.

use std::env;
use std::path::{Path, PathBuf};

use atm_agent_mcp::demo::model::spoken;
use atm_agent_mcp::demo::world::World;
use serde_json::{Value, json};

const INSPECTOR: &str = "2.12.0";
const CODEX: &str = "0.169.0";

/// What `cargo xtask test` has installed: where it says, or where it does so by default.
pub(crate) fn installed(path: PathBuf) -> PathBuf {
    assert!(path.exists(), "{} is not there; `cargo xtask test` installs it and runs the tests", path.display());
    path
}

fn npm_bin(version_dir: PathBuf, name: &str) -> PathBuf {
    let name = if cfg!(windows) { format!("{name}.cmd") } else { name.to_owned() };
    version_dir.join("node_modules").join(".bin").join(name)
}

pub(crate) fn target() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target")
}

fn inspector() -> PathBuf {
    let here = || npm_bin(target().join("inspector").join(INSPECTOR), "mcp-inspector");
    installed(env::var_os("ATM_TEST_INSPECTOR").map_or_else(here, PathBuf::from))
}

fn codex() -> PathBuf {
    let dir = env::var_os("ATM_TEST_CODEX_DIR").map_or_else(|| target().join("codex"), PathBuf::from);
    installed(npm_bin(dir.join(CODEX), "codex"))
}

/// What the inspector printed, and its exit code.
struct Seen {
    code: Option<i32>,
    result: Value,
    complaints: String,
}

/// Has the inspector start our server, ask it one thing, and leave.
async fn inspect(args: &[&str]) -> Seen {
    let world = World::new(spoken).await.unwrap();
    let mut command = world.command(&inspector(), &codex());
    // It keeps its own files under HOME, and gives the server only what it is told to.
    command.env("HOME", world.home()).arg("--cli");
    let given: Vec<_> =
        command.as_std().get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
    for (name, value) in given {
        command.arg("-e").arg(format!("{}={}", name.display(), value.display()));
    }
    command.args([env!("CARGO_BIN_EXE_atm-agent-mcp"), "serve", "--format", "json"]).args(args);
    let output = command.output().await.unwrap();
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    Seen { code: output.status.code(), result: printed["result"].clone(), complaints }
}

async fn codex_called(era: &str, arguments: &Value) -> Seen {
    let arguments = arguments.to_string();
    let call = ["--method", "tools/call", "--tool-name", "codex", "--tool-args-json", &arguments];
    inspect(&[&["--protocol-era", era], &call[..]].concat()).await
}

#[tokio::test]
async fn the_inspector_finds_every_schema_portable() {
    let Seen { code, result, complaints } = inspect(&["--method", "tools/list", "--strict"]).await;
    assert_eq!(code, Some(0), "{complaints}");
    let names: Vec<_> = result["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert!(names.starts_with(&["codex", "codex-reply"]), "{names:?}");
}

#[tokio::test]
async fn the_inspector_gets_an_answer_in_both_eras_and_by_negotiation() {
    for era in ["legacy", "modern", "auto"] {
        let Seen { code, result, complaints } = codex_called(era, &json!({ "prompt": "SAY hello from outside" })).await;
        assert_eq!(code, Some(0), "{era}: {complaints}");
        assert_eq!(result["structuredContent"]["content"], "hello from outside", "{era}");
    }
}

#[tokio::test]
async fn the_inspector_is_shown_why_a_call_failed() {
    for (era, arguments, why) in [
        ("legacy", json!({}), "argument prompt: it is missing"),
        ("modern", json!({ "prompt": "FAIL 500" }), "The turn of codex failed"),
    ] {
        let Seen { code, result, complaints } = codex_called(era, &arguments).await;
        assert_eq!(code, Some(5), "{era}: {complaints}");
        assert!(result["content"][0]["text"].as_str().unwrap().contains(why), "{era}: {result}");
    }
}
