//! `atm_send`, `atm_broadcast`, `atm_read`, `atm_pending_count`: the team's mail, at the client's counter.

use rmcp::model::{CallToolResult, JsonObject};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::agents::structured;
use crate::mcp::args::parse;
use crate::mcp::audit::Call;
use crate::mcp::error::ToolError;
use crate::mcp::server::{Shared, shown};
use crate::session::Caller;
use crate::tools::{BroadcastArgs, Nothing, ReadMailArgs, Refusal, SendArgs, Speaker};

/// The argument that all of them have.
const IDENTITY: &str = "identity";

pub(super) async fn send(shared: &Shared, arguments: Option<JsonObject>) -> Result<CallToolResult, ToolError> {
    let (speaker, args) = heard::<SendArgs>(shared, "atm_send", arguments)?;
    done(shared.office.send(&speaker, args).await)
}

pub(super) async fn broadcast(shared: &Shared, arguments: Option<JsonObject>) -> Result<CallToolResult, ToolError> {
    let (speaker, args) = heard::<BroadcastArgs>(shared, "atm_broadcast", arguments)?;
    done(shared.office.broadcast(&speaker, args).await)
}

pub(super) async fn read(shared: &Shared, arguments: Option<JsonObject>) -> Result<CallToolResult, ToolError> {
    let (speaker, args) = heard::<ReadMailArgs>(shared, "atm_read", arguments)?;
    let marked = async { shared.office.read(&speaker, args).await?.marked().await };
    done(marked.await)
}

pub(super) async fn pending_count(shared: &Shared, arguments: Option<JsonObject>) -> Result<CallToolResult, ToolError> {
    let (speaker, Nothing {}) = heard(shared, "atm_pending_count", arguments)?;
    done(shared.office.pending_count(&speaker).await)
}

fn done(answer: Result<crate::tools::Answer, Refusal>) -> Result<CallToolResult, ToolError> {
    match answer {
        Ok(answer) => Ok(structured(answer.text, answer.value)),
        Err(Refusal { code, message }) => Err(ToolError::new(code, message)),
    }
}

/// Who speaks, and what is wanted; that it cannot be made out is written down.
fn heard<T: DeserializeOwned>(
    shared: &Shared,
    tool: &str,
    arguments: Option<JsonObject>,
) -> Result<(Speaker, T), ToolError> {
    let call = Call::of(tool, arguments.as_ref());
    let heard = speaker(shared, arguments).and_then(|(speaker, rest)| Ok((speaker, parse(rest)?)));
    heard.inspect_err(|error| call.refused(shared, error.message()))
}

/// As whom the client speaks: as itself, or as one of the agents that live here, and as nobody else.
fn speaker(shared: &Shared, arguments: Option<JsonObject>) -> Result<(Speaker, Option<JsonObject>), ToolError> {
    let mut arguments = arguments.unwrap_or_default();
    let name = match arguments.remove(IDENTITY) {
        None | Some(Value::Null) => return Ok((Speaker::Lead, Some(arguments))),
        Some(Value::String(name)) => name,
        Some(_) => return Err(ToolError::arguments("argument identity: expected a string")),
    };
    if name == shared.office.lead().as_str() {
        return Ok((Speaker::Lead, Some(arguments)));
    }
    let live = shared.roster.live();
    if let Some(agent) = live.iter().find(|handle| handle.identity().as_str() == name) {
        let caller = Caller { agent: agent.agent().clone(), name: agent.identity().clone() };
        return Ok((Speaker::Agent(caller), Some(arguments)));
    }
    let agents: Vec<&str> = live.iter().map(|handle| handle.identity().as_str()).collect();
    let agents = if agents.is_empty() { String::new() } else { format!(", or as one of {}", agents.join(", ")) };
    let message = format!(
        "You cannot speak as \"{}\": leave identity out to speak as {}{agents}.",
        shown(&name),
        shared.office.lead()
    );
    Err(ToolError::new("IDENTITY_REQUIRED", message).with("identity", shown(&name)))
}
