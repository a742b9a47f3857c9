//! Agents that the lead wants to end: one that runs here ends after its turn; one that nobody runs, when a server starts.
//!
//! First the agent is closed, then the lead is answered, then the request is marked read. So whatever is killed in between,
//! the request is there to be found, and no agent lives on of which the lead has heard that it has ended. An inbox is a
//! name's, and outlives its agents: a request from before the agent was opened was for another, and is passed over.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::desk::Desk;
use super::inbox::{Failure, LOOKED_AT};
use super::letters::shutdown;
use super::replying::answer;
use super::round::off_the_loop;
use crate::ids::{AgentId, AgentName, MemberName};
use crate::journal::Entry;
use crate::mail::{Filter, Message, Post, Which, frame};
use crate::session::identity::Lock;
use crate::session::{Record, Roster};

/// Does what this request of the lead's asks for.
pub(super) async fn follow(
    roster: &Roster,
    desk: &Desk,
    post: &Arc<dyn Post>,
    (agent, name): (&AgentId, &AgentName),
    message: &Message,
    request: &str,
) -> Result<(), Failure> {
    let record = roster.record(agent)?;
    if record.is_some_and(|record| is_older(message, &record)) {
        return settle(desk, post, name, message, "passed over").await;
    }
    if let Err(error) = roster.close(agent).await? {
        tracing::warn!(agent = %name, %error, "it was told to shut down");
    }
    let approved = frame::shutdown_approved(request, name.as_str(), Timestamp::now());
    let (read, lead, from, id) = (post.clone(), message.from.clone(), name.to_string(), request.to_owned());
    let is_answered = off_the_loop(move || Ok(has_answer(&*read, &lead, &from, &id))).await?;
    if !is_answered {
        answer(post, name, message, approved).await;
    }
    settle(desk, post, name, message, "approved").await
}

/// Whether the message was sent before the agent was opened, as far as its time says; it has milliseconds.
fn is_older(message: &Message, record: &Record) -> bool {
    message.at.is_some_and(|at| at.as_millisecond() < record.open_since().as_millisecond())
}

/// There is nothing more to be done about this request.
async fn settle(
    desk: &Desk,
    post: &Arc<dyn Post>,
    name: &AgentName,
    message: &Message,
    result: &str,
) -> Result<(), Failure> {
    let (marks, of, ids) = (post.clone(), name.clone(), vec![message.id.clone()]);
    off_the_loop(move || Ok(marks.mark_read_of_ours(&of, &ids))).await??;
    let (agent, id) = (Some(name.as_str()), Some(message.id.as_str()));
    let to = Some(message.from.as_str());
    desk.journal.note(Entry { agent, who: "courier", action: "shut_down", to, id, result, ..Entry::default() });
    Ok(())
}

/// Whether the lead has the answer to this request, as far as its inbox can tell.
fn has_answer(post: &dyn Post, lead: &str, from: &str, request: &str) -> bool {
    let Ok(lead) = MemberName::parse(lead) else { return false };
    let filter = Filter { which: Which::All, from: Some(from.to_owned()), ..Filter::default() };
    let page = post.read(&lead, &filter).map(|page| page.messages).unwrap_or_default();
    page.iter().any(|message| frame::is_shutdown_approved(&message.text, request))
}

/// Ends those that nobody runs.
pub(super) async fn of_those_away(roster: &Roster, desk: &Desk) {
    for post in desk.teams.all() {
        let (looked, seen_by) = (post.clone(), desk.clone());
        let asked = off_the_loop(move || Ok(asked_to_end(&seen_by, &looked))).await.unwrap_or_default();
        for (record, message, request) in asked {
            let who = (&record.agent_id, &record.identity);
            if let Err(error) = follow(roster, desk, post, who, &message, &request).await {
                tracing::warn!(agent = %record.identity, %error, "it was told to shut down");
            }
        }
    }
}

/// Those whom the lead has asked to end, and who do not run.
fn asked_to_end(desk: &Desk, post: &Arc<dyn Post>) -> Vec<(Record, Message, String)> {
    let Ok(members) = post.roster() else { return Vec::new() };
    let is_foreign = |record: &Record| {
        let name = MemberName::from(&record.identity);
        members.iter().any(|member| name.shares_inbox_with(&member.name) && member.ours.is_none())
    };
    let Ok(records) = Record::all(&desk.dir).inspect_err(|error| tracing::warn!(%error, "nobody can be asked to end"))
    else {
        return Vec::new();
    };
    let runs = |record: &&Record| Lock::is_held(&desk.dir.agent_lock(&record.agent_id));
    let mut taken: HashSet<AgentName> = records.iter().filter(runs).map(|record| record.identity.clone()).collect();
    let lead = desk.lead_in(post);
    let mut asked = Vec::new();
    // An inbox belongs to a name: to the last agent that had it.
    for record in records.into_iter().filter(|record| !is_foreign(record)) {
        let name = MemberName::from(&record.identity);
        if !taken.insert(record.identity.clone()) || !post.inbox_path(&name).exists() {
            continue;
        }
        let unread = post.unread(&name, LOOKED_AT).map(|page| page.messages).unwrap_or_default();
        let request = unread.into_iter().find_map(|message| Some((shutdown(&message, &lead)?, message)));
        asked.extend(request.map(|(request, message)| (record, message, request)));
    }
    asked
}
