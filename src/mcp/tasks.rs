//! Turns as tasks, for clients that have the extension `io.modelcontextprotocol/tasks`.
//!
//! A task is one call for a turn. Its id names the agent and the mark under which the prompt stands in the thread's history,
//! so a later server finds there what became of it: nothing is kept on disk for it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use rmcp::model::{
    CallToolResponse, CreateTaskResult, DetailedTask, ErrorData, GetTaskResult, InputResponses, JsonObject, Task,
    TaskPayload, TaskStatus,
};
use tokio::sync::Notify;

use super::answers::{self, Answered};
use super::asking::USER;
use super::codes;
use super::result::{TEXT_MAX, TurnResult};
use super::server::Shared;
use super::task_elsewhere::{self, Elsewhere};
use super::tools::requests;
use crate::ids::DeliveryId;
use crate::plain;
use crate::session::{AskId, Handle, NotTaken, Outcome, Prompt};

/// How long the result of a task is kept after its beginning, at least.
const TTL: SignedDuration = SignedDuration::from_hours(24);
/// How many are kept; the oldest that have ended go first.
const KEPT_MAX: usize = 1_000;
/// How often a client should ask.
const POLL_MS: u64 = 1_000;

/// The tasks of this server.
#[derive(Debug, Default)]
pub(super) struct Tasks(Mutex<HashMap<String, Kept>>);

#[derive(Debug)]
struct Kept {
    handle: Handle,
    created: Timestamp,
    updated: Timestamp,
    ended: Option<JsonObject>,
    cancel: Arc<Notify>,
    is_cancelled: bool,
    /// Whether the client can show its user a form.
    has_forms: bool,
    /// What the client's user closed the form of.
    undecided: HashSet<AskId>,
}

/// Begins a turn as a task.
pub(super) fn begin(
    shared: &Arc<Shared>,
    handle: &Handle,
    prompt: Prompt,
    notes: Vec<String>,
    has_forms: bool,
) -> CallToolResponse {
    let mark = DeliveryId::next();
    let id = format!("{}.{mark}", handle.agent());
    let created = Timestamp::now();
    let cancel = Arc::new(Notify::new());
    let kept = Kept {
        handle: handle.clone(),
        created,
        updated: created,
        ended: None,
        cancel: cancel.clone(),
        is_cancelled: false,
        has_forms,
        undecided: HashSet::new(),
    };
    shared.tasks.keep(id.clone(), kept);
    let mut ticket = handle.marked_turn(prompt, shared.settings.request_timeout, mark);
    let (shared, handle, task) = (shared.clone(), handle.clone(), id.clone());
    tokio::spawn(async move {
        let outcome = tokio::select! {
            outcome = handle.outcome(&mut ticket) => outcome,
            () = cancel.notified() => {
                handle.cancel(&ticket).await;
                handle.outcome(&mut ticket).await
            }
        };
        shared.tasks.end(&task, result(&outcome, &notes));
    });
    let task = described(&id, created, created, TaskStatus::Working);
    CreateTaskResult::new(task.with_status_message("begun")).into()
}

fn result(outcome: &Outcome, notes: &[String]) -> JsonObject {
    let result = TurnResult::of(outcome, notes, TEXT_MAX).into_result();
    match serde_json::to_value(result) {
        Ok(serde_json::Value::Object(result)) => result,
        _ => JsonObject::new(),
    }
}

fn described(id: &str, created: Timestamp, updated: Timestamp, status: TaskStatus) -> Task {
    let ttl = u64::try_from(TTL.as_millis()).unwrap_or(u64::MAX);
    Task::new(id, status, created.to_string(), updated.to_string()).with_ttl_ms(ttl).with_poll_interval_ms(POLL_MS)
}

/// How a task stands.
pub(super) async fn get(shared: &Shared, id: &str) -> Result<GetTaskResult, ErrorData> {
    if let Some(task) = shared.tasks.get(id) {
        return Ok(GetTaskResult::new(task));
    }
    let Elsewhere { record, created, turn, is_over } = task_elsewhere::find(shared, id).await?;
    let payload = match is_over {
        true => TaskPayload::Completed { result: result(&Outcome::of_history(&record, &turn), &[]) },
        false => TaskPayload::Working,
    };
    let task = described(id, created, record.last_active, payload.status());
    let task = match is_over {
        true => task,
        false => task.with_status_message(format!(
            "{}: another server (process {}) runs it; what it asks is decided there",
            record.identity, record.server_pid
        )),
    };
    Ok(GetTaskResult::new(DetailedTask::new(task, payload)))
}

/// Decides what was asked in a task.
pub(super) async fn update(shared: &Shared, id: &str, responses: InputResponses) -> Result<(), ErrorData> {
    let handle = shared.tasks.all().get(id).map(|kept| kept.handle.clone());
    let Some(handle) = handle else { return Err(task_elsewhere::out_of_reach(shared, id, "decided").await) };
    let mut wrong = Vec::new();
    for (ask, answer) in responses {
        let open = handle.snapshot().asks.into_iter().find(|open| open.id.as_str() == ask);
        let Some(open) = open else { continue };
        match answers::answered(&open.ask, &answer) {
            Answered::Decided(verdict, reason) => match handle.decide(&open.id, verdict, reason, USER).await {
                Ok(_) | Err(NotTaken::Past(..) | NotTaken::Unknown(_)) => {}
                Err(not_taken @ NotTaken::Unsuited(..)) => wrong.push(not_taken.to_string()),
            },
            Answered::Closed => {
                if let Some(kept) = shared.tasks.all().get_mut(id) {
                    kept.undecided.insert(open.id.clone());
                }
            }
            Answered::Unclear => wrong.push(format!("{ask} stays open: {}", answers::UNCLEAR)),
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(ErrorData::invalid_params(
        plain::error(&format!("inputResponses: {}", wrong.join("; "))),
        Some(codes::data("INVALID_SESSION_PARAMS")),
    ))
}

/// Ends a task; it shows so when its turn has ended.
pub(super) async fn cancel(shared: &Shared, id: &str) -> Result<(), ErrorData> {
    if shared.tasks.cancel(id) {
        return Ok(());
    }
    Err(task_elsewhere::out_of_reach(shared, id, "cancelled").await)
}

impl Tasks {
    /// Whether it is one of these; it is ended, if it has not ended before.
    fn cancel(&self, id: &str) -> bool {
        let mut all = self.all();
        let Some(kept) = all.get_mut(id) else { return false };
        if kept.ended.is_none() {
            kept.is_cancelled = true;
            kept.cancel.notify_one();
        }
        true
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, id: String, kept: Kept) {
        let mut all = self.all();
        let now = Timestamp::now();
        all.retain(|_, kept| kept.ended.is_none() || now.duration_since(kept.created) < TTL);
        if all.len() >= KEPT_MAX
            && let Some(oldest) = all
                .iter()
                .filter(|(_, kept)| kept.ended.is_some())
                .min_by_key(|(_, kept)| kept.created)
                .map(|(id, _)| id.clone())
        {
            all.remove(&oldest);
        }
        all.insert(id, kept);
    }

    fn end(&self, id: &str, result: JsonObject) {
        if let Some(kept) = self.all().get_mut(id) {
            kept.ended = Some(result);
            kept.updated = Timestamp::now();
        }
    }

    fn get(&self, id: &str) -> Option<DetailedTask> {
        let all = self.all();
        let kept = all.get(id)?;
        let snapshot = kept.handle.snapshot();
        let payload = match &kept.ended {
            Some(_) if kept.is_cancelled => TaskPayload::Cancelled,
            Some(result) => TaskPayload::Completed { result: result.clone() },
            None => {
                let open: Vec<_> =
                    snapshot.asks.iter().filter(|open| !kept.undecided.contains(&open.id)).cloned().collect();
                match requests(&kept.handle, &open).filter(|_| kept.has_forms) {
                    Some(input_requests) => TaskPayload::InputRequired { input_requests },
                    None => TaskPayload::Working,
                }
            }
        };
        let updated = kept.updated.max(snapshot.last_active);
        let mut task = described(id, kept.created, updated, payload.status());
        if kept.ended.is_none() {
            task = task.with_status_message(format!("{}: {}", kept.handle.identity(), snapshot.activity));
        }
        Some(DetailedTask::new(task, payload))
    }
}
