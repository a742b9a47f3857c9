//! `top` and the terminal that it draws on: taken, given back, stopped, lent to others.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::people::opens;
use crate::stage::Stage;
use crate::terminal::Terminal;
use crate::top::{SIZE, ana, leave, top};

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
        terminal.shows("│| again").await;
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
    let listed = std::process::Command::new("pgrep").args(["-P", &parent.to_string()]).output().unwrap();
    let children: Vec<i32> =
        String::from_utf8_lossy(&listed.stdout).split_whitespace().map(|pid| pid.parse().unwrap()).collect();
    assert!(!children.is_empty());
    for child in children {
        kill_process(Pid::from_raw(child).unwrap(), Signal::KILL).unwrap();
    }
}
