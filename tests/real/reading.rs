//! Mail that an agent reads itself: what is marked read has reached its model, whole, whatever is killed.

use std::os::unix::process::ExitStatusExt;

use atm_agent_mcp::demo::model::{Gate, Reply, Request, spoken};
use atm_agent_mcp::steps;
use serde_json::{Value, json};

use crate::letters::{put, until};
use crate::stage::{Scene, Server, Stage};

on_each_codex! {
    what_an_agent_reads_reaches_its_model_whole,
    what_a_model_that_writes_javascript_reads_reaches_it_whole,
    what_a_model_that_codex_does_not_know_reads_reaches_it_whole,
    what_an_agent_has_read_is_in_its_thread_once_whatever_is_killed,
    what_a_model_that_writes_javascript_has_read_is_in_its_thread_once_whatever_is_killed,
    what_an_agent_has_read_is_in_its_thread_once_when_its_codex_is_killed,
    what_an_agent_reads_is_not_brought_to_it_too,
    what_was_brought_when_its_server_was_killed_is_not_read_too,
    a_shutdown_is_followed_whatever_is_killed,
}

/// The text that the model has been shown so far, whichever way.
fn seen(request: &Request) -> String {
    request.outputs().join("\n") + &request.texts("user").join("\n")
}

/// A model that reads its mail when it is told `READ`.
fn reader(code_mode: bool) -> impl Fn(&Request) -> Reply + Send + Sync {
    move |request: &Request| match request.last_user_text() {
        _ if request.last_item_is_output() => Reply::say("done"),
        read if read == "READ" && code_mode => {
            Reply::call("exec", Value::String("text(await tools.atm__read({}))".to_owned()))
        }
        read if read == "READ" => Reply::call("atm.read", json!({})),
        mail if mail.contains("atm-letter") => Reply::say("noted"),
        _ => spoken(request),
    }
}

/// The settings of a repository in which no mail is brought.
fn not_brought(scene: &Scene) {
    std::fs::write(scene.project().join(".atm.toml"), "[plugins.atm-agent-mcp]\nauto_mail = false\n").unwrap();
}

async fn start(scene: &Scene, server: &Server, args: Value) {
    server.call("codex", args).await.good();
    until(server, || scene.members("tests").contains(&"ana".to_owned())).await;
}

async fn what_an_agent_reads_reaches_its_model_whole(stage: Stage) {
    reads_all(stage, false, Value::Null).await;
}

async fn what_a_model_that_writes_javascript_reads_reaches_it_whole(stage: Stage) {
    reads_all(stage, true, json!(crate::tools::CODE_MODE)).await;
}

async fn what_a_model_that_codex_does_not_know_reads_reaches_it_whole(stage: Stage) {
    reads_all(stage, false, json!("nobody-knows-me")).await;
}

async fn reads_all(stage: Stage, code_mode: bool, model: Value) {
    let scene = stage.with(reader(code_mode)).await;
    not_brought(&scene);
    let server = scene.serve(&[]).await;
    start(&scene, &server, json!({"identity": "ana", "prompt": "SAY hello", "model": model})).await;
    let texts: Vec<String> = (0..12).map(|n| format!("mail {n} {} end {n}", "Käse €".repeat(300))).collect();
    texts.iter().for_each(|text| scene.mail("team-lead", "ana", text));
    let mut rounds = 0;
    while scene.unread("ana") > 0 {
        rounds += 1;
        assert!(rounds < 20, "{} are never read", scene.unread("ana"));
        server.call("codex-reply", json!({"identity": "ana", "prompt": "READ"})).await.good();
        let seen = seen(&scene.asked_last());
        let unseen = |text: &&Value| !seen.contains(text.as_str().unwrap());
        let read = scene.inbox("tests", "ana").into_iter().filter(|mail| mail.read);
        let read: Vec<Value> = read.map(|mail| json!(mail.text)).collect();
        assert_eq!(read.iter().find(unseen), None, "it is marked, and the model has not seen it");
    }
    assert!(rounds > 1, "all at once is more than Codex shows");
    scene.end(server).await;
}

async fn what_an_agent_has_read_is_in_its_thread_once_whatever_is_killed(stage: Stage) {
    killed_while_it_reads(stage, false, Value::Null).await;
}

async fn what_a_model_that_writes_javascript_has_read_is_in_its_thread_once_whatever_is_killed(stage: Stage) {
    killed_while_it_reads(stage, true, json!(crate::tools::CODE_MODE)).await;
}

async fn killed_while_it_reads(stage: Stage, code_mode: bool, model: Value) {
    let scene = stage.with(reader(code_mode)).await;
    not_brought(&scene);
    let server = scene.serve(&[]).await;
    start(&scene, &server, json!({"identity": "ana", "prompt": "SAY hello", "model": model})).await;
    scene.end(server).await;
    let lives = [
        "read.noted",
        "tool.answered",
        "tool.complete",
        "tool.counted",
        "mail.flocked:3",
        "mail.synced:3",
        "mail.replaced:3",
        "read.marked",
    ];
    for step in lives {
        let mut command = scene.command(&["--resume", "ana"]);
        command.env(steps::KILL_AT, step);
        let mut server = Server::start(command).await;
        until(&server, || scene.members("tests").contains(&"ana".to_owned())).await;
        scene.mail("team-lead", "ana", &format!("mail at {step} end"));
        let read = server.begin("codex-reply", json!({"identity": "ana", "prompt": "READ"})).await;
        let status = server.died().await;
        drop(read);
        scene.ten_seconds_later();
        assert_eq!(status.signal(), Some(9), "{step}: {status}");
        let server = scene.serve(&["--resume", "ana"]).await;
        while scene.unread("ana") > 0 {
            server.call("codex-reply", json!({"identity": "ana", "prompt": "READ"})).await.good();
        }
        scene.end(server).await;
    }
    let server = scene.serve(&["--resume", "ana"]).await;
    server.call("codex-reply", json!({"identity": "ana", "prompt": "SAY last"})).await.good();
    let seen = seen(&scene.asked_last());
    for step in lives {
        assert_eq!(seen.matches(&format!("mail at {step} end")).count(), 1, "{step} in {seen}");
    }
    scene.end(server).await;
}

async fn what_an_agent_has_read_is_in_its_thread_once_when_its_codex_is_killed(stage: Stage) {
    let gate = Gate::new();
    let (kept, read) = (gate.clone(), reader(false));
    let scene = stage
        .with(move |request| match request.last_item_is_output() {
            true => Reply::say("done").after(&kept),
            false => read(request),
        })
        .await;
    not_brought(&scene);
    let server = scene.serve(&[]).await;
    start(&scene, &server, json!({"identity": "ana", "prompt": "SAY hello"})).await;
    scene.mail("team-lead", "ana", "mail once end");
    let reading = server.begin("codex-reply", json!({"identity": "ana", "prompt": "READ"})).await;
    // Its model has it by now; whether it is marked, nobody knows.
    gate.reached().await;
    server.codex().await.kill();
    reading.result().await.bad();
    gate.open();
    until(&server, || scene.unread("ana") == 0).await;
    server.rested("ana").await;
    server.call("codex-reply", json!({"identity": "ana", "prompt": "SAY last"})).await.good();
    let seen = seen(&scene.asked_last());
    assert_eq!(seen.matches("mail once end").count(), 1, "{seen}");
    scene.end(server).await;
}

async fn what_an_agent_reads_is_not_brought_to_it_too(stage: Stage) {
    let scene = stage.with(reader(false)).await;
    let server = scene.serve(&[]).await;
    start(&scene, &server, json!({"identity": "ana", "prompt": "SAY hello"})).await;
    for n in 0..10 {
        let read = server.begin("codex-reply", json!({"identity": "ana", "prompt": "READ"})).await;
        scene.mail("team-lead", "ana", &format!("[urgent] mail {n} end"));
        read.result().await.good();
    }
    until(&server, || scene.unread("ana") == 0).await;
    server.rested("ana").await;
    server.call("codex-reply", json!({"identity": "ana", "prompt": "SAY last"})).await.good();
    let seen = seen(&scene.asked_last());
    for n in 0..10 {
        assert_eq!(seen.matches(&format!("[urgent] mail {n} end")).count(), 1, "{n} in {seen}");
    }
    scene.end(server).await;
}

async fn what_was_brought_when_its_server_was_killed_is_not_read_too(stage: Stage) {
    let scene = stage.with(reader(false)).await;
    let server = scene.serve(&[]).await;
    start(&scene, &server, json!({"identity": "ana", "prompt": "SAY hello"})).await;
    scene.end(server).await;
    let mut command = scene.command(&["--resume", "ana"]);
    command.env(steps::KILL_AT, "letter.proved");
    let mut server = Server::start(command).await;
    put(&scene, "ana", "mail once end");
    assert_eq!(server.died().await.signal(), Some(9));
    scene.ten_seconds_later();
    // The courier does not come to settle it: somebody holds the roster, which it needs before.
    let lock = scene.home().join(".claude/teams/tests/config.json.lock");
    std::fs::create_dir(&lock).unwrap();
    let server = scene.serve(&["--resume", "ana"]).await;
    server.call("codex-reply", json!({"identity": "ana", "prompt": "READ"})).await.good();
    assert!(scene.asked_last().outputs()[0].contains("1 more are being shown to you"));
    std::fs::remove_dir(&lock).unwrap();
    until(&server, || scene.unread("ana") == 0).await;
    server.call("codex-reply", json!({"identity": "ana", "prompt": "SAY last"})).await.good();
    let seen = seen(&scene.asked_last());
    assert_eq!(seen.matches("mail once end").count(), 1, "{seen}");
    scene.end(server).await;
}

async fn a_shutdown_is_followed_whatever_is_killed(stage: Stage) {
    let scene = stage.with(reader(false)).await;
    let ask = json!({"type": "shutdown_request", "requestId": "shutdown-1@ana", "from": "team-lead", "timestamp": "2026-11-25T13:12:38.123Z"});
    not_brought(&scene);
    // Its place in the team first, in two steps; then the answer, then the mark.
    for (life, step) in ["mail.flocked:3", "mail.replaced:3", "mail.flocked:4", "mail.replaced:4"].iter().enumerate() {
        let name = format!("ana-{life}");
        let server = scene.serve(&[]).await;
        server.call("codex", json!({"identity": name, "prompt": "SAY hello"})).await.good();
        scene.end(server).await;
        put(&scene, &name, &ask.to_string());
        let mut command = scene.command(&["--resume", &name]);
        command.env(steps::KILL_AT, step);
        let mut server = Server::start(command).await;
        let status = server.died().await;
        scene.ten_seconds_later();
        assert_eq!(status.signal(), Some(9), "{step}: {status}");
        let server = scene.serve(&[]).await;
        until(&server, || scene.unread(&name) == 0).await;
        let sessions = server.call("agent_sessions", json!({"include_closed": true})).await.good();
        let ended = sessions.list("sessions").iter().find(|agent| agent["identity"] == *name).unwrap();
        assert_eq!(ended["status"], "closed", "{step}");
        let answers = scene.inbox("tests", "team-lead").into_iter().filter(|mail| mail.from == name);
        assert_eq!(answers.filter(|mail| mail.text.contains("shutdown_approved")).count(), 1, "{step}");
        scene.end(server).await;
    }
}
