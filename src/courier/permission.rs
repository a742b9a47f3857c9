//! What agents ask, asked of the lead by mail: Claude Code shows its user a dialog, and its answer is a decision.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::json;

use super::desk::Desk;
use super::inbox::{Failure, LOOKED_AT};
use super::round::off_the_loop;
use crate::ids::{Address, MemberName, MessageId};
use crate::mail::{Draft, Message, Post, Urgency, frame};
use crate::session::{Ask, AskId, Decision, Handle, NotTaken, OpenAsk};

/// How a request of ours begins; Claude Code's own do so too.
const PERM: &str = "perm-";

/// Asks the lead whatever this agent asks, until its session is over.
pub(super) async fn ask_the_lead(handle: Handle, desk: Desk) {
    let mut snapshot = handle.watch();
    let mut asked: HashSet<AskId> = HashSet::new();
    loop {
        let open = snapshot.borrow_and_update().asks.clone();
        asked.retain(|id| open.iter().any(|ask| ask.id == *id));
        for ask in open {
            if asked.insert(ask.id.clone())
                && let Some(text) = request(&handle, &ask)
            {
                send(&handle, &desk, text).await;
            }
        }
        if snapshot.changed().await.is_err() {
            return;
        }
    }
}

/// The question in Claude's form, if a yes or a no is an answer to it.
fn request(handle: &Handle, open: &OpenAsk) -> Option<String> {
    let summary = open.ask.summary();
    let (tool, input) = match &open.ask {
        Ask::Command { command, cwd, .. } => {
            ("Bash", json!({ "command": command, "cwd": cwd, "description": summary }))
        }
        Ask::FileChange { changes, .. } => {
            let change = changes.first();
            let path = change.map(|change| change.path.as_str()).unwrap_or_default();
            let diffs: Vec<&str> = changes.iter().map(|change| change.diff.as_str()).collect();
            ("Edit", json!({ "file_path": path, "diff": diffs.join("\n") }))
        }
        Ask::Permissions { permissions, .. } => ("Permissions", permissions.clone()),
        Ask::Elicitation { form: Some(form), server, .. } if form["required"].as_array().is_none_or(Vec::is_empty) => {
            ("McpTool", json!({ "server": server }))
        }
        Ask::Elicitation { .. } | Ask::UserInput { .. } | Ask::ToolCall(_) | Ask::Unknown { .. } => return None,
    };
    let name = handle.identity().as_str();
    Some(frame::permission_request(&format!("{PERM}{}", open.id), name, tool, &format!("{name} asks {summary}"), input))
}

async fn send(handle: &Handle, desk: &Desk, text: String) {
    let from = Address { name: MemberName::from(handle.identity()), team: None };
    let draft = Draft { from, text, summary: None, color: None, urgency: Urgency::Normal };
    let teams = desk.teams.clone();
    let sent = off_the_loop(move || {
        let Some((post, lead)) = teams.leads() else { return Ok(()) };
        post.send(&lead, &[draft]).map(drop).map_err(std::io::Error::other)
    });
    if let Err(error) = sent.await {
        tracing::warn!(agent = %handle.identity(), %error, "the lead cannot be asked by mail");
    }
}

/// Takes the lead's decisions out of the agent's mail; they are no text for it.
pub(super) async fn hear_the_lead(handle: &Handle, desk: &Desk, post: &Arc<dyn Post>) -> Result<(), Failure> {
    let (read, name) = (post.clone(), MemberName::from(handle.identity()));
    let unread = off_the_loop(move || Ok(read.unread(&name, LOOKED_AT))).await??.messages;
    let lead = desk.lead_in(post);
    let mut heard: Vec<MessageId> = Vec::new();
    for Message { id, text, .. } in unread.into_iter().filter(|message| message.from == lead) {
        let Some((request, answer)) = frame::permission_response(&text) else { continue };
        let Some(ask) = request.strip_prefix(PERM).map(AskId::parse) else { continue };
        let (decision, reason) = match answer {
            Ok(()) => (Decision::Accept, None),
            Err(reason) => (Decision::Decline, reason),
        };
        match handle.decide(&ask, decision.into(), reason, &lead).await {
            Ok(_) | Err(NotTaken::Past(..)) => heard.push(id),
            Err(error) => tracing::debug!(agent = %handle.identity(), %error, "a decision by mail"),
        }
    }
    if heard.is_empty() {
        return Ok(());
    }
    let (post, of) = (post.clone(), handle.identity().clone());
    off_the_loop(move || Ok(post.mark_read_of_ours(&of, &heard))).await??;
    Ok(())
}
