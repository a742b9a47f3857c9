//! A turn that a call waits for: to its end, or to something that is to be decided first.

use std::collections::BTreeMap;
use std::sync::Arc;

use rmcp::RoleServer;
use rmcp::model::{CallToolResponse, InputRequests, InputRequiredResult, InputResponses};
use rmcp::service::RequestContext;
use serde_json::{Value, json};

use crate::ids::AgentId;
use crate::mcp::answers::{self, Answered};
use crate::mcp::asking::{self, USER};
use crate::mcp::asks;
use crate::mcp::error::ToolError;
use crate::mcp::events::{self, Telling};
use crate::mcp::progress;
use crate::mcp::result::{TEXT_MAX, TurnResult};
use crate::mcp::server::{Shared, shown};
use crate::mcp::tasks;
use crate::session::state::CallId;
use crate::session::{Found, Handle, NotTaken, OpenAsk, Ticket, Trouble, TroubleKind, Who};

/// Has the agent take a turn, and waits for its end unless it works in the background.
pub(super) async fn run(
    shared: &Arc<Shared>,
    handle: &Handle,
    prompt: String,
    background: bool,
    notes: Vec<String>,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ToolError> {
    let limit = shared.settings.request_timeout;
    let (prompt, telling) = events::begin(shared, handle, prompt, context);
    if background {
        let ended = handle.turn_in_background(prompt, limit).await;
        let begun = match ended {
            Some(outcome) => TurnResult::of(&outcome, &notes, TEXT_MAX),
            None => TurnResult::running(handle, &notes),
        };
        return Ok(begun.into_result().into());
    }
    if asking::takes_tasks(context) {
        return Ok(tasks::begin(shared, handle, prompt, notes, asking::is_asked_in_answers(context)));
    }
    Ok(wait(shared, handle, handle.turn(prompt, limit), telling, notes, context).await)
}

/// Goes on with a call whose answer was that something is to be decided: with what was decided.
pub(in crate::mcp) async fn go_on(
    shared: &Shared,
    state: &str,
    responses: Option<InputResponses>,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ToolError> {
    let unknown = || {
        ToolError::arguments(format!(
            "requestState \"{}\": it is none of this server's; call the tool without it",
            shown(state)
        ))
    };
    let (agent, call) = state.split_once(':').ok_or_else(unknown)?;
    let agent = AgentId::parse(agent).map_err(|_| unknown())?;
    let call = CallId(call.parse().map_err(|_| unknown())?);
    let handle = match shared.roster.find(&Who::Agent(agent))? {
        Found::Live(handle) => handle,
        Found::Kept(record) => {
            return Err(ToolError::new(
                "SESSION_NOT_FOUND",
                format!(
                    "{} is not running any more; agent_read shows what it did, codex-reply continues it",
                    record.identity
                ),
            ));
        }
    };
    let mut notes = Vec::new();
    let mut is_open = false;
    for (id, answer) in responses.unwrap_or_default() {
        let open = handle.snapshot().asks.into_iter().find(|open| open.id.as_str() == id);
        let Some(open) = open else { continue };
        match answers::answered(&open.ask, &answer) {
            Answered::Decided(verdict, reason) => match handle.decide(&open.id, verdict, reason, USER).await {
                Ok(_) | Err(NotTaken::Past(..) | NotTaken::Unknown(_)) => {}
                Err(not_taken @ NotTaken::Unsuited(..)) => notes.push(not_taken.to_string()),
            },
            Answered::Closed => is_open = true,
            Answered::Unclear => notes.push(format!("{id} stays open: {}", answers::UNCLEAR)),
        }
    }
    let ticket = handle.reattach(call).await;
    match is_open || !notes.is_empty() {
        true => Ok(left_open(&handle, ticket, &notes).await),
        // Its events are told under the id with which it began.
        false => Ok(wait(shared, &handle, ticket, None, Vec::new(), context).await),
    }
}

async fn wait(
    shared: &Shared,
    handle: &Handle,
    mut ticket: Ticket,
    telling: Option<Telling>,
    mut notes: Vec<String>,
    context: &RequestContext<RoleServer>,
) -> CallToolResponse {
    let outcome = tokio::select! {
        outcome = handle.outcome(&mut ticket) => outcome,
        () = context.ct.cancelled() => {
            handle.cancel(&ticket).await;
            handle.outcome(&mut ticket).await
        }
        () = progress::tell(handle, shared.settings.trust.events, context) => unreachable!("it tells for ever"),
        trouble = unreachable_model(handle) => {
            notes.push(format!(
                "Codex has not reached its model since {:.0} ({}). It goes on trying, and the turn goes on in the background: \
                 get its result with agent_wait, or give up with agent_interrupt.",
                trouble.since, shown(&trouble.last)
            ));
            return match handle.detach(ticket).await {
                Some(outcome) => TurnResult::of(&outcome, &notes, TEXT_MAX).into_result().into(),
                None => TurnResult::running(handle, &notes).into_result().into(),
            };
        }
        () = undecided(shared, handle, context) => {
            if !asking::is_asked_in_answers(context) {
                return left_open(handle, ticket, &notes).await;
            }
            let (call, open) = (ticket.call(), handle.snapshot().asks);
            match (requests(handle, &open), handle.detach(ticket).await) {
                (_, Some(outcome)) => outcome,
                (Some(requests), None) => {
                    let state = format!("{}:{}", handle.agent(), call.0);
                    return InputRequiredResult::new(Some(requests), Some(state)).into();
                }
                (None, None) => return TurnResult::awaiting(handle, &open, &notes).into_result().into(),
            }
        }
    };
    if let Some(telling) = telling {
        notes.extend(telling.end().await);
    }
    TurnResult::of(&outcome, &notes, TEXT_MAX).into_result().into()
}

/// Comes when Codex has tried for long to reach the agent's model.
async fn unreachable_model(handle: &Handle) -> Arc<Trouble> {
    let is_it = |trouble: &Arc<Trouble>| trouble.kind == TroubleKind::Unreachable;
    let mut snapshot = handle.watch();
    let found = snapshot.wait_for(|snapshot| snapshot.trouble.as_ref().is_some_and(is_it)).await;
    match found.ok().and_then(|snapshot| snapshot.trouble.clone()) {
        Some(trouble) => trouble,
        None => std::future::pending().await,
    }
}

/// Comes when something that the agent has asked is to be decided by the caller.
async fn undecided(shared: &Shared, handle: &Handle, context: &RequestContext<RoleServer>) {
    if asking::is_asked_in_answers(context) {
        handle.watch().wait_for(|snapshot| !snapshot.asks.is_empty()).await.ok();
        // Gone, it has an outcome.
        if handle.snapshot().asks.is_empty() {
            std::future::pending::<()>().await;
        }
        return;
    }
    shared.asking.is_left_to_the_caller(handle).await;
}

/// The turn goes on in the background, and the caller is told what is to be decided.
async fn left_open(handle: &Handle, ticket: Ticket, notes: &[String]) -> CallToolResponse {
    match handle.detach(ticket).await {
        Some(outcome) => TurnResult::of(&outcome, notes, TEXT_MAX).into_result().into(),
        None => match handle.snapshot().asks {
            open if open.is_empty() => TurnResult::running(handle, notes).into_result().into(),
            open => TurnResult::awaiting(handle, &open, notes).into_result().into(),
        },
    }
}

/// What the client's user is to be shown.
pub(in crate::mcp) fn requests(handle: &Handle, open: &[Arc<OpenAsk>]) -> Option<InputRequests> {
    let request = |open: &Arc<OpenAsk>| {
        let mut params = asks::form(handle, open, true);
        params["mode"] = Value::from("form");
        let request = json!({ "method": "elicitation/create", "params": params });
        let request = serde_json::from_value(request).inspect_err(
            |error| tracing::warn!(%error, ask = %open.id, "a form that the protocol of 2026-07-28 does not know"),
        );
        Some((open.id.to_string(), request.ok()?))
    };
    open.iter().map(request).collect::<Option<BTreeMap<_, _>>>().filter(|requests| !requests.is_empty())
}
