//! `top` in a real terminal, over real agents: what it shows of them, and what its keys do to them.

use serde_json::json;

use crate::letters::until;
use crate::people::{opens, quit};
use crate::stage::{Scene, Server, Stage};
use crate::terminal::Terminal;

on_each_codex! {
    it_shows_live_what_an_agent_does_and_what_came_of_it,
    what_is_typed_there_joins_the_running_turn,
    it_interrupts_a_turn,
    what_codex_asks_is_approved_and_declined_there,
    an_ask_that_was_there_before_is_seen_and_approved,
    an_ask_of_another_agent_is_not_approved_when_the_chosen_one_is_gone,
    the_change_of_a_file_is_seen_there_before_it_is_approved,
    a_long_command_is_read_to_its_end_before_it_is_approved,
    it_closes_an_agent_that_is_a_member_of_the_team,
    the_codex_ui_is_opened_from_it_and_left_for_it,
    servers_come_and_are_killed_and_it_shows_who_is_there,
}

pub(crate) const SIZE: (u16, u16) = (100, 30);

pub(crate) async fn top(scene: &Scene, args: &[&str]) -> Terminal {
    let terminal = Terminal::run(scene, SIZE, &[&["top"], args].concat()).await;
    terminal.shows("atm-agent-mcp top").await;
    terminal
}

/// Leaves it, and sees that the terminal is as it was.
pub(crate) async fn leave(terminal: &Terminal) {
    terminal.press(&["q"]).await;
    let screen = terminal.shows("ended with 0").await;
    assert!(!screen.contains("atm-agent-mcp top  "), "{screen}");
    terminal.is_restored().await;
}

/// Until it is said of ana.
pub(crate) async fn ana(terminal: &Terminal, words: &str) {
    said_of(terminal, "ana", words).await;
}

async fn said_of(terminal: &Terminal, agent: &str, words: &str) {
    let is_said = |line: &str| line.starts_with(agent) && line.contains(words);
    let seen = terminal.looks(async |screen| screen.lines().any(is_said)).await;
    seen.unwrap_or_else(|screen| panic!("no {agent} {words:?} on\n{screen}"));
}

async fn servers_come_and_are_killed_and_it_shows_who_is_there(stage: Stage) {
    let (scene, [held]) = stage.with_gates(["held"]).await;
    let terminal = top(&scene, &["--all-teams"]).await;
    let (one, other) = (scene.serve(&[]).await, scene.serve(&[]).await);
    let third = Server::start(scene.program(&["serve", "--team", "elsewhere"])).await;
    let hold = one.begin("codex", json!({"identity": "ana", "prompt": "HOLD held"})).await;
    other.call("codex", json!({"identity": "ben", "prompt": "SAY two"})).await.good();
    third.call("codex", json!({"identity": "cat", "prompt": "SAY three"})).await.good();
    held.reached().await;
    for (agent, words) in [("ana", " works "), ("ben", " idle "), ("cat", " idle ")] {
        said_of(&terminal, agent, words).await;
    }
    drop(hold);
    one.kill().await;
    ana(&terminal, " away ").await;
    said_of(&terminal, "ben", " idle ").await;
    held.open();
    other.call("codex-reply", json!({"identity": "ana", "prompt": "SAY here again"})).await.good();
    ana(&terminal, " idle ").await;
    leave(&terminal).await;
    third.kill().await;
    other.kill().await;
}

async fn it_shows_live_what_an_agent_does_and_what_came_of_it(stage: Stage) {
    let (scene, [held]) = stage.with_gates(["held"]).await;
    let terminal = top(&scene, &["--team", "tests"]).await;
    terminal.shows("No agents yet.").await;
    let server = scene.serve(&[]).await;
    server.call("codex", json!({"identity": "ana", "prompt": "SAY one word"})).await.good();
    ana(&terminal, " idle ").await;
    terminal.shows("│| one word").await;
    let call = server.begin("codex-reply", json!({"identity": "ana", "prompt": "HOLD held"})).await;
    held.reached().await;
    ana(&terminal, " works ").await;
    terminal.shows("│> HOLD held").await;
    terminal.shows("1 in the audit").await;
    terminal.resize((80, 24)).await;
    let is_resized = |screen: &str| screen.lines().nth(23).is_some_and(|line| line.starts_with("a attach"));
    let resized = terminal.looks(async |screen| is_resized(screen)).await.expect("a picture of the new size");
    assert!(resized.contains("┌ ana, gpt-5.5, thread "), "{resized}");
    held.open();
    call.result().await.good();
    terminal.shows("│| held is done").await;
    terminal.shows("2 in the audit").await;
    ana(&terminal, " idle ").await;
    scene.end(server).await;
    ana(&terminal, " away ").await;
    leave(&terminal).await;
}

async fn what_is_typed_there_joins_the_running_turn(stage: Stage) {
    let (scene, [held]) = stage.with_gates(["held"]).await;
    let server = scene.serve(&[]).await;
    server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    let terminal = top(&scene, &["--team", "tests"]).await;
    let call = server.begin("codex-reply", json!({"identity": "ana", "prompt": "HOLD held"})).await;
    held.reached().await;
    ana(&terminal, " works ").await;
    terminal.press(&["s"]).await;
    terminal.shows("to ana:").await;
    terminal.types("SAY what the human wants").await;
    terminal.press(&["Enter"]).await;
    terminal.shows("in the queue of ana: it joins the turn, or begins one").await;
    held.open();
    assert_eq!(call.result().await.good().content(), "what the human wants");
    terminal.shows("│> SAY what the human wants").await;
    terminal.press(&["s"]).await;
    terminal.shows("to ana:").await;
    terminal.pastes("SAY its first line\nand its last").await;
    terminal.shows("SAY its first line\\nand its last").await;
    terminal.press(&["Enter"]).await;
    terminal.shows("│| and its last").await;
    leave(&terminal).await;
    scene.end(server).await;
}

async fn it_interrupts_a_turn(stage: Stage) {
    let (scene, [held]) = stage.with_gates(["held"]).await;
    let server = scene.serve(&[]).await;
    server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    let call = server.begin("codex-reply", json!({"identity": "ana", "prompt": "HOLD held"})).await;
    held.reached().await;
    let terminal = top(&scene, &["--all-teams"]).await;
    terminal.shows("ana@tests").await;
    ana(&terminal, " works ").await;
    terminal.press(&["i"]).await;
    terminal.shows("end the turn of ana? y/N").await;
    terminal.press(&["y"]).await;
    assert_eq!(call.result().await.bad().text("status"), "interrupted");
    terminal.shows("│-- interrupted").await;
    leave(&terminal).await;
    scene.end(server).await;
}

/// In a read-only sandbox an approved command fails first, and Codex repeats it outside only if it failed fast (0.144.6 and
/// 0.169.0): so it is one that lets it write.
async fn asking(stage: Stage) -> (Scene, Server) {
    let scene = stage.plain().await;
    let server = scene.serve(&[]).await;
    let start =
        json!({"identity": "ana", "prompt": "SAY one", "approval-policy": "untrusted", "sandbox": "workspace-write"});
    server.call("codex", start).await.good();
    (scene, server)
}

async fn asks(server: &Server, file: &str) {
    let prompt = format!("RUN touch {file}");
    let told = server.call("codex-reply", json!({"identity": "ana", "prompt": prompt})).await.good();
    assert_eq!(told.text("status"), "awaiting_approval");
}

async fn what_codex_asks_is_approved_and_declined_there(stage: Stage) {
    let (scene, server) = asking(stage).await;
    let terminal = top(&scene, &["--team", "tests"]).await;
    ana(&terminal, " idle ").await;
    for (file, key, done) in [("yes", "y", "approved: ana asked"), ("no", "n", "declined: ana asked")] {
        asks(&server, file).await;
        ana(&terminal, " asks ").await;
        terminal.shows("y approves, n declines").await;
        terminal.press(&[key]).await;
        terminal.shows(done).await;
        ana(&terminal, " idle ").await;
        server.call("agent_wait", json!({"agents": ["ana"], "mode": "all"})).await.good();
    }
    // On a busy machine a command may go on when its turn has ended.
    until(&server, || scene.project().join("yes").exists()).await;
    assert!(!scene.project().join("no").exists());
    leave(&terminal).await;
    scene.end(server).await;
}

async fn an_ask_that_was_there_before_is_seen_and_approved(stage: Stage) {
    let (scene, server) = asking(stage).await;
    asks(&server, "made").await;
    let terminal = top(&scene, &["--team", "tests"]).await;
    terminal.shows("y approves, n declines").await;
    ana(&terminal, " asks ").await;
    terminal.press(&["y"]).await;
    ana(&terminal, " idle ").await;
    until(&server, || scene.project().join("made").exists()).await;
    leave(&terminal).await;
    scene.end(server).await;
}

async fn an_ask_of_another_agent_is_not_approved_when_the_chosen_one_is_gone(stage: Stage) {
    let (scene, server) = asking(stage).await;
    let start = json!({"identity": "ben", "prompt": "RUN touch bens", "approval-policy": "untrusted", "sandbox": "workspace-write"});
    asks(&server, "anas").await;
    assert_eq!(server.call("codex", start).await.good().text("status"), "awaiting_approval");
    let terminal = top(&scene, &["--team", "tests"]).await;
    said_of(&terminal, "ben", " asks ").await;
    ana(&terminal, " asks ").await;
    terminal.press(&["Down"]).await;
    terminal.shows("ben asks to run a command").await;
    server.call("agent_close", json!({"identity": "ben"})).await.good();
    terminal.shows("1 agent: 1 asks").await;
    terminal.press(&["y"]).await;
    terminal.shows("ben is gone; up and down choose another").await;
    terminal.press(&["Up"]).await;
    terminal.shows("ana asks to run a command").await;
    terminal.press(&["n"]).await;
    terminal.shows("declined: ana asked").await;
    ana(&terminal, " idle ").await;
    assert!(!scene.project().join("anas").exists());
    leave(&terminal).await;
    scene.end(server).await;
}

async fn the_change_of_a_file_is_seen_there_before_it_is_approved(stage: Stage) {
    let (scene, server) = asking(stage).await;
    let change = async |file: &str| {
        let patch = format!("*** Begin Patch\n*** Add File: {file}\n+some text of the {file}\n*** End Patch");
        let prompt = format!("CALL apply_patch {}", serde_json::Value::from(patch));
        let told = server.call("codex-reply", json!({"identity": "ana", "prompt": prompt})).await.good();
        assert_eq!(told.text("status"), "awaiting_approval");
    };
    let terminal = top(&scene, &["--team", "tests"]).await;
    ana(&terminal, " idle ").await;
    change("first").await;
    terminal.shows("some text of the first").await;
    terminal.shows("y approves, n declines").await;
    terminal.press(&["y"]).await;
    terminal.shows("approved: ana asked").await;
    until(&server, || scene.project().join("first").exists()).await;
    ana(&terminal, " idle ").await;
    leave(&terminal).await;
    // Who comes while it is asked is not told by every Codex what it is about (0.169.0 does not), but can decline it.
    change("second").await;
    let terminal = top(&scene, &["--team", "tests"]).await;
    terminal.shows("ana asks to change files").await;
    terminal.press(&["n"]).await;
    terminal.shows("declined: ana asked").await;
    ana(&terminal, " idle ").await;
    assert!(!scene.project().join("second").exists());
    leave(&terminal).await;
    scene.end(server).await;
}

async fn a_long_command_is_read_to_its_end_before_it_is_approved(stage: Stage) {
    let (scene, server) = asking(stage).await;
    let terminal = top(&scene, &["--team", "tests"]).await;
    ana(&terminal, " idle ").await;
    asks(&server, &format!("made; true {} the-end", "A".repeat(3000))).await;
    terminal.shows("y approves, n declines; PgDn, PgUp: 1 to").await;
    terminal.press(&["y"]).await;
    terminal.shows("read it to its end first: PgDn").await;
    terminal.press(&["PageDown"]).await;
    // Where it is run stands below it.
    terminal.shows("│in /").await;
    assert!(!scene.project().join("made").exists());
    terminal.press(&["y"]).await;
    terminal.shows("approved: ana asked").await;
    until(&server, || scene.project().join("made").exists()).await;
    leave(&terminal).await;
    scene.end(server).await;
}

async fn it_closes_an_agent_that_is_a_member_of_the_team(stage: Stage) {
    let scene = stage.plain().await;
    let server = scene.serve(&[]).await;
    server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    until(&server, || scene.members("tests").contains(&"ana".to_owned())).await;
    let terminal = top(&scene, &["--team", "tests"]).await;
    ana(&terminal, " idle ").await;
    terminal.press(&["c"]).await;
    terminal.shows("close ana after its turn? y/N").await;
    terminal.press(&["y"]).await;
    terminal.shows("no agents; 1 closed hidden").await;
    let all = server.call("agent_sessions", json!({"include_closed": true})).await.good();
    assert_eq!(all.each("sessions", "status"), ["closed"], "{all:?}");
    leave(&terminal).await;
    scene.end(server).await;
}

async fn the_codex_ui_is_opened_from_it_and_left_for_it(stage: Stage) {
    let scene = stage.plain().await;
    let server = scene.serve(&[]).await;
    server.call("codex", json!({"identity": "ana", "prompt": "SAY first word"})).await.good();
    let terminal = top(&scene, &["--team", "tests"]).await;
    ana(&terminal, " idle ").await;
    terminal.press(&["a"]).await;
    opens(&terminal, "• first word").await;
    quit(&terminal, "atm-agent-mcp top").await;
    ana(&terminal, " idle ").await;
    server.call("codex-reply", json!({"identity": "ana", "prompt": "SAY live again"})).await.good();
    terminal.shows("│| live again").await;
    leave(&terminal).await;
    scene.end(server).await;
}
