//! `agent_approve`: the caller decides on something that an agent has asked.

use rmcp::model::CallToolResult;
use serde_json::json;

use super::agents::structured;
use crate::mcp::args::ApproveArgs;
use crate::mcp::error::ToolError;
use crate::mcp::server::{Shared, shown};
use crate::session::{AskId, Decision, NotTaken, Verdict};

pub(super) async fn approve(shared: &Shared, args: ApproveArgs) -> Result<CallToolResult, ToolError> {
    let Some(ask) = args.ask_id.filter(|id| !id.trim().is_empty()) else {
        return Err(ToolError::arguments(format!("argument ask_id: it is missing. {}", open(shared))));
    };
    let words = Decision::ALL.map(Decision::word).join(", ");
    let decision = args.decision.as_deref().unwrap_or_default();
    let Some(decision) = Decision::parse(decision) else {
        let found = shown(decision);
        return Err(ToolError::arguments(format!("argument decision: {found:?} is not known: use {words}")));
    };
    let reason = args.reason.filter(|reason| !reason.trim().is_empty());
    let verdict = Verdict { decision, content: args.content };
    let id = AskId::parse(&ask);
    let by = shared.roster.lead().as_str();
    let (handle, ask) = shared.roster.decide(&id, verdict, reason, by).await.map_err(|error| {
        let message = error.to_string();
        match error {
            NotTaken::Unknown(_) => ToolError::new("ASK_NOT_FOUND", format!("{message}. {}", open(shared))),
            NotTaken::Past(..) => ToolError::new("ASK_CLOSED", message),
            NotTaken::Unsuited(..) => ToolError::arguments(message),
        }
    })?;
    let identity = handle.identity();
    let goes_on = match decision {
        Decision::Accept | Decision::AcceptForSession => format!("{identity} does it and goes on"),
        Decision::Decline => format!("{identity} goes on without it"),
        Decision::Cancel => format!("the turn of {identity} ends"),
    };
    let text = format!("{}: {goes_on}. Get its result with agent_wait.", decision.word());
    let value = json!({
        "ask_id": ask.id, "decision": decision.word(), "identity": identity, "agent_id": handle.agent(), "content": text,
    });
    Ok(structured(text, value))
}

/// What there is to decide on.
fn open(shared: &Shared) -> String {
    let asks = shared.roster.live().into_iter().flat_map(|handle| handle.snapshot().asks);
    let ids: Vec<String> = asks.map(|ask| ask.id.to_string()).collect();
    match ids.is_empty() {
        true => "Nothing waits for a decision now; agent_status shows what does.".to_owned(),
        false => format!("What waits for a decision: {}.", ids.join(", ")),
    }
}
