//! `top` in a real terminal, over real agents: what it shows of them, and what its keys do to them.

use rustix::process::{Pid, Signal, kill_process};
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

const SIZE: (u16, u16) = (100, 30);

async fn top(scene: &Scene, args: &[&str]) -> Terminal {
    let terminal = Terminal::run(scene, SIZE, &[&["top"], args].concat()).await;
    terminal.shows("atm-agent-mcp top").await;
    terminal
}

/// Leaves it, and sees that the terminal is as it was.
async fn leave(terminal: &Terminal) {
    terminal.press(&["q"]).await;
    let screen = terminal.shows("ended with 0").await;
    assert!(!screen.contains("atm-agent-mcp top  "), "{screen}");
    terminal.is_restored().await;
}

/// Until it is said of ana.
async fn ana(terminal: &Terminal, words: &str) {
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
    terminal.shows("│one word").await;
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
    terminal.shows("│held is done").await;
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
    terminal.shows("│and its last").await;
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
    server.call("agent_wait", json!({"agents": ["ana"], "mode": "all"})).await.good();
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
    server.call("agent_wait", json!({"agents": ["ana"], "mode": "all"})).await.good();
    assert!(scene.project().join("first").exists());
    leave(&terminal).await;
    // Who comes while it is asked is not told by Codex what it is about.
    change("second").await;
    let terminal = top(&scene, &["--team", "tests"]).await;
    terminal.shows("What it would change is not known here.").await;
    terminal.press(&["y"]).await;
    terminal.shows("nobody can approve here what is not seen").await;
    terminal.press(&["n"]).await;
    terminal.shows("declined: ana asked").await;
    server.call("agent_wait", json!({"agents": ["ana"], "mode": "all"})).await.good();
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
    terminal.shows("│live again").await;
    leave(&terminal).await;
    scene.end(server).await;
}

/// Whether one of the escapes in it is for another colour than the terminal's own.
fn is_coloured(screen: &str) -> bool {
    let escapes = screen.split("\u{1b}[").skip(1).filter_map(|rest| rest.split('m').next());
    let mut codes = escapes.flat_map(|escape| escape.split(';')).filter_map(|code| code.parse::<u8>().ok());
    codes.any(|code| matches!(code, 30..=38 | 40..=48 | 90..=107))
}

#[tokio::test]
async fn it_has_no_colours_where_nobody_wants_any_and_needs_a_terminal() {
    crate::stage::play("0.169.0", async |stage: Stage| {
        let scene = stage.plain().await;
        let refused = scene.program(&["top", "--team", "tests"]).output().await.unwrap();
        let why = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(1) && why.contains("top needs a terminal"), "{why}");
        let dumb = Terminal::run_on(&scene, "dumb", SIZE, &["top", "--team", "tests"]).await;
        let screen = dumb.shows("ended with 1").await;
        assert!(screen.contains("TERM is dumb") && screen.contains("Hint:"), "{screen}");
        let server = scene.serve(&[]).await;
        server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
        for (no_colour, has_some) in [("", true), ("1", false)] {
            let args = ["top", "--team", "tests"];
            let terminal = Terminal::run_with(&scene, SIZE, &args, &[("NO_COLOR", no_colour)]).await;
            terminal.shows("│> SAY one").await;
            assert_eq!(is_coloured(&terminal.coloured().await), has_some);
            leave(&terminal).await;
        }
        scene.end(server).await;
    })
    .await;
}

#[tokio::test]
async fn it_restores_the_terminal_after_a_panic_and_when_the_system_ends_it() {
    crate::stage::play("0.169.0", async |stage: Stage| {
        let scene = stage.plain().await;
        let args = ["top", "--team", "tests"];
        let panics = [("ATM_PANIC_AT", "top.drawn:2"), ("RUST_BACKTRACE", "0")];
        let terminal = Terminal::run_with(&scene, SIZE, &args, &panics).await;
        let screen = terminal.shows("ended with 101").await;
        assert!(screen.contains("ATM_PANIC_AT is top.drawn"), "{screen}");
        terminal.is_restored().await;
        for (signal, code) in [(Signal::TERM, 0), (Signal::HUP, 0), (Signal::INT, 130)] {
            let terminal = top(&scene, &["--team", "tests"]).await;
            terminal.signal(signal);
            terminal.shows(&format!("ended with {code}")).await;
            terminal.is_restored().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_panic_beside_the_screen_is_said_on_it_and_it_goes_on() {
    crate::stage::play("0.169.0", async |stage: Stage| {
        let scene = stage.plain().await;
        let server = scene.serve(&[]).await;
        server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
        let panics = [("ATM_PANIC_AT", "top.said"), ("RUST_BACKTRACE", "0")];
        let terminal = Terminal::run_with(&scene, SIZE, &["top", "--team", "tests"], &panics).await;
        ana(&terminal, " idle ").await;
        for said in ["a fault of this program: ", "in the queue of ana"] {
            terminal.press(&["s"]).await;
            terminal.shows("to ana:").await;
            terminal.types("SAY again").await;
            terminal.press(&["Enter"]).await;
            let screen = terminal.shows(said).await;
            assert!(screen.starts_with("atm-agent-mcp top  ") && !screen.contains("panicked at"), "{screen}");
        }
        terminal.shows("│again").await;
        leave(&terminal).await;
        assert!(
            terminal.all().await.contains("ATM_PANIC_AT is top.said"),
            "it is told in full when the screen is left"
        );
        scene.end(server).await;
    })
    .await;
}

#[tokio::test]
async fn it_makes_room_for_the_shell_and_comes_back_whole() {
    crate::stage::play("0.169.0", async |stage: Stage| {
        let scene = stage.plain().await;
        let terminal = Terminal::run_in_a_shell(&scene, SIZE, &["top", "--team", "tests"]).await;
        terminal.shows("No agents yet.").await;
        for stop in [None, Some(Signal::TSTP)] {
            match stop {
                None => terminal.press(&["C-z"]).await,
                Some(signal) => terminal.signal(signal),
            }
            let shell = |screen: &str| screen.trim_end().ends_with("shell>");
            let stopped = terminal.looks(async |screen| shell(screen)).await.expect("the shell");
            assert!(!stopped.contains("No agents yet."), "{stopped}");
            terminal.types("echo typed $((2 + 2))").await;
            terminal.press(&["Enter"]).await;
            terminal.shows("typed 4").await;
            terminal.types("fg").await;
            terminal.press(&["Enter"]).await;
            let is_whole = |screen: &str| screen.starts_with("atm-agent-mcp top  ") && screen.contains("q quit");
            terminal.looks(async |screen| is_whole(screen)).await.expect("all of it");
        }
        terminal.press(&["q"]).await;
        terminal.looks(async |screen| screen.trim_end().ends_with("shell>")).await.expect("the shell");
        // Where no shell could continue it, it goes on.
        let terminal = top(&scene, &["--team", "tests"]).await;
        terminal.press(&["C-z"]).await;
        terminal.shows("there is no shell that could continue it").await;
        leave(&terminal).await;
    })
    .await;
}

#[tokio::test]
async fn from_an_attach_that_is_interrupted_or_killed_it_comes_back() {
    crate::stage::play("0.169.0", async |stage: Stage| {
        let scene = stage.plain().await;
        let server = scene.serve(&[]).await;
        server.call("codex", json!({"identity": "ana", "prompt": "SAY first word"})).await.good();
        // Ctrl-C is for all that has the terminal: of a shell with job control that is no more than top and what it starts.
        let terminal = Terminal::run_in_a_shell(&scene, SIZE, &["top", "--team", "tests"]).await;
        ana(&terminal, " idle ").await;
        terminal.press(&["a"]).await;
        opens(&terminal, "• first word").await;
        kill_children(terminal.pid());
        terminal.shows("Press Enter to go back to top.").await;
        terminal.press(&["Enter"]).await;
        terminal.shows("atm-agent-mcp top  ").await;
        ana(&terminal, " idle ").await;
        server.kill().await;
        ana(&terminal, " away ").await;
        terminal.press(&["a"]).await;
        terminal.shows("Open it now").await;
        terminal.press(&["C-c"]).await;
        terminal.shows("atm-agent-mcp top  ").await;
        ana(&terminal, " away ").await;
        terminal.press(&["q"]).await;
        terminal.shows("\nis ").await;
        terminal.is_restored().await;
    })
    .await;
}

/// Kills what a process has started, as nothing can be prepared for.
fn kill_children(parent: Pid) {
    let listed = std::process::Command::new("ps").args(["-o", "pid=", "--ppid", &parent.to_string()]).output().unwrap();
    let children: Vec<i32> =
        String::from_utf8_lossy(&listed.stdout).split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    assert!(!children.is_empty());
    for child in children {
        kill_process(Pid::from_raw(child).unwrap(), Signal::KILL).unwrap();
    }
}
