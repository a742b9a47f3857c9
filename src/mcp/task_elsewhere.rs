//! A task that another server began, as the agent's thread and record have it.

use jiff::Timestamp;
use rmcp::model::ErrorData;

use super::codes;
use super::server::{Shared, shown};
use crate::ids::{AgentId, DeliveryId};
use crate::plain;
use crate::session::{Item, Record, Turn, TurnStatus};

/// How many of the last turns it is looked for in.
const TURNS_MAX: u32 = 50;

/// Such a task.
pub(super) struct Elsewhere {
    pub(super) record: Record,
    pub(super) created: Timestamp,
    pub(super) turn: Turn,
    /// Whether its turn has ended; if not, the server that runs the agent runs the turn too.
    pub(super) is_over: bool,
}

/// Finds it.
pub(super) async fn find(shared: &Shared, id: &str) -> Result<Elsewhere, ErrorData> {
    let (agent, mark) = id.split_once('.').ok_or_else(|| unknown(id))?;
    let agent = AgentId::parse(agent).map_err(|_| unknown(id))?;
    let mark = DeliveryId::parse(mark).map_err(|_| unknown(id))?;
    // Asked before the history: who ends the turn after that has written there how it ended.
    let is_run = shared.roster.runs_elsewhere(&agent);
    let record = shared.roster.record(&agent).ok().flatten().ok_or_else(|| unknown(id))?;
    let thread = record.thread_id.clone().ok_or_else(|| unknown(id))?;
    let turns = shared.roster.turns(&thread, TURNS_MAX).await.map_err(|error| {
        ErrorData::internal_error(
            plain::error(&format!("the thread of {} cannot be read now: {error}", record.identity)),
            Some(codes::data("CHILD_PROCESS_DEAD")),
        )
    })?;
    let Some(at) = turns.iter().position(|turn| has(turn, &mark)) else {
        return Err(if is_run { not_begun(id, &record) } else { unknown(id) });
    };
    // The newest is the first.
    let is_over = !is_run || at > 0 || is_over(&turns[at], record.opened_at);
    let created = begun(&mark).unwrap_or(record.created_at);
    let turn = turns.into_iter().nth(at).ok_or_else(|| unknown(id))?;
    Ok(Elsewhere { record, created, turn, is_over })
}

/// Why a task is not to be decided or cancelled here.
pub(super) async fn out_of_reach(shared: &Shared, id: &str, what: &str) -> ErrorData {
    let Elsewhere { record, turn, is_over, .. } = match find(shared, id).await {
        Ok(task) => task,
        Err(error) => return error,
    };
    if !is_over {
        let Record { identity, server_pid, .. } = record;
        return invalid(format!(
            "taskId \"{}\": another server (process {server_pid}) runs {identity}, so its task is {what} only there; tasks/get shows \
             how it goes",
            shown(id)
        ));
    }
    let how = match turn.status {
        TurnStatus::Completed => "completed",
        TurnStatus::Failed => "failed",
        TurnStatus::Interrupted | TurnStatus::InProgress | TurnStatus::Unknown => "interrupted",
    };
    invalid(format!(
        "taskId \"{}\": its turn has ended ({how}), so nothing of it is {what} any more; tasks/get has its result, codex-reply \
         goes on with {}",
        shown(id),
        record.identity
    ))
}

/// Whether a thread's last turn has ended, though somebody runs its agent. The history of a thread that another Codex has
/// open shows a turn that runs there as interrupted, but not when it ended (0.144.6 and 0.169.0).
fn is_over(turn: &Turn, opened_at: Option<Timestamp>) -> bool {
    let ended = match turn.status {
        TurnStatus::Completed | TurnStatus::Failed => true,
        TurnStatus::Interrupted | TurnStatus::InProgress | TurnStatus::Unknown => turn.completed_at.is_some(),
    };
    // It began before its agent was opened where that runs now, so it was another server's that is gone.
    let is_of_before = turn.started_at.zip(opened_at).is_some_and(|(started, opened)| started < opened.as_second());
    ended || is_of_before
}

fn unknown(id: &str) -> ErrorData {
    invalid(format!(
        "taskId \"{}\": no task of this server, or of its agents' threads; agent_sessions lists the agents, agent_read shows \
         what one did",
        shown(id)
    ))
}

fn not_begun(id: &str, Record { identity, server_pid, .. }: &Record) -> ErrorData {
    invalid(format!(
        "taskId \"{}\": the thread of {identity} has no turn of that task. Another server (process {server_pid}) runs the agent, \
         and knows what waits there; agent_read shows what it did",
        shown(id)
    ))
}

fn invalid(message: String) -> ErrorData {
    ErrorData::invalid_params(plain::error(&message), Some(codes::data("INVALID_SESSION_PARAMS")))
}

/// When a mark was made.
fn begun(mark: &DeliveryId) -> Option<Timestamp> {
    let (secs, nanos) = uuid::Uuid::try_parse(mark.as_str()).ok()?.get_timestamp()?.to_unix();
    Timestamp::new(i64::try_from(secs).ok()?, i32::try_from(nanos).ok()?).ok()
}

fn has(turn: &Turn, mark: &DeliveryId) -> bool {
    let is_it = |item: &Item| matches!(item, Item::UserMessage { client_id: Some(id), .. } if id == mark.as_str());
    turn.items.iter().any(is_it)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_turn_runs_while_no_end_of_it_is_known_and_its_agent_was_not_opened_anew() {
        let opened = |at: i64| Some(Timestamp::from_second(at).unwrap());
        let of = |status: &str, ended: Option<i64>, opened_at| {
            let turn = json!({"id": "t", "status": status, "startedAt": 100, "completedAt": ended});
            is_over(&serde_json::from_value(turn).unwrap(), opened_at)
        };
        assert!(!of("interrupted", None, opened(90)) && !of("interrupted", None, None));
        assert!(!of("inProgress", None, opened(100)) && !of("invented", None, opened(90)));
        assert!(of("interrupted", Some(101), opened(90)) && of("interrupted", None, opened(101)));
        assert!(of("completed", None, opened(90)) && of("failed", None, opened(90)));
    }
}
