//! People at running agents: the real Codex UI on a live thread, and an agent followed as text.

use std::process::{Output, Stdio};

use atm_agent_mcp::demo::model::Gate;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use crate::attach::Second;
use crate::letters::until;
use crate::raw::Raw;
use crate::stage::{Scene, Server, Stage};
use crate::terminal::Terminal;

on_each_codex! {
    the_real_ui_opens_on_the_live_thread_and_leaving_it_leaves_the_agent_running,
    a_human_approves_in_the_real_ui_while_the_client_is_asked_by_a_form,
    an_agent_is_followed_as_text_from_its_last_turn_to_its_end,
    an_agent_is_followed_as_json_and_no_item_comes_twice,
    who_follows_misses_nothing_when_codex_is_killed_and_hears_that_it_was,
    a_program_that_follows_misses_nothing_either,
    who_follows_an_agent_ends_when_nobody_reads_any_more,
    as_many_turns_are_shown_as_are_asked_for,
    who_follows_answers_nothing_and_hears_that_somebody_has_decided,
    who_is_not_running_is_offered_as_a_plain_thread,
}

const SIZE: (u16, u16) = (100, 30);

/// Somebody who follows an agent.
struct Follower {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Follower {
    fn of(scene: &Scene, args: &[&str]) -> Follower {
        let mut command = scene.program(&[&["attach", "--team", "tests", "--read-only"], args].concat());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Follower { child, lines }
    }

    async fn line(&mut self) -> String {
        self.lines.next_line().await.unwrap().expect("another line")
    }

    /// The lines up to this one, and it.
    async fn until(&mut self, is_it: impl Fn(&str) -> bool) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            lines.push(self.line().await);
            if is_it(&lines[lines.len() - 1]) {
                return lines;
            }
        }
    }

    /// What it says until the agent is gone.
    async fn rest(mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = self.lines.next_line().await.unwrap() {
            lines.push(line);
        }
        assert!(self.child.wait().await.unwrap().success());
        lines
    }
}

/// How often something is said in these lines of JSON.
fn times(lines: &[Value], word: &str) -> usize {
    let says = |item: &Value| item["content"][0]["text"] == word || item["text"] == word;
    let of_line = |line: &Value| match line["method"].as_str().unwrap() {
        "item/completed" => usize::from(says(&line["params"]["item"])),
        _ => {
            line["params"]["turn"]["items"].as_array().map_or(0, |items| items.iter().filter(|item| says(item)).count())
        }
    };
    lines.iter().map(of_line).sum()
}

async fn attach(scene: &Scene, args: &[&str]) -> Output {
    let mut command = scene.program(&[&["attach", "--team", "tests"], args].concat());
    command.stdin(Stdio::null()).output().await.unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Waits for the Codex UI to show this; what it asks a new user before, it is told.
pub(crate) async fn opens(terminal: &Terminal, word: &str) {
    let answers = [("Do you trust", "Enter"), ("› 2. Use existing model", "Enter"), ("Use existing model", "Down")];
    answered(terminal, &answers, |screen| screen.contains(word)).await;
}

/// Presses the key that belongs to what is on the screen, until it is so. A key may come too early to be heard, and a flood
/// of keys is an error to Codex (0.169.0): it is pressed once, and again when nothing has changed for many looks.
async fn answered(terminal: &Terminal, answers: &[(&str, &str)], is_so: impl Fn(&str) -> bool) {
    let (mut answered, mut looks) = (String::new(), 0);
    let done = terminal.looks(async |screen| {
        looks += 1;
        let asked = answers.iter().find(|(question, _)| screen.contains(question));
        if let Some((_, key)) = asked.filter(|_| screen != answered || looks > 100) {
            terminal.press(&[*key]).await;
            (answered, looks) = (screen.to_owned(), 0);
        }
        is_so(screen)
    });
    done.await.unwrap_or_else(|screen| panic!("it is not so on\n{screen}"));
}

/// Leaves the Codex UI, for what shows this; tells all that was ever on the screen.
pub(crate) async fn quit(terminal: &Terminal, after: &str) -> String {
    terminal.types("/quit").await;
    terminal.shows("exit Codex").await;
    terminal.press(&["Enter"]).await;
    terminal.shows(after).await;
    terminal.all().await
}

async fn the_real_ui_opens_on_the_live_thread_and_leaving_it_leaves_the_agent_running(stage: Stage) {
    let is_old = stage.codex().to_string_lossy().contains("0.144");
    let scene = stage.plain().await;
    let server = scene.serve(&[]).await;
    server.call("codex", json!({"identity": "ana", "prompt": "SAY first word"})).await.good();
    let refused = attach(&scene, &["ana"]).await;
    assert!(text(&refused.stderr).contains("needs a terminal") && refused.status.code() == Some(1), "{refused:?}");
    assert!(text(&refused.stderr).contains("--read-only"), "{refused:?}");
    let terminal = Terminal::run(&scene, SIZE, &["attach", "--team", "tests", "ana"]).await;
    opens(&terminal, "first word").await;

    terminal.types("SAY typed by a human").await;
    terminal.shows("SAY typed by a human").await;
    terminal.press(&["Enter"]).await;
    terminal.shows("• typed by a human").await;
    server.rested("ana").await;
    let status = server.call("agent_status", json!({"identity": "ana"})).await.good();
    assert_eq!((status.text("status"), &status["turns"]), ("idle", &json!(2)));
    server.call("codex-reply", json!({"identity": "ana", "prompt": "SAY from the client"})).await.good();
    terminal.shows("• from the client").await;

    let left = quit(&terminal, "ended with 0").await;
    assert_eq!(left.contains("Warning: as long as the UI of Codex 0.144.6 is open"), is_old, "{left}");
    let after = server.call("codex-reply", json!({"identity": "ana", "prompt": "SAY on"})).await.good();
    assert_eq!(after.content(), "on");
    scene.end(server).await;
}

async fn a_human_approves_in_the_real_ui_while_the_client_is_asked_by_a_form(stage: Stage) {
    let scene = stage.plain().await;
    let mut client = Raw::with_forms(scene.command(&[])).await;
    let start = json!({"identity": "ana", "prompt": "SAY first word", "approval-policy": "untrusted", "sandbox": "workspace-write"});
    client.call(1, "codex", start).await;
    client.answer_to(1).await;
    let terminal = Terminal::run(&scene, SIZE, &["attach", "--team", "tests", "ana"]).await;
    opens(&terminal, "• first word").await;
    client.call(2, "codex-reply", json!({"identity": "ana", "prompt": "RUN touch made"})).await;
    let form = client.hears("elicitation/create").await;
    terminal.shows("Yes, proceed").await;
    answered(&terminal, &[("Yes, proceed", "y")], |screen| !screen.contains("Yes, proceed")).await;
    let withdrawn = client.hears("notifications/cancelled").await;
    assert_eq!(withdrawn["params"]["requestId"], form["id"]);
    let result = client.answer_to(2).await;
    assert_eq!(result["structuredContent"]["status"], "completed", "{result}");
    assert!(scene.project().join("made").exists());
    quit(&terminal, "ended with 0").await;
    client.leave().await;
}

async fn an_agent_is_followed_as_text_from_its_last_turn_to_its_end(stage: Stage) {
    let (scene, [held]) = stage.with_gates(["held"]).await;
    let server = scene.serve(&[]).await;
    let start = json!({"identity": "ana", "prompt": "SAY long ago", "approval-policy": "never"});
    server.call("codex", start).await.good();
    server.call("codex-reply", json!({"identity": "ana", "prompt": "SAY a\u{1b}[2Jb"})).await.good();
    let mut follower = Follower::of(&scene, &["ana"]);
    let before = follower.until(|line| line.starts_with("-- completed")).await;
    assert!(before[0].starts_with("-- turn "), "{before:?}");
    assert_eq!(before[1..3], [r"> SAY a\u{1b}[2Jb", r"| a\u{1b}[2Jb"], "it cannot write over the screen");
    let run = json!({"identity": "ana", "prompt": "RUN echo one; echo two; exit 3"});
    server.call("codex-reply", run).await.good();
    let now = follower.until(|line| line.starts_with("-- completed")).await;
    let command = now.iter().position(|line| line.starts_with("$ ")).unwrap_or_else(|| panic!("no command: {now:?}"));
    assert_eq!(now[command + 1..command + 4], ["  one", "  two", "  (exit code 3)"], "{now:?}");

    let call = server.begin("codex-reply", json!({"identity": "ana", "prompt": "HOLD held"})).await;
    held.reached().await;
    server.call("agent_close", json!({"identity": "ana"})).await.good();
    call.result().await.bad();
    let rest = follower.rest().await;
    assert!(rest.iter().any(|line| line == "> HOLD held"), "{rest:?}");
    assert!(rest.iter().any(|line| line.starts_with("-- interrupted")), "{rest:?}");
    scene.end(server).await;
}

async fn an_agent_is_followed_as_json_and_no_item_comes_twice(stage: Stage) {
    let (scene, [held]) = stage.with_gates(["held"]).await;
    let server = scene.serve(&[]).await;
    server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    let call = server.begin("codex-reply", json!({"identity": "ana", "prompt": "HOLD held"})).await;
    held.reached().await;
    let mut follower = Follower::of(&scene, &["ana", "--json", "--turns", "2"]);
    let mut lines: Vec<Value> = Vec::new();
    while lines.len() < 2 {
        lines.push(serde_json::from_str(&follower.line().await).unwrap());
    }
    held.open();
    call.result().await.good();
    let rest = follower.until(|line| line.contains("\"method\":\"turn/completed\"")).await;
    lines.extend(rest.iter().map(|line| serde_json::from_str::<Value>(line).unwrap()));
    assert_eq!((&lines[0]["method"], &lines[1]["method"]), (&json!("turn/completed"), &json!("turn/started")));
    // Codex repeats the answer at the end of the turn.
    lines.pop();
    assert_eq!(["one", "HOLD held", "held is done"].map(|word| times(&lines, word)), [1, 1, 1], "{lines:#?}");
    drop(follower);
    scene.end(server).await;
}

/// A turn that is killed with its Codex, two that a later Codex has had, before anybody could look for it.
async fn killed(scene: &Scene, server: &Server, held: &Gate) {
    let call = server.begin("codex-reply", json!({"identity": "ana", "prompt": "HOLD held"})).await;
    held.reached().await;
    server.codex().await.kill();
    call.result().await.bad();
    for prompt in ["SAY again", "SAY again2"] {
        server.call("codex-reply", json!({"identity": "ana", "prompt": prompt})).await.good();
    }
    assert_eq!(scene.asked_last().texts("assistant").last().unwrap(), "again");
}

async fn who_follows_misses_nothing_when_codex_is_killed_and_hears_that_it_was(stage: Stage) {
    let (scene, [held]) = stage.with_gates(["held"]).await;
    let server = scene.serve(&[]).await;
    server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    let mut follower = Follower::of(&scene, &["ana"]);
    follower.until(|line| line.starts_with("-- completed")).await;
    killed(&scene, &server, &held).await;
    let lines = follower.until(|line| line == "| again2").await;
    let lines: Vec<&str> =
        lines.iter().map(|line| if line.starts_with("-- turn") { "-- turn" } else { line }).collect();
    let expected = [
        "-- turn",
        "> HOLD held",
        "! its Codex is gone; the next prompt starts another",
        "! it is back",
        "-- interrupted",
        "-- turn",
        "> SAY again",
        "| again",
        "-- completed",
        "-- turn",
        "> SAY again2",
        "| again2",
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:#?}");
    assert!(lines.iter().zip(expected).all(|(line, expected)| line.starts_with(expected)), "{lines:#?}");
    scene.end(server).await;
    follower.rest().await;
}

async fn a_program_that_follows_misses_nothing_either(stage: Stage) {
    let (scene, [held]) = stage.with_gates(["held"]).await;
    let server = scene.serve(&[]).await;
    server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    let mut follower = Follower::of(&scene, &["ana", "--json"]);
    follower.until(|line| line.contains("\"turn/completed\"")).await;
    killed(&scene, &server, &held).await;
    let lines = follower.until(|line| line.contains("again2") && line.contains("agentMessage")).await;
    let lines: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let counts = ["HOLD held", "SAY again", "again", "SAY again2", "again2"].map(|word| times(&lines, word));
    assert_eq!(counts, [1; 5], "{lines:#?}");
    let methods: Vec<&str> = lines.iter().map(|line| line["method"].as_str().unwrap()).collect();
    let at = |method| methods.iter().position(|one| *one == method).unwrap_or_else(|| panic!("{method}: {methods:?}"));
    assert_eq!(at("atm/back"), at("atm/gone") + 1);
    let killed = &lines[at("atm/back") + 1];
    assert_eq!(killed["params"]["turn"]["status"], "interrupted", "{killed}");
    scene.end(server).await;
    drop(follower);
}

async fn who_follows_an_agent_ends_when_nobody_reads_any_more(stage: Stage) {
    let scene = stage.plain().await;
    let server = scene.serve(&[]).await;
    server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    let mut follower = Follower::of(&scene, &["ana"]);
    follower.until(|line| line.starts_with("-- completed")).await;
    let Follower { mut child, lines } = follower;
    drop(lines);
    assert_eq!(child.wait().await.unwrap().code(), Some(141), "though the agent says nothing");
    scene.end(server).await;
}

async fn as_many_turns_are_shown_as_are_asked_for(stage: Stage) {
    let scene = stage.plain().await;
    let server = scene.serve(&[]).await;
    let ana = server.call("codex", json!({"identity": "ana", "prompt": "SAY 0"})).await.good();
    let mut human = Second::attach(&server).await;
    human.resume(ana.text("threadId")).await;
    for number in 1..104 {
        human.says(ana.text("threadId"), &format!("SAY {number}")).await;
        human.hears("turn/completed").await;
    }
    let mut follower = Follower::of(&scene, &["ana", "--turns", "103"]);
    let shown = follower.until(|line| line == "| 103").await;
    assert_eq!(shown.iter().find(|line| line.starts_with("| ")).unwrap(), "| 1");
    assert_eq!(shown.iter().filter(|line| line.starts_with("-- turn")).count(), 103);
    drop((human, follower));
    scene.end(server).await;
}

/// The UI of 0.144.6 ends then, that of 0.169.0 keeps what was typed.
async fn who_follows_answers_nothing_and_hears_that_somebody_has_decided(stage: Stage) {
    let scene = stage.plain().await;
    let server = scene.serve(&[]).await;
    let start =
        json!({"identity": "ana", "prompt": "SAY one", "approval-policy": "untrusted", "sandbox": "workspace-write"});
    server.call("codex", start).await.good();
    let mut follower = Follower::of(&scene, &["ana"]);
    follower.until(|line| line.starts_with("-- completed")).await;
    let told = server.call("codex-reply", json!({"identity": "ana", "prompt": "RUN touch made"})).await.good();
    assert_eq!(told.text("status"), "awaiting_approval", "{told:?}");
    let asked = follower.until(|line| line.starts_with("? asks to run")).await;
    assert!(asked.last().unwrap().contains("touch made"), "{asked:?}");
    let ask = &told.list("asks")[0]["ask_id"];
    server.call("agent_approve", json!({"ask_id": ask, "decision": "accept"})).await.good();
    follower.until(|line| line == "? somebody has decided").await;
    follower.until(|line| line.starts_with("-- completed")).await;
    drop(follower);
    server.rested("ana").await;
    until(&server, || scene.project().join("made").exists()).await;
    scene.end(server).await;
}

async fn who_is_not_running_is_offered_as_a_plain_thread(stage: Stage) {
    let scene = stage.plain().await;
    let server = scene.serve(&[]).await;
    let told = server.call("codex", json!({"identity": "ana", "prompt": "SAY kept word"})).await.good();
    let thread = told.text("threadId").to_owned();
    scene.end(server).await;

    let offered = attach(&scene, &["ana"]).await;
    let command = format!("resume {thread}\n");
    assert!(offered.status.code() == Some(1) && text(&offered.stdout).ends_with(&command), "{offered:?}");
    assert!(text(&offered.stderr).contains("ana does not run: no server has it"), "{offered:?}");
    let unseen = attach(&scene, &["ana", "--read-only"]).await;
    assert!(unseen.status.code() == Some(1) && unseen.stdout.is_empty(), "{unseen:?}");
    assert!(text(&unseen.stderr).contains("to see it: cd "), "{unseen:?}");
    let unknown = attach(&scene, &["ben"]).await;
    assert!(text(&unknown.stderr).contains("the team tests has no agent \"ben\": it has ana"), "{unknown:?}");

    let terminal = Terminal::run(&scene, SIZE, &["attach", "--team", "tests", &thread]).await;
    terminal.shows("[y/N]").await;
    terminal.press(&["n", "Enter"]).await;
    terminal.shows("ended with 0").await;
}

/// With 0.169.0 it works as well, but its UI, by itself, starts a daemon of Codex's own that no command ends whole.
#[tokio::test]
async fn who_says_yes_has_the_thread_of_an_agent_that_does_not_run_in_a_plain_codex() {
    crate::stage::play("0.144.6", async |stage: Stage| {
        let scene = stage.plain().await;
        let server = scene.serve(&[]).await;
        server.call("codex", json!({"identity": "ana", "prompt": "SAY kept word"})).await.good();
        scene.end(server).await;
        for (args, answer) in [(["ana", "--yes"].as_slice(), None), (&["ana"], Some("y"))] {
            let args = [&["attach", "--team", "tests"], args].concat();
            let terminal = Terminal::run(&scene, SIZE, &args).await;
            if let Some(answer) = answer {
                terminal.shows("[y/N]").await;
                terminal.press(&[answer, "Enter"]).await;
            }
            opens(&terminal, "kept word").await;
            quit(&terminal, "ended with 0").await;
        }
        assert!(scene.codexes().is_empty());
    })
    .await;
}
