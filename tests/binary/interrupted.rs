//! Whoever ends `doctor` or `demo` in the middle waits no longer, and nothing of it is left.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::server::within;
use crate::stage::{FAKE, Stage};

/// How it can be asked to end, and what it exits with.
const WAYS: [(Signal, i32); 3] = [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)];

/// A directory for temporary files.
fn temporary(stage: &Stage) -> PathBuf {
    let dir = stage.home().join("tmp");
    fs::create_dir(&dir).unwrap();
    dir
}

fn left_in(dir: &PathBuf) -> Vec<PathBuf> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn demo(stage: &Stage) -> Command {
    stage.program(&["demo", "--codex-bin", FAKE])
}

fn ask(program: &Child, signal: Signal) {
    let pid = program.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw).unwrap();
    kill_process(pid, signal).unwrap();
}

/// Asks the program to end when so many Codex run, one way after the other.
async fn all_goes(script: Value, codexes: usize, program: impl Fn(&Stage) -> Command) {
    for (signal, code) in WAYS {
        let stage = Stage::set(script.clone()).await;
        let dir = temporary(&stage);
        let mut program = program(&stage).env("TMPDIR", &dir).stdout(Stdio::null()).spawn().unwrap();
        let mut running = Vec::new();
        while running.len() < codexes {
            running.push(stage.codex().await);
        }
        assert!(!left_in(&dir).is_empty());
        ask(&program, signal);
        assert_eq!(within("its end", program.wait()).await.unwrap().code(), Some(code));
        assert_eq!(left_in(&dir), [""; 0].map(PathBuf::from), "{signal:?}");
        for codex in running {
            codex.gone().await;
        }
    }
}

#[tokio::test]
async fn nothing_is_left_of_a_doctor_whose_codex_does_not_answer() {
    all_goes(json!({"start": "silent"}), 2, |stage| stage.program(&["doctor"])).await;
}

#[tokio::test]
async fn nothing_is_left_of_a_doctor_whose_trial_turn_takes_long() {
    all_goes(json!({"turns": [["started", "wait"]]}), 2, |stage| stage.program(&["doctor"])).await;
}

#[tokio::test]
async fn nothing_is_left_of_a_demo_that_is_ended_early() {
    all_goes(json!({"turns": [["started", "wait"]]}), 1, demo).await;
    all_goes(json!({"start": "silent"}), 1, demo).await;
}

#[tokio::test]
async fn nothing_is_left_of_a_demo_that_fails() {
    let stage = Stage::set(json!({})).await;
    let dir = temporary(&stage);
    let output = demo(&stage).env("TMPDIR", &dir).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.starts_with("Error: the demo failed: expected the answer"), "{said}");
    assert_eq!(left_in(&dir), [""; 0].map(PathBuf::from));
}

#[tokio::test]
async fn a_reader_that_leaves_ends_the_demo_without_a_word() {
    let stage = Stage::set(json!({"turns": [["started", "wait", {"say": "Hello, I am ana."}]]})).await;
    let dir = temporary(&stage);
    let mut demo = demo(&stage);
    let mut demo = demo.env("TMPDIR", &dir).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    assert!(lines.next_line().await.unwrap().is_some_and(|line| line.contains("real Codex")));
    let mut codex = stage.codex().await;
    codex.got("turn/start").await;
    drop(lines);
    codex.go().await;
    let output = within("its end", demo.wait_with_output()).await.unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
    assert_eq!(left_in(&dir), [""; 0].map(PathBuf::from));
    codex.gone().await;
}

#[tokio::test]
async fn what_a_codex_that_is_a_script_has_started_ends_with_the_doctor() {
    let stage = Stage::set(json!({})).await;
    let (fifo, script) = (stage.home().join("held"), stage.home().join("codex"));
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let mut held = tokio::net::unix::pipe::OpenOptions::new().open_receiver(&fifo).unwrap();
    let hangs = format!("#!/bin/sh\nexec 3>'{}'\nsleep 1000 &\necho ready >&3\nwait\n", fifo.display());
    fs::write(&script, hangs).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let mut doctor = stage.program(&["doctor"]);
    let mut doctor = doctor.env("ATM_AGENT_MCP_CODEX_BIN", &script).stdout(Stdio::null()).spawn().unwrap();
    let mut said = [0; 6];
    within("the script", held.read_exact(&mut said)).await.unwrap();
    ask(&doctor, Signal::TERM);
    assert_eq!(within("its end", doctor.wait()).await.unwrap().code(), Some(143));
    assert_eq!(within("the end of all", held.read(&mut said)).await.unwrap(), 0);
}
