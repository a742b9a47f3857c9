//! What stands in an agent's queue reaches its thread: in order, once, whatever is killed.

use std::process::Stdio;
use std::time::Duration;

use atm_agent_mcp::home::Home;
use atm_agent_mcp::ids::{AgentId, EntryId, Team};
use atm_agent_mcp::queue::{Fate, Limits, Queue, Text, Urgency};
use atm_agent_mcp::steps;
use serde_json::json;
use tokio::process::Child;

use crate::attach::Second;
use crate::stage::{Scene, Server, Stage, Told};

on_each_codex! {
    a_text_for_an_idle_agent_begins_a_turn_and_leaves_a_receipt,
    what_waits_for_a_busy_agent_comes_in_order_in_one_turn_with_each_text_apart,
    an_urgent_text_joins_the_turn_and_destroys_nothing,
    what_is_not_urgent_waits_for_the_turns_end,
    a_push_that_waits_prints_the_thread_and_the_turn_in_which_its_message_arrived,
    a_steer_to_an_idle_agent_begins_a_turn,
    a_clients_call_goes_before_the_queue,
    a_steer_that_is_interrupted_before_it_is_taken_comes_again,
    nothing_is_lost_or_doubled_when_the_server_is_killed_at_any_step,
    nothing_is_lost_or_doubled_when_codex_is_killed_with_a_message_under_way,
    what_is_pushed_to_an_agent_that_does_not_run_is_delivered_when_it_does,
    nothing_is_lost_or_buried_while_a_human_has_archived_the_thread,
    nothing_is_lost_to_a_compaction,
    a_text_as_long_as_codex_takes_is_delivered_whole,
}

impl Scene {
    /// The queue of an agent.
    fn queue(&self, agent: &Told) -> Queue {
        self.queue_of(agent.text("agent_id"))
    }

    /// The queue into the agent of this id.
    pub(crate) fn queue_of(&self, agent: &str) -> Queue {
        let team = Home::at(self.home()).team(&Team::parse("tests").unwrap());
        Queue::at(team.queue(&AgentId::parse(agent).unwrap()), Limits::default())
    }

    /// `queue push --wait` to ana.
    fn push_and_wait(&self, args: &[&str]) -> Child {
        let mut command = self.program(&[&["queue", "push", "ana", "--team", "tests", "--wait"], args].concat());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

/// The one entry that a `push --wait` printed, and the thread and turn in which it has arrived.
async fn proof(push: Child) -> (EntryId, String, String) {
    let output = push.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("ana is running: "));
    let stdout = String::from_utf8(output.stdout).unwrap();
    let (id, proof) = stdout.split_once('\n').expect("a line with the id");
    let proof = proof.strip_prefix("delivered thread=").and_then(|proof| proof.strip_suffix('\n'));
    let (thread, turn) = proof.and_then(|proof| proof.split_once(" turn=")).unwrap_or_else(|| panic!("{stdout}"));
    (EntryId::parse(id).unwrap(), thread.to_owned(), turn.to_owned())
}

pub(crate) fn text(text: &str) -> Text {
    Text { text: text.to_owned(), ..Text::default() }
}

fn urgent(what: &str) -> Text {
    Text { urgency: Urgency::Urgent, ..text(what) }
}

/// Asks until the queue is empty and its agent rests; delivery tells nobody.
async fn emptied(server: &Server, agent: &str) {
    loop {
        let status = server.call("agent_status", json!({"identity": agent})).await.good();
        if status["queue"]["depth"] == 0 && status["status"] == "idle" {
            return;
        }
    }
}

/// Waits until Codex has taken what is on its way: it answers what was asked after it.
async fn taken(server: &Server, agent: &str) {
    while server.call("agent_status", json!({"identity": agent})).await.good()["delivering"] != 1 {}
    server.call("agent_read", json!({"identity": agent})).await.good();
}

/// How often a text stands at the beginning of a message, or of a part of one, in the agent's thread.
async fn heard(server: &Server, agent: &str, text: &str) -> usize {
    let read = server.call("agent_read", json!({"identity": agent, "turns": 50})).await.good();
    let is_it = |line: &str| line.strip_prefix("> ").is_some_and(|line| line == text);
    read.content().lines().filter(|line| is_it(line)).count()
}

fn delivered(queue: &Queue, id: &EntryId) -> (String, String) {
    match queue.fate(id) {
        Fate::Delivered(delivered) => (delivered.receipt.thread.to_string(), delivered.receipt.turn.to_string()),
        other => panic!("not delivered: {other:?}"),
    }
}

async fn a_text_for_an_idle_agent_begins_a_turn_and_leaves_a_receipt(stage: Stage) {
    let scene = stage.plain().await;
    let server = scene.serve(&[]).await;
    let ana = server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    let queue = scene.queue(&ana);
    let said = "SAY two \u{1F600}\n  and a line that is not trimmed  \n";
    let id = queue.enqueue(&text(said)).unwrap();
    scene.model().arrived(2).await;
    assert_eq!(scene.asked_last().last_user_text(), said);
    emptied(&server, "ana").await;
    let (thread, turn) = delivered(&queue, &id);
    assert_eq!(thread, ana.text("threadId"));
    let read = server.call("agent_read", json!({"identity": "ana"})).await.good();
    assert!(read.content().contains(&turn), "{read:?}");
    assert_eq!(queue.list().unwrap(), []);
    scene.end(server).await;
}

async fn what_waits_for_a_busy_agent_comes_in_order_in_one_turn_with_each_text_apart(stage: Stage) {
    let (scene, [gate]) = stage.with_gates(["ana"]).await;
    let server = scene.serve(&[]).await;
    let ana = server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    let held = server.begin("codex-reply", json!({"identity": "ana", "prompt": "HOLD ana"})).await;
    gate.reached().await;
    let queue = scene.queue(&ana);
    let ids: Vec<EntryId> = (0..12).map(|n| queue.enqueue(&text(&format!("SAY text {n}\n"))).unwrap()).collect();
    let from = Text { from: Some("ci".into()), kind: Some("hook".into()), ..text("SAY from ci") };
    let last = queue.enqueue(&from).unwrap();
    gate.open();
    held.result().await.good();
    scene.model().arrived(4).await;
    emptied(&server, "ana").await;
    let requests = scene.model().requests();
    let messages = |request: usize| requests[request].texts("user");
    let ten = messages(2);
    let ten = &ten[ten.len() - 20..];
    for (n, pair) in ten.chunks(2).enumerate() {
        let apart = if n == 0 { "" } else { "\n" };
        assert_eq!(pair, [format!("{apart}[queue entry {}]\n", ids[n]), format!("SAY text {n}\n")]);
    }
    let three = messages(3);
    assert_eq!(three[three.len() - 2..], [format!("\n[queue entry {last} from ci, hook]\n"), "SAY from ci".to_owned()]);
    assert_eq!(requests.len(), 4);
    let turns: Vec<String> = ids.iter().map(|id| delivered(&queue, id).1).collect();
    assert!(turns[..10].iter().all(|turn| *turn == turns[0]) && turns[10] != turns[0]);
    scene.end(server).await;
}

async fn an_urgent_text_joins_the_turn_and_destroys_nothing(stage: Stage) {
    let (scene, [gate]) = stage.with_gates(["ana"]).await;
    let server = scene.serve(&[]).await;
    server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    let held = server.begin("codex-reply", json!({"identity": "ana", "prompt": "HOLD ana"})).await;
    gate.reached().await;
    let args = json!({"agent": "ana", "text": "SAY steered", "timeout_ms": 60_000});
    let steer = server.begin("agent_steer", args).await;
    taken(&server, "ana").await;
    gate.open();
    let receipt = steer.result().await.good();
    let held = held.result().await.good();
    assert_eq!((receipt.text("status"), &receipt["turn_id"]), ("delivered", &held["turn_id"]));
    assert_eq!(held.content(), "steered");
    let asked = scene.asked_last();
    assert_eq!(asked.last_user_text(), "SAY steered");
    assert!(asked.texts("assistant").contains(&"ana is done".to_owned()), "the answer that was being written is whole");
    assert_eq!(heard(&server, "ana", "SAY steered").await, 1);
    scene.end(server).await;
}

async fn what_is_not_urgent_waits_for_the_turns_end(stage: Stage) {
    let (scene, [gate]) = stage.with_gates(["ana"]).await;
    let server = scene.serve(&[]).await;
    let ana = server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    let held = server.begin("codex-reply", json!({"identity": "ana", "prompt": "HOLD ana"})).await;
    gate.reached().await;
    let queue = scene.queue(&ana);
    let (later, now) = (queue.enqueue(&text("SAY later")).unwrap(), queue.enqueue(&urgent("SAY now")).unwrap());
    taken(&server, "ana").await;
    gate.open();
    let held = held.result().await.good();
    emptied(&server, "ana").await;
    assert_eq!(delivered(&queue, &now).1, held.text("turn_id"));
    assert_ne!(delivered(&queue, &later).1, held.text("turn_id"));
    scene.end(server).await;
}

async fn a_push_that_waits_prints_the_thread_and_the_turn_in_which_its_message_arrived(stage: Stage) {
    let (scene, [gate]) = stage.with_gates(["ana"]).await;
    let server = scene.serve(&[]).await;
    let ana = server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    let held = server.begin("codex-reply", json!({"identity": "ana", "prompt": "HOLD ana"})).await;
    gate.reached().await;
    let (later, now) = (scene.push_and_wait(&["SAY later"]), scene.push_and_wait(&["SAY now", "--urgent"]));
    taken(&server, "ana").await;
    gate.open();
    let held = held.result().await.good();
    let queue = scene.queue(&ana);
    let ((later, thread, turn), now) = (proof(later).await, proof(now).await);
    assert_eq!((thread.as_str(), &turn), (ana.text("threadId"), &delivered(&queue, &later).1));
    assert_ne!(turn, held.text("turn_id"));
    assert_eq!((now.1.as_str(), now.2.as_str()), (ana.text("threadId"), held.text("turn_id")));
    emptied(&server, "ana").await;
    for said in ["SAY later", "SAY now"] {
        assert_eq!(heard(&server, "ana", said).await, 1, "{said}");
    }
    scene.end(server).await;
}

async fn a_steer_to_an_idle_agent_begins_a_turn(stage: Stage) {
    let scene = stage.plain().await;
    let server = scene.serve(&[]).await;
    let ana = server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    for word in ["ana", ana.text("agent_id"), ana.text("threadId")] {
        let receipt = server.call("agent_steer", json!({"agent": word, "text": format!("SAY {word}")})).await.good();
        assert_eq!((receipt.text("status"), &receipt["threadId"]), ("delivered", &ana["threadId"]));
    }
    let unknown = server.call("agent_steer", json!({"agent": "bea", "text": "x"})).await.bad();
    assert_eq!(unknown.text("error"), "SESSION_NOT_FOUND");
    let blank = server.call("agent_steer", json!({"agent": "ana", "text": " "})).await.bad();
    assert!(blank.content().contains("argument text: its text is blank"), "{blank:?}");
    emptied(&server, "ana").await;
    scene.end(server).await;
}

async fn a_clients_call_goes_before_the_queue(stage: Stage) {
    let (scene, [gate]) = stage.with_gates(["ana"]).await;
    let server = scene.serve(&[]).await;
    let ana = server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    let held = server.begin("codex-reply", json!({"identity": "ana", "prompt": "HOLD ana"})).await;
    gate.reached().await;
    scene.queue(&ana).enqueue(&text("SAY from the queue")).unwrap();
    let call = server.begin("codex-reply", json!({"identity": "ana", "prompt": "SAY from the client"})).await;
    server.ping().await;
    gate.open();
    held.result().await.good();
    assert_eq!(call.result().await.good().content(), "from the client");
    emptied(&server, "ana").await;
    let asked = scene.asked_last().texts("user");
    assert_eq!(asked[asked.len() - 2..], ["SAY from the client", "SAY from the queue"]);
    scene.end(server).await;
}

async fn a_steer_that_is_interrupted_before_it_is_taken_comes_again(stage: Stage) {
    let (scene, [gate]) = stage.with_gates(["ana"]).await;
    let server = scene.serve(&[]).await;
    server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    let held = server.begin("codex-reply", json!({"identity": "ana", "prompt": "HOLD ana"})).await;
    gate.reached().await;
    let steer = server.begin("agent_steer", json!({"agent": "ana", "text": "SAY steered", "timeout_ms": 60_000})).await;
    taken(&server, "ana").await;
    server.call("agent_interrupt", json!({"identity": "ana"})).await.good();
    held.result().await.bad();
    assert_eq!(steer.result().await.good().text("status"), "delivered");
    emptied(&server, "ana").await;
    assert_eq!(heard(&server, "ana", "SAY steered").await, 1);
    scene.end(server).await;
}

async fn nothing_is_lost_or_doubled_when_the_server_is_killed_at_any_step(stage: Stage) {
    let scene = stage.plain().await;
    let server = scene.serve(&[]).await;
    let ana = server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    scene.end(server).await;
    let queue = scene.queue(&ana);
    let of_delivery = |step: &&str| ["claim.", "deliver.", "ack."].iter().any(|kind| step.starts_with(kind));
    let lives: Vec<&str> = steps::ALL.into_iter().filter(of_delivery).collect();
    let mut ids = Vec::new();
    for step in &lives {
        // Taking over needs somebody who has died before.
        let deaths: &[&str] = if *step == "claim.replaced" { &["deliver.claimed", step] } else { &[step] };
        ids.push(queue.enqueue(&text(&format!("SAY {step}"))).unwrap());
        for death in deaths {
            let mut command = scene.command(&["--resume", "ana"]);
            command.env(steps::KILL_AT, death);
            let mut server = Server::start(command).await;
            let status = server.died().await;
            assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{death}: {status}");
        }
    }
    let server = scene.serve(&["--resume", "ana"]).await;
    emptied(&server, "ana").await;
    for (step, id) in lives.iter().zip(&ids) {
        assert_eq!(heard(&server, "ana", &format!("SAY {step}")).await, 1, "{step}");
        delivered(&queue, id);
    }
    assert_eq!(queue.list_dead().unwrap(), []);
    scene.end(server).await;
    let left = std::fs::read_dir(queue.dir()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let left: Vec<String> = left.filter(|name| !name.starts_with(".tmp") && !name.ends_with(".lock")).collect();
    assert_eq!(left, ["delivered.jsonl"]);
    queue.sweep(Duration::ZERO);
    assert_eq!(std::fs::read_dir(queue.dir()).unwrap().count(), 1);
}

async fn nothing_is_lost_or_doubled_when_codex_is_killed_with_a_message_under_way(stage: Stage) {
    let (scene, [gate]) = stage.with_gates(["ana"]).await;
    let server = scene.serve(&[]).await;
    let ana = server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    let queue = scene.queue(&ana);
    // One that has been seen when Codex dies, and one that has been taken and not seen.
    queue.enqueue(&text("HOLD ana")).unwrap();
    gate.reached().await;
    let steered = queue.enqueue(&urgent("SAY steered")).unwrap();
    taken(&server, "ana").await;
    server.codex().await.kill();
    gate.open();
    emptied(&server, "ana").await;
    assert_eq!(heard(&server, "ana", "HOLD ana").await, 1);
    assert_eq!(heard(&server, "ana", "SAY steered").await, 1);
    delivered(&queue, &steered);
    scene.end(server).await;
}

async fn what_is_pushed_to_an_agent_that_does_not_run_is_delivered_when_it_does(stage: Stage) {
    let scene = stage.plain().await;
    let server = scene.serve(&[]).await;
    let ana = server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    scene.end(server).await;
    let queue = scene.queue(&ana);
    let id = queue.enqueue(&text("SAY while you were away")).unwrap();
    let server = scene.serve(&[]).await;
    let args = json!({"agent": "ana", "text": "SAY steered", "timeout_ms": 60_000});
    let steer = server.call("agent_steer", args).await.good();
    assert_eq!(steer.text("status"), "queued");
    assert!(steer.content().contains("not running") && steer.content().contains("codex-reply"), "{steer:?}");
    let status = server.call("agent_status", json!({"identity": "ana"})).await.good();
    assert_eq!((&status["queue"]["depth"], &status["queue"]["dead"]), (&json!(2), &json!(0)));
    assert!(status["queue"]["oldest_secs"].as_i64().is_some());
    assert_eq!(scene.model().requests().len(), 1);
    server.call("codex-reply", json!({"identity": "ana", "prompt": "SAY back"})).await.good();
    emptied(&server, "ana").await;
    delivered(&queue, &id);
    server.call("agent_close", json!({"identity": "ana"})).await.good();
    let closed = server.call("agent_steer", json!({"agent": "ana", "text": "x"})).await.bad();
    assert_eq!(closed.text("error"), "SESSION_CLOSED");
    scene.end(server).await;
}

async fn nothing_is_lost_or_buried_while_a_human_has_archived_the_thread(stage: Stage) {
    let scene = stage.plain().await;
    let server = scene.serve(&[]).await;
    let ana = server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    let (queue, thread) = (scene.queue(&ana), json!({"threadId": ana.text("threadId")}));
    let human = Second::attach(&server).await;
    human.call("thread/archive", thread.clone()).await.expect("it is archived");
    server.shows("ana", "lost").await;
    let ids = ["SAY two", "SAY three"].map(|what| queue.enqueue(&text(what)).unwrap());
    let refused = server.call("codex-reply", json!({"identity": "ana", "prompt": "SAY four"})).await.bad();
    assert!(refused.content().contains("archived"), "{refused:?}");
    human.call("thread/unarchive", thread).await.expect("it is back");
    emptied(&server, "ana").await;
    ids.iter().for_each(|id| drop(delivered(&queue, id)));
    assert!(queue.list_dead().unwrap().is_empty());
    scene.end(server).await;
}

async fn nothing_is_lost_to_a_compaction(stage: Stage) {
    let compaction = atm_agent_mcp::demo::model::Gate::new();
    let gate = compaction.clone();
    let scene = stage
        .with(move |request| match request.last_user_text() {
            prompt if prompt.starts_with("SAY") => atm_agent_mcp::demo::model::spoken(request),
            _ => atm_agent_mcp::demo::model::Reply::say("a summary").after(&gate),
        })
        .await;
    let server = scene.serve(&[]).await;
    let ana = server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    let mut human = Second::attach(&server).await;
    human.resume(ana.text("threadId")).await;
    human.call("thread/compact/start", json!({"threadId": ana.text("threadId")})).await.unwrap();
    compaction.reached().await;
    let queue = scene.queue(&ana);
    queue.enqueue(&urgent("SAY urgent")).unwrap();
    queue.enqueue(&text("SAY normal")).unwrap();
    server.call("agent_read", json!({"identity": "ana"})).await.good();
    compaction.open();
    emptied(&server, "ana").await;
    for said in ["SAY urgent", "SAY normal"] {
        assert_eq!(heard(&server, "ana", said).await, 1, "{said}");
    }
    drop(human);
    scene.end(server).await;
}

async fn a_text_as_long_as_codex_takes_is_delivered_whole(stage: Stage) {
    let scene = stage.plain().await;
    let server = scene.serve(&[]).await;
    let ana = server.call("codex", json!({"identity": "ana", "prompt": "SAY one"})).await.good();
    let queue = scene.queue(&ana);
    let long = format!("SAY {}", "x".repeat((1 << 20) - 4));
    queue.enqueue(&Text { from: Some("ci".into()), ..text(&long) }).unwrap();
    queue.enqueue(&text("SAY short")).unwrap();
    scene.model().arrived(3).await;
    emptied(&server, "ana").await;
    let texts = scene.asked_last().texts("user");
    assert!(texts[texts.len() - 2..] == [long, "SAY short".to_owned()]);
    scene.end(server).await;
}
