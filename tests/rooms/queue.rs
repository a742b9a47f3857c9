//! Delivery when Codex refuses, is silent, or is busy with something that must not be disturbed; in paused time.

use std::time::Duration;

use atm_agent_mcp::config::ServeFlags;
use atm_agent_mcp::ids::{AgentId, EntryId};
use atm_agent_mcp::queue::{Fate, Queue, Text, Urgency};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::stage::{Script, Stage, turn};

impl Stage {
    /// An agent that has had a turn and is idle, and its queue.
    async fn with_idle_agent() -> (Stage, Queue) {
        let mut stage = Stage::with_running_turn(ServeFlags::default()).await;
        stage.codex.say("turn/completed", &turn("turn-1", "completed"));
        let ended = stage.client.answer_to(1).await;
        let queue = stage.queue_of(&ended["result"]["structuredContent"]["agent_id"]);
        (stage, queue)
    }

    fn queue_of(&self, agent: &Value) -> Queue {
        self.queues.of(&AgentId::parse(agent.as_str().unwrap()).unwrap())
    }

    /// The queue of the one agent, which is at work.
    async fn queue_of_the_busy(&mut self) -> Queue {
        self.client.call(90, "agent_status", &json!({"identity": "codex"})).await;
        let status = self.client.answer_to(90).await;
        self.queue_of(&status["result"]["structuredContent"]["agent_id"])
    }

    /// Waits until an entry has an end.
    async fn settled(&self, queue: &Queue, id: &EntryId) -> Fate {
        let mut settlements = self.queues.settlements();
        loop {
            match queue.fate(id) {
                Fate::Waiting => settlements.changed().await.unwrap(),
                fate => return fate,
            }
        }
    }
}

impl Script {
    /// The message of a delivery is complete.
    fn shows(&self, turn: &str, start: &Value) {
        let params = &start["params"];
        let item = json!({
            "type": "userMessage", "id": "u", "clientId": params["clientUserMessageId"], "content": params["input"],
        });
        self.say("item/completed", &json!({"threadId": "thread-1", "turnId": turn, "item": item}));
    }
}

fn text(text: &str) -> Text {
    Text { text: text.to_owned(), ..Text::default() }
}

fn urgent(what: &str) -> Text {
    Text { urgency: Urgency::Urgent, ..text(what) }
}

/// What `thread/turns/list` answers when nothing of ours is there.
fn nothing_there() -> Value {
    json!({"data": [{"id": "turn-1", "status": "completed", "items": []}], "nextCursor": null})
}

#[tokio::test(start_paused = true)]
async fn a_message_counts_as_delivered_a_moment_after_it_is_complete_and_not_before() {
    let (mut stage, queue) = Stage::with_idle_agent().await;
    let id = queue.enqueue(&text("hello")).unwrap();
    let start = stage.codex.expect("turn/start").await;
    assert_eq!(start["params"]["input"], json!([{"type": "text", "text": "hello", "text_elements": []}]));
    stage.codex.answer(&start, &json!({"turn": {"id": "turn-2", "status": "inProgress", "items": []}}));
    stage.codex.say("turn/started", &turn("turn-2", "inProgress"));
    stage.client.call(2, "agent_status", &json!({})).await;
    stage.client.answer_to(2).await;
    assert_eq!(queue.fate(&id), Fate::Waiting, "the answer to turn/start proves nothing");
    stage.codex.shows("turn-2", &start);
    let since = Instant::now();
    let Fate::Delivered(delivered) = stage.settled(&queue, &id).await else { panic!("delivered") };
    assert!(since.elapsed() >= Duration::from_millis(100), "{:?}", since.elapsed());
    assert_eq!(
        (delivered.receipt.turn.as_str(), delivered.delivery.as_str()),
        ("turn-2", start["params"]["clientUserMessageId"].as_str().unwrap())
    );
}

#[tokio::test(start_paused = true)]
async fn what_codex_refuses_is_tried_again_with_growing_pauses_and_then_buried_with_the_reason() {
    let mut stage = Stage::with_running_turn(ServeFlags::default()).await;
    let queue = stage.queue_of_the_busy().await;
    let id = queue.enqueue(&text("no")).unwrap();
    let behind = queue.enqueue(&text("yes")).unwrap();
    stage.codex.say("turn/completed", &turn("turn-1", "completed"));
    let mut pauses = Vec::new();
    let mut since = Instant::now();
    for attempt in 0..5 {
        let start = stage.codex.expect("turn/start").await;
        pauses.push(since.elapsed().as_secs());
        since = Instant::now();
        let alone = start["params"]["input"].as_array().unwrap().len() == 1;
        assert_eq!(alone, attempt > 0, "what has failed goes alone");
        stage.codex.refuse(&start, "not today");
    }
    assert_eq!(pauses, [0, 1, 2, 4, 8]);
    let Fate::Dead(Some(reason)) = stage.settled(&queue, &id).await else { panic!("buried") };
    assert!(reason.why.contains("5 times") && reason.why.contains("not today"), "{}", reason.why);
    assert_eq!(reason.attempts, 5);
    // The other has failed once, with the first, and is not to blame for the rest.
    let buried = Instant::now();
    let start = stage.codex.expect("turn/start").await;
    assert!(buried.elapsed() <= Duration::from_secs(1), "{:?}", buried.elapsed());
    assert_eq!(start["params"]["input"][0]["text"], "yes");
    stage.codex.answer(&start, &json!({"turn": {"id": "turn-2", "status": "inProgress", "items": []}}));
    stage.codex.say("turn/started", &turn("turn-2", "inProgress"));
    stage.codex.shows("turn-2", &start);
    assert!(matches!(stage.settled(&queue, &behind).await, Fate::Delivered(_)));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_heard_without_an_answer_is_found_in_the_history_and_not_sent_again() {
    let (mut stage, queue) = Stage::with_idle_agent().await;
    let id = queue.enqueue(&text("hello")).unwrap();
    let start = stage.codex.expect("turn/start").await;
    let item =
        json!({"type": "userMessage", "id": "u", "clientId": start["params"]["clientUserMessageId"], "content": []});
    let list = stage.codex.expect("thread/turns/list").await;
    stage
        .codex
        .answer(&list, &json!({"data": [{"id": "turn-9", "status": "completed", "items": []}], "nextCursor": "more"}));
    let list = stage.codex.expect("thread/turns/list").await;
    assert_eq!(list["params"]["cursor"], "more");
    let there = json!({"id": "turn-7", "status": "interrupted", "items": [item]});
    stage.codex.answer(&list, &json!({"data": [there], "nextCursor": null}));
    let Fate::Delivered(delivered) = stage.settled(&queue, &id).await else { panic!("delivered") };
    assert_eq!(delivered.receipt.turn.as_str(), "turn-7");
}

#[tokio::test(start_paused = true)]
async fn a_message_without_an_answer_is_sent_again_when_the_history_lacks_it_twice() {
    let (mut stage, queue) = Stage::with_idle_agent().await;
    queue.enqueue(&text("hello")).unwrap();
    let first = stage.codex.expect("turn/start").await;
    for _ in 0..2 {
        let list = stage.codex.expect("thread/turns/list").await;
        stage.codex.answer(&list, &nothing_there());
    }
    let again = stage.codex.expect("turn/start").await;
    assert_eq!(again["params"]["input"], first["params"]["input"]);
    assert_ne!(again["params"]["clientUserMessageId"], first["params"]["clientUserMessageId"]);
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_ends_before_the_message_is_seen_is_a_doubt() {
    let (mut stage, queue) = Stage::with_idle_agent().await;
    queue.enqueue(&text("hello")).unwrap();
    stage.codex.accept_turn("turn-2").await;
    stage.codex.say("turn/started", &turn("turn-2", "inProgress"));
    stage.codex.say("turn/completed", &turn("turn-2", "interrupted"));
    for _ in 0..2 {
        let list = stage.codex.expect("thread/turns/list").await;
        stage.codex.answer(&list, &nothing_there());
    }
    stage.codex.expect("turn/start").await;
}

#[tokio::test(start_paused = true)]
async fn what_is_lost_again_and_again_is_tried_with_growing_pauses_and_then_buried_with_the_reason() {
    let mut stage = Stage::with_running_turn(ServeFlags::default()).await;
    let queue = stage.queue_of_the_busy().await;
    let id = queue.enqueue(&text("a text that kills")).unwrap();
    stage.codex.say("turn/completed", &turn("turn-1", "completed"));
    let mut pauses = Vec::new();
    let mut since = Instant::now();
    for n in 0..10 {
        stage.codex.accept_turn(&format!("turn-{}", n + 2)).await;
        pauses.push(since.elapsed().as_secs());
        stage.codex.say("turn/started", &turn(&format!("turn-{}", n + 2), "inProgress"));
        stage.codex.say("turn/completed", &turn(&format!("turn-{}", n + 2), "failed"));
        for _ in 0..2 {
            let list = stage.codex.expect("thread/turns/list").await;
            stage.codex.answer(&list, &nothing_there());
        }
        since = Instant::now();
    }
    assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 30, 30, 30, 30]);
    let Fate::Dead(Some(reason)) = stage.settled(&queue, &id).await else { panic!("buried") };
    assert!(reason.why.contains("10 times") && reason.why.contains("ended before it was seen"), "{}", reason.why);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_steered_while_an_answer_is_waited_for() {
    let mut stage = Stage::with_running_turn(ServeFlags::default()).await;
    let status = |flags: Value| json!({"threadId": "thread-1", "status": {"type": "active", "activeFlags": flags}});
    stage.codex.say("thread/status/changed", &status(json!(["waitingOnApproval"])));
    let queue = stage.queue_of_the_busy().await;
    let id = queue.enqueue(&urgent("now")).unwrap();
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert!(matches!(queue.fate(&id), Fate::Waiting));
    stage.codex.say("thread/status/changed", &status(json!([])));
    let steer = stage.codex.expect("turn/steer").await;
    assert_eq!(
        (&steer["params"]["expectedTurnId"], &steer["params"]["threadId"]),
        (&json!("turn-1"), &json!("thread-1"))
    );
    stage.codex.answer(&steer, &json!({"turnId": "turn-1"}));
    stage.codex.shows("turn-1", &steer);
    assert!(matches!(stage.settled(&queue, &id).await, Fate::Delivered(_)));
}

#[tokio::test(start_paused = true)]
async fn a_refused_steer_waits_for_the_turns_end() {
    let mut stage = Stage::with_running_turn(ServeFlags::default()).await;
    let queue = stage.queue_of_the_busy().await;
    queue.enqueue(&urgent("now")).unwrap();
    let steer = stage.codex.expect("turn/steer").await;
    stage.codex.refuse(&steer, "no active turn to steer");
    stage.codex.say("turn/completed", &turn("turn-1", "completed"));
    let start = stage.codex.expect("turn/start").await;
    assert_eq!(start["params"]["input"][0]["text"], "now");
    assert_eq!(queue.list().unwrap()[0].tries, None, "nobody is to blame");
}

#[tokio::test(start_paused = true)]
async fn what_an_idle_agent_cannot_take_is_buried_after_its_time_and_a_busy_one_does_not_age_it() {
    let mut stage = Stage::with_running_turn(ServeFlags::default()).await;
    let queue = stage.queue_of_the_busy().await;
    queue.make().unwrap();
    // Somebody has begun to write it, and never will go on.
    let id = EntryId::next();
    std::fs::write(queue.dir().join(format!("{id}.json")), "").unwrap();
    tokio::time::sleep(Duration::from_secs(1200)).await;
    assert_eq!(queue.fate(&id), Fate::Waiting, "the agent was busy");
    stage.codex.say("turn/completed", &turn("turn-1", "completed"));
    let since = Instant::now();
    let Fate::Dead(Some(reason)) = stage.settled(&queue, &id).await else { panic!("buried") };
    assert!((600..=640).contains(&since.elapsed().as_secs()), "{:?}", since.elapsed());
    assert!(reason.why.contains("600 s (queue_ttl_secs)"), "{}", reason.why);
}
