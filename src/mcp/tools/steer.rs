//! `agent_steer`: a text into what an agent does now, with the receipt.

use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::CallToolResult;
use rmcp::service::RequestContext;
use serde_json::{Value, json};

use super::agents::structured;
use super::off_the_loop;
use crate::ids::EntryId;
use crate::mcp::args::{self, SteerArgs};
use crate::mcp::error::ToolError;
use crate::mcp::server::Shared;
use crate::queue::{Fate, Queue, QueueError, Text, Urgency};
use crate::session::{Found, RosterError, Who};

/// How long the receipt is waited for when nobody says: a command that runs holds a steer up for ten seconds (0.169.0).
const DEFAULT: Duration = Duration::from_secs(15);
/// The longest that may be asked for.
const LONGEST: u64 = 600_000;
/// How often it is looked whether another server has delivered it.
const ELSEWHERE: Duration = Duration::from_millis(500);

pub(super) async fn steer(
    shared: &Shared,
    args: SteerArgs,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResult, ToolError> {
    let missing =
        |argument: &str, what: &str| ToolError::arguments(format!("argument {argument}: it is missing; {what}"));
    let agent = args.agent.ok_or_else(|| missing("agent", "name the agent (agent_sessions lists them)"))?;
    let text = args.text.ok_or_else(|| missing("text", "say what the agent is to be told"))?;
    let timeout = match args.timeout_ms {
        None => DEFAULT,
        Some(ms @ 0..=LONGEST) => Duration::from_millis(ms),
        Some(_) => return Err(ToolError::arguments(format!("argument timeout_ms: at most {LONGEST} (10 minutes)"))),
    };
    let mut live = None;
    let (id, identity, runs) = match found(shared, &agent)? {
        Found::Live(handle) => {
            let (id, identity) = (handle.agent().clone(), handle.identity().clone());
            live = Some(handle);
            (id, identity, true)
        }
        Found::Kept(record) if record.closed => {
            return Err(RosterError::Closed { identity: record.identity, agent: record.agent_id }.into());
        }
        Found::Kept(record) => {
            let elsewhere = shared.roster.runs_elsewhere(&record.agent_id);
            (record.agent_id, record.identity, elsewhere)
        }
    };
    let mut settlements = shared.queues.settlements();
    let queue = shared.queues.of(&id);
    let text = Text { text, kind: Some("steer".to_owned()), urgency: Urgency::Urgent, ..Text::default() };
    let (queue, entry) = enqueue(queue, text).await?;
    let settled = async {
        loop {
            let (queue, entry) = (queue.clone(), entry.clone());
            match off_the_loop(move || queue.fate(&entry)).await? {
                Fate::Waiting => drop(tokio::time::timeout(ELSEWHERE, settlements.changed()).await),
                fate => return Ok::<_, ToolError>(fate),
            }
        }
    };
    // Who is brought to an end with this server may still take it until then.
    let parted = async {
        shared.roster.ending().await;
        if let Some(live) = &live {
            live.over().await;
        }
    };
    let fate = if runs {
        tokio::select! {
            fate = settled => fate?,
            () = tokio::time::sleep(timeout) => Fate::Waiting,
            () = parted => Fate::Waiting,
            // It stays in the queue: what was said was said.
            () = context.ct.cancelled() => Fate::Waiting,
        }
    } else {
        Fate::Waiting
    };
    let (status, said, more) = match &fate {
        Fate::Delivered(delivered) => {
            let (thread, turn) = (&delivered.receipt.thread, &delivered.receipt.turn);
            let more = json!({"threadId": thread, "turn_id": turn, "delivery_id": delivered.delivery});
            ("delivered", format!("{identity} has it, in turn {turn}."), more)
        }
        Fate::Waiting if shared.roster.is_ending() => (
            "queued",
            format!(
                "The server ends, and {identity} does not have it yet. It stays in the queue, and is delivered when the agent is \
                 continued: start the server again and give it a prompt with codex-reply."
            ),
            Value::Null,
        ),
        Fate::Waiting if runs => (
            "queued",
            format!(
                "{identity} does not have it yet; it is delivered as soon as it can be. agent_status shows its queue."
            ),
            Value::Null,
        ),
        Fate::Waiting => (
            "queued",
            format!(
                "{identity} is not running; it is delivered when it runs again. Give it a prompt with codex-reply."
            ),
            Value::Null,
        ),
        Fate::Dead(reason) => {
            let why = reason.as_ref().map_or("nobody knows why", |reason| &reason.why);
            let message =
                format!("It was not delivered to {identity}: {why}. It is kept: atm-agent-mcp queue show {entry}");
            return Err(ToolError::new("NOT_DELIVERED", message).with("entry_id", entry.as_str()));
        }
        Fate::Gone => ("gone", format!("Somebody has taken it from the queue of {identity}."), Value::Null),
    };
    let mut value = json!({
        "status": status, "content": said, "entry_id": entry, "agent_id": id, "identity": identity,
    });
    if let (Value::Object(value), Value::Object(more)) = (&mut value, more) {
        value.extend(more);
    }
    Ok(structured(said, value))
}

/// Whoever the word means: an agent's id, its name, or its thread.
fn found(shared: &Shared, word: &str) -> Result<Found, ToolError> {
    for who in Who::meanings(word) {
        match shared.roster.find(&who) {
            Err(RosterError::NotFound(_)) => {}
            found => return Ok(found?),
        }
    }
    Err(args::unknown("agent", word))
}

async fn enqueue(queue: Queue, text: Text) -> Result<(Queue, EntryId), ToolError> {
    let enqueued = off_the_loop(move || queue.enqueue(&text).map(|id| (queue, id))).await?;
    enqueued.map_err(|error| match error {
        QueueError::Text(why) => ToolError::arguments(format!("argument text: {why}")),
        QueueError::Full { .. } => ToolError::new("QUEUE_FULL", error.to_string()),
        error => ToolError::new("FILES", error.to_string()),
    })
}
