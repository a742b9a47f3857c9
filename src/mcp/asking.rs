//! The client's user is asked what agents ask, where the client can do that.
//!
//! A client of a 2025 revision that can show forms is asked at any time, whether it waits for the agent or not. One of
//! 2026-07-28 can be asked only in the answer to a call of its own. Whoever cannot be asked, or does not decide, finds the ask
//! in the result of its call, in `agent_wait` and in `agent_status`, and decides with `agent_approve`.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rmcp::RoleServer;
use rmcp::model::{ClientResult, CustomRequest, ProtocolVersion, ServerRequest};
use rmcp::service::{Peer, PeerRequestOptions, RequestContext, ServiceError};
use serde_json::Value;
use tokio::sync::watch;

use super::answers::{self, Answered};
use super::asks;
use super::server::Shared;
use crate::ids::AgentId;
use crate::journal::Entry;
use crate::session::{AskId, Handle, NotTaken, OpenAsk};

/// Whom the client's answers are ascribed to.
pub(super) const USER: &str = "the client's user";

/// Who can be asked, and what the client has not decided.
#[derive(Debug, Default)]
pub(super) struct Asking {
    /// A client that may be asked at any time.
    peer: OnceLock<Peer<RoleServer>>,
    undecided: watch::Sender<HashSet<AskId>>,
}

impl Asking {
    /// The client has opened its session.
    pub(super) fn opened(&self, peer: &Peer<RoleServer>) {
        if peer.peer_info().is_some_and(|info| info.capabilities.elicitation.is_some()) {
            self.peer.set(peer.clone()).ok();
        }
    }

    /// Comes when something that this agent has asked waits for a decision by `agent_approve`, as far as this client goes.
    pub(super) async fn is_left_to_the_caller(&self, handle: &Handle) {
        let mut snapshot = handle.watch();
        let mut undecided = self.undecided.subscribe();
        loop {
            if self.left_to_the_caller(handle).next().is_some() {
                return;
            }
            undecided.mark_unchanged();
            tokio::select! {
                changed = snapshot.changed() => if changed.is_err() { return std::future::pending().await },
                _ = undecided.changed() => {}
            }
        }
    }

    /// What this agent has asked and the caller is to decide on.
    pub(super) fn left_to_the_caller(&self, handle: &Handle) -> impl Iterator<Item = Arc<OpenAsk>> {
        let undecided = self.peer.get().map(|_| self.undecided.borrow().clone());
        let asks = handle.snapshot().asks;
        asks.into_iter().filter(move |ask| undecided.as_ref().is_none_or(|undecided| undecided.contains(&ask.id)))
    }
}

/// Whether this call is of a client that is asked in the answer to it.
pub(super) fn is_asked_in_answers(context: &RequestContext<RoleServer>) -> bool {
    is_modern(context) && context.client_capabilities().is_some_and(|can| can.elicitation.is_some())
}

/// Whether the answer to this call may be a task. In the older protocol no result says of what type it is: the MCP
/// Inspector 2.12.0 declares tasks there too, and takes one for the tool's result.
pub(super) fn takes_tasks(context: &RequestContext<RoleServer>) -> bool {
    is_modern(context) && context.client_capabilities().is_some_and(|can| can.supports_tasks())
}

fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context.protocol_version().is_some_and(|version| version >= ProtocolVersion::V_2026_07_28)
}

/// Attends to everything that agents ask, for ever.
pub(super) async fn attend(shared: &Shared) {
    let mut attended: HashSet<AgentId> = HashSet::new();
    let mut agents = FuturesUnordered::new();
    let mut comings = shared.roster.comings();
    loop {
        for handle in shared.roster.live() {
            if attended.insert(handle.agent().clone()) {
                agents.push(attend_to(shared, handle));
            }
        }
        tokio::select! {
            come = comings.changed() => if come.is_err() { return std::future::pending().await },
            Some(agent) = agents.next() => drop(attended.remove(&agent)),
        }
    }
}

/// Attends to one agent until its session is over.
async fn attend_to(shared: &Shared, handle: Handle) -> AgentId {
    let mut snapshot = handle.watch();
    let mut seen: HashSet<AskId> = HashSet::new();
    let mut open = FuturesUnordered::new();
    loop {
        let asks = snapshot.borrow_and_update().asks.clone();
        seen.retain(|id| asks.iter().any(|ask| ask.id == *id));
        for ask in asks {
            if seen.insert(ask.id.clone()) {
                open.push(ask_user(shared, &handle, ask));
            }
        }
        tokio::select! {
            changed = snapshot.changed() => if changed.is_err() { break },
            Some(()) = open.next() => {}
        }
    }
    while open.next().await.is_some() {}
    handle.agent().clone()
}

/// Asks the client's user, unless the ask ends otherwise before.
async fn ask_user(shared: &Shared, handle: &Handle, open: Arc<OpenAsk>) {
    note(shared, handle, &open, "ask", &open.ask.summary());
    if let Some(peer) = shared.asking.peer.get() {
        let answer = elicit(peer, handle, &open).await;
        answered(shared, handle, &open, answer).await;
    }
    ended(handle, &open.id).await;
    shared.asking.undecided.send_if_modified(|undecided| undecided.remove(&open.id));
    let how = handle.ending_of(&open.id).await;
    note(shared, handle, &open, "ask_ended", how.as_deref().unwrap_or("the agent's session is over"));
}

/// Waits until the ask is open no more.
async fn ended(handle: &Handle, ask: &AskId) {
    let mut snapshot = handle.watch();
    snapshot.wait_for(|snapshot| snapshot.asks.iter().all(|open| open.id != *ask)).await.ok();
}

async fn answered(shared: &Shared, handle: &Handle, open: &OpenAsk, answer: Result<Value, ServiceError>) {
    let why = match answer.map(|answer| answers::answered(&open.ask, &answer)) {
        Ok(Answered::Decided(verdict, reason)) => match handle.decide(&open.id, verdict, reason, USER).await {
            Ok(_) | Err(NotTaken::Past(..)) => return,
            Err(not_taken) => not_taken.to_string(),
        },
        Ok(Answered::Closed) => "the form was closed without a decision".to_owned(),
        Ok(Answered::Unclear) => "the answer is no decision".to_owned(),
        Err(error) => error.to_string(),
    };
    tracing::debug!(agent = %handle.identity(), ask = %open.id, why, "the client's user has not decided");
    shared.asking.undecided.send_if_modified(|undecided| undecided.insert(open.id.clone()));
}

/// Shows the client's user a form. If the ask ends otherwise, the client is told that nobody waits for the answer any more.
async fn elicit(peer: &Peer<RoleServer>, handle: &Handle, open: &OpenAsk) -> Result<Value, ServiceError> {
    let version = peer.peer_info().map(|info| info.protocol_version.clone());
    let titled = version.is_some_and(|version| version >= ProtocolVersion::V_2025_11_25);
    let mut params = asks::form(handle, open, titled);
    if titled {
        params["mode"] = Value::from("form");
    }
    params.as_object_mut().expect("it is one").extend(asks::old_fields(handle, open));
    let request = ServerRequest::CustomRequest(CustomRequest::new("elicitation/create", Some(params)));
    let mut request = peer.send_cancellable_request(request, PeerRequestOptions::no_options()).await?;
    let answer = tokio::select! {
        answer = &mut request.rx => answer.map_err(|_| ServiceError::TransportClosed)??,
        () = ended(handle, &open.id) => {
            request.cancel(Some("it was decided elsewhere".to_owned())).await?;
            return Ok(Value::Null);
        }
    };
    match answer {
        ClientResult::ElicitResult(result) => Ok(serde_json::to_value(result).unwrap_or_default()),
        ClientResult::CustomResult(result) => Ok(result.0),
        _ => Ok(Value::Null),
    }
}

fn note(shared: &Shared, handle: &Handle, open: &OpenAsk, action: &str, result: &str) {
    let (agent, id) = (Some(handle.identity().as_str()), Some(open.id.as_str()));
    let who = handle.identity().as_str();
    shared.journal.note(Entry { agent, who, action, id, result, ..Entry::default() });
}
