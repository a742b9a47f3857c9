//! What the lead hears of turns for which no call waits: their end, and what they ask, each once, if it has not asked itself.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::desk::Desk;
use super::inbox_socket::InboxSocket;
use super::round::off_the_loop;
use crate::ids::{Address, AgentName, MemberName, TurnId};
use crate::journal::Entry;
use crate::mail::frame::{self, Idle, IdleReason};
use crate::mail::{Draft, Urgency};
use crate::plain::is_unseen;
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
            tell(&handle, &desk, Notice::of_end(&outcome)).await;
        }
        let open = handle.snapshot().asks;
        asked.retain(|id| open.iter().any(|ask| ask.id == *id));
        for ask in open.iter().filter(|ask| ask.is_for_nobody) {
            if asked.insert(ask.id.clone()) {
                tell(&handle, &desk, Notice::of_ask(handle.identity(), ask)).await;
            }
        }
    }
}

/// Whether the lead has not heard of it. What it ended itself, or what never began, it knows.
fn is_news(outcome: &Outcome, told: &mut HashSet<TurnId>) -> bool {
    let ended = !matches!(
        outcome.end,
        End::Stopped(_) | End::Withdrawn | End::NotTaken(_) | End::Refused(_) | End::Closed | End::ServerEnds
    );
    ended && outcome.turn.clone().is_some_and(|turn| told.insert(turn))
}

/// What the lead is told.
struct Notice {
    /// Of what: a turn, or something that was asked.
    id: Option<String>,
    /// As mail.
    mail: String,
    /// A word before it.
    summary: Option<String>,
    /// In one paragraph, for its session.
    said: String,
    /// The agent's own words.
    words: String,
}

impl Notice {
    fn of_end(outcome: &Outcome) -> Notice {
        Notice {
            id: outcome.turn.as_ref().map(TurnId::to_string),
            mail: frame::idle_notification(&idle(outcome), Timestamp::now()),
            summary: None,
            said: paragraph(outcome),
            words: outcome.text.clone(),
        }
    }

    /// Something is to be decided.
    fn of_ask(name: &AgentName, open: &OpenAsk) -> Notice {
        let decisions = Decision::ALL.map(Decision::word).join(", ");
        let words: String = open.ask.summary().chars().take(ASK_MAX).collect();
        let decide = format!("agent_approve {{\"ask_id\": \"{}\", \"decision\": …}} ({decisions})", open.id);
        Notice {
            id: Some(open.id.to_string()),
            mail: format!("I wait for a decision: I ask {words}. Decide with {decide}."),
            summary: Some("waits for a decision".to_owned()),
            said: one_paragraph(&format!(
                "[atm-agent-mcp] Your agent {name} waits for a decision. Decide with {decide}. It asks {words}."
            )),
            words,
        }
    }
}

async fn tell(handle: &Handle, desk: &Desk, notice: Notice) {
    let (id, words) = (notice.id.clone(), notice.words.clone());
    let told = match &desk.socket {
        Some(socket) if is_said(socket, handle, &notice.said).await => Some("said to its session".to_owned()),
        _ => mailed(handle, desk, notice).await,
    };
    let Some(result) = told else { return };
    let (agent, id) = (Some(handle.identity().as_str()), id.as_deref());
    let (to, text) = (Some(desk.lead.as_str()), Some(words.as_str()));
    let result = result.as_str();
    desk.journal.note(Entry { agent, who: "courier", action: "tell_lead", from: agent, to, id, text, result });
}

async fn is_said(socket: &InboxSocket, handle: &Handle, paragraph: &str) -> bool {
    let said = socket.say(paragraph).await;
    if let Err(error) = &said {
        tracing::warn!(agent = %handle.identity(), ?socket, %error, "the lead's session is not told on its socket, but by mail");
    }
    said.is_ok()
}

/// What came of a mail to the lead; nothing if there is no way to it.
async fn mailed(handle: &Handle, desk: &Desk, Notice { mail: text, summary, .. }: Notice) -> Option<String> {
    let from = Address { name: MemberName::from(handle.identity()), team: None };
    let draft = Draft { from, text, summary, color: None, urgency: Urgency::Normal };
    let teams = desk.teams.clone();
    let sent = off_the_loop(move || {
        let Some((post, lead)) = teams.leads() else { return Ok(None) };
        Ok(Some(post.send(&lead, &[draft])))
    });
    let result = match sent.await {
        Ok(None) => return None,
        Ok(Some(Ok(_))) => "sent".to_owned(),
        Ok(Some(Err(error))) => error.to_string(),
        Err(error) => error.to_string(),
    };
    if result != "sent" {
        tracing::warn!(agent = %handle.identity(), result, "the lead cannot be told what became of a turn");
    }
    Some(result)
}

/// A notice for a model: what it is to know and to do first, then the agent's own words, all in one paragraph.
fn paragraph(outcome: &Outcome) -> String {
    let name = &outcome.identity;
    let (end, why) = match &outcome.end {
        End::Completed => ("has completed its background turn", None),
        End::Interrupted | End::BrokenOff => ("was interrupted in its background turn", None),
        End::Failed(why) => ("has failed in its background turn", Some(why.as_str())),
        End::Lost(why) => ("has lost its background turn", Some(&**why)),
        End::Stopped(_) | End::Withdrawn | End::NotTaken(_) | End::Refused(_) | End::Closed | End::ServerEnds => {
            ("has no background turn any more", None)
        }
    };
    let why = why.map(|why| format!(": {}", frame::bounded(why, frame::REASON_MAX))).unwrap_or_default();
    let answer = match outcome.text.as_str() {
        "" => String::new(),
        text => format!("Its answer: {}", frame::bounded(text, frame::RESULT_MAX)),
    };
    let text = format!(
        "[atm-agent-mcp] Your agent {name} {end}{why}. The whole result is given by agent_wait {{\"agents\": [\"{name}\"]}}, and \
         what it did by agent_read {{\"identity\": \"{name}\"}}. {answer}"
    );
    one_paragraph(&text)
}

fn one_paragraph(text: &str) -> String {
    let seen: String = text.chars().map(|c| if is_unseen(c) { ' ' } else { c }).collect();
    seen.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn idle(outcome: &Outcome) -> Idle {
    let line = outcome.text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let (idle_reason, failure_reason) = match &outcome.end {
        End::Failed(why) => (IdleReason::Failed, Some(why.clone())),
        End::Lost(why) => (IdleReason::Failed, Some(why.to_string())),
        End::Interrupted | End::BrokenOff => (IdleReason::Interrupted, None),
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
    use crate::ids::AgentId;
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
    fn a_notice_on_the_socket_is_one_bounded_paragraph_that_says_how_to_read_more() {
        let told = paragraph(&outcome("turn-1", End::Completed, "All\n\n  green.\u{202e}"));
        let more = "by agent_wait {\"agents\": [\"ana\"]}, and what it did by agent_read {\"identity\": \"ana\"}";
        let whole = "The whole result is given";
        let expected = format!(
            "[atm-agent-mcp] Your agent ana has completed its background turn. {whole} {more}. Its answer: All green."
        );
        assert_eq!(told, expected);
        let failed = paragraph(&outcome("turn-1", End::Failed("no credit".into()), ""));
        assert!(
            failed.contains("ana has failed in its background turn: no credit. ") && failed.ends_with("}."),
            "{failed}"
        );
        let long = paragraph(&outcome("turn-1", End::Completed, &"é".repeat(frame::RESULT_MAX + 7)));
        assert_eq!(long.matches('é').count(), frame::RESULT_MAX);
        assert!(long.ends_with("[7 more characters are not shown]"), "{long}");
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
