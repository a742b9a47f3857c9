//! What the lead hears of turns that it started in the background: their end, once, if it has not asked for the result.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::desk::Desk;
use super::round::off_the_loop;
use crate::ids::{Address, MemberName, TurnId};
use crate::journal::Entry;
use crate::mail::frame::{self, Idle, IdleReason};
use crate::mail::{Draft, Urgency};
use crate::session::{AskId, Decision, End, Handle, OpenAsk, Outcome, Snapshot};

/// How long the lead may take to ask for a result by itself: who waits for it needs no mail.
const GRACE: Duration = Duration::from_secs(1);
/// How much of what is asked is told, in characters.
const ASK_MAX: usize = 1_000;
/// How much of an answer is its summary, in characters.
const SUMMARY_MAX: usize = 100;

/// Tells the lead of an agent's results until its session is over.
pub(super) async fn tell_the_lead(handle: Handle, desk: Desk) {
    let mut snapshot = handle.watch();
    let mut told: HashSet<TurnId> = HashSet::new();
    let mut asked: HashSet<AskId> = HashSet::new();
    while snapshot.changed().await.is_ok() {
        let asks = |snapshot: &Snapshot| snapshot.asks.iter().any(|ask| ask.is_for_nobody && !asked.contains(&ask.id));
        if !handle.has_results() && !asks(&snapshot.borrow()) {
            continue;
        }
        tokio::time::sleep(GRACE).await;
        let new: Vec<Arc<Outcome>> =
            handle.results().into_iter().filter(|outcome| is_news(outcome, &mut told)).collect();
        for outcome in new {
            let text = frame::idle_notification(&idle(&outcome), Timestamp::now());
            tell(&handle, &desk, text, None, outcome.turn.as_ref().map(TurnId::as_str)).await;
        }
        let open = handle.snapshot().asks;
        asked.retain(|id| open.iter().any(|ask| ask.id == *id));
        for ask in open.iter().filter(|ask| ask.is_for_nobody) {
            if asked.insert(ask.id.clone()) {
                let (text, summary) = (waiting(ask), Some("waits for your decision".to_owned()));
                tell(&handle, &desk, text, summary, Some(ask.id.as_str())).await;
            }
        }
    }
}

/// Whether the lead has not heard of it. What it ended itself, or what never began, it knows.
fn is_news(outcome: &Outcome, told: &mut HashSet<TurnId>) -> bool {
    let ended = !matches!(outcome.end, End::Stopped(_) | End::Withdrawn | End::Refused(_) | End::Closed);
    ended && outcome.turn.clone().is_some_and(|turn| told.insert(turn))
}

/// What the lead is to decide.
fn waiting(open: &OpenAsk) -> String {
    let words = Decision::ALL.map(Decision::word).join(", ");
    let summary: String = open.ask.summary().chars().take(ASK_MAX).collect();
    format!(
        "I wait for a decision: I ask {summary}. Decide with agent_approve {{\"ask_id\": \"{}\", \"decision\": …}} ({words}).",
        open.id
    )
}

async fn tell(handle: &Handle, desk: &Desk, text: String, summary: Option<String>, id: Option<&str>) {
    let from = Address { name: MemberName::from(handle.identity()), team: None };
    let draft = Draft { from, text, summary, color: None, urgency: Urgency::Normal };
    let teams = desk.teams.clone();
    let sent = off_the_loop(move || {
        let Some((post, lead)) = teams.leads() else { return Ok(None) };
        Ok(Some(post.send(&lead, &[draft])))
    });
    let result = match sent.await {
        Ok(None) => return,
        Ok(Some(Ok(_))) => "sent".to_owned(),
        Ok(Some(Err(error))) => error.to_string(),
        Err(error) => error.to_string(),
    };
    if result != "sent" {
        tracing::warn!(agent = %handle.identity(), result, "the lead cannot be told what became of a turn");
    }
    let agent = Some(handle.identity().as_str());
    desk.journal.note(Entry { agent, who: "courier", action: "tell_lead", id, result: &result, ..Entry::default() });
}

fn idle(outcome: &Outcome) -> Idle {
    let line = outcome.text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let (idle_reason, failure_reason) = match &outcome.end {
        End::Failed(why) => (IdleReason::Failed, Some(why.clone())),
        End::Lost(why) => (IdleReason::Failed, Some(why.to_string())),
        End::Interrupted => (IdleReason::Interrupted, None),
        _ => (IdleReason::Available, None),
    };
    Idle {
        from: outcome.identity.to_string(),
        idle_reason,
        summary: (!line.is_empty()).then(|| line.chars().take(SUMMARY_MAX).collect()),
        completed_task_id: None,
        completed_status: None,
        failure_reason,
        result: (!outcome.text.is_empty()).then(|| outcome.text.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{AgentId, AgentName};
    use crate::session::Stop;

    fn outcome(turn: &str, end: End, text: &str) -> Outcome {
        let name = AgentName::parse("ana").unwrap();
        let turn = TurnId::parse(turn).ok();
        Outcome { turn, text: text.to_owned(), ..Outcome::without_turn(AgentId::new(), name, end) }
    }

    #[test]
    fn the_lead_hears_of_each_end_once_and_not_of_what_it_did_itself() {
        let mut told = HashSet::new();
        let done = outcome("turn-1", End::Completed, "x");
        assert!(is_news(&done, &mut told) && !is_news(&done, &mut told));
        assert!(is_news(&outcome("turn-2", End::Failed("no".into()), ""), &mut told));
        for (turn, end) in [("turn-3", End::Stopped(Stop::Interrupted)), ("turn-4", End::Closed), ("", End::Completed)]
        {
            assert!(!is_news(&outcome(turn, end, "x"), &mut told), "{turn}");
        }
    }

    #[test]
    fn a_notice_carries_the_answer_or_why_there_is_none() {
        let good = idle(&outcome("turn-1", End::Completed, "\nAll tests pass.\nDetails."));
        assert_eq!((good.idle_reason, good.summary.as_deref()), (IdleReason::Available, Some("All tests pass.")));
        assert_eq!(good.result.as_deref(), Some("\nAll tests pass.\nDetails."));
        let bad = idle(&outcome("turn-1", End::Failed("no credit".into()), ""));
        assert_eq!(
            (bad.idle_reason, bad.failure_reason.as_deref(), bad.result),
            (IdleReason::Failed, Some("no credit"), None)
        );
    }
}
