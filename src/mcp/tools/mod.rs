//! A tool a function: from arguments to a result, or to an error that a model can act on.

mod agents;
mod approve;
mod codex;
mod mail;
mod read;
mod steer;
mod turn;
mod wait;

use std::sync::Arc;

pub(super) use agents::structured;
use rmcp::RoleServer;
use rmcp::model::{CallToolResponse, CallToolResult, JsonObject};
use rmcp::service::RequestContext;
pub(super) use turn::{go_on, requests};

use super::args::parse;
use super::error::ToolError;
use super::server::{Shared, shown};

/// Calls the tool of that name.
pub(super) async fn call(
    shared: &Arc<Shared>,
    name: &str,
    arguments: Option<JsonObject>,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ToolError> {
    let result = match name {
        "codex" => return codex::codex(shared, parse(arguments)?, context).await,
        "codex-reply" => return codex::reply(shared, parse(arguments)?, context).await,
        "agent_wait" => wait::wait(shared, parse(arguments)?, context).await,
        "agent_sessions" => beside(shared, parse(arguments)?, agents::sessions).await,
        "agent_status" => beside(shared, parse(arguments)?, agents::status).await,
        "agent_read" => read::read(shared, &parse(arguments)?).await,
        "agent_steer" => steer::steer(shared, parse(arguments)?, context).await,
        "agent_approve" => approve::approve(shared, parse(arguments)?).await,
        "agent_interrupt" => agents::interrupt(shared, &parse(arguments)?).await,
        "agent_close" => agents::close(shared, &parse(arguments)?).await,
        "atm_send" => mail::send(shared, arguments).await,
        "atm_broadcast" => mail::broadcast(shared, arguments).await,
        "atm_read" => mail::read(shared, arguments).await,
        "atm_pending_count" => mail::pending_count(shared, arguments).await,
        unknown => {
            let known: Vec<&str> = shared.tools.iter().map(|tool| &*tool.name).collect();
            let message = format!("Unknown tool '{}'. The tools are: {}.", shown(unknown), known.join(", "));
            Err(ToolError::new("UNKNOWN_TOOL", message))
        }
    };
    result.map(CallToolResponse::from)
}

/// What reads many files runs on a thread of its own.
async fn beside<A: Send + 'static>(
    shared: &Arc<Shared>,
    args: A,
    tool: fn(&Shared, &A) -> Result<CallToolResult, ToolError>,
) -> Result<CallToolResult, ToolError> {
    let shared = shared.clone();
    off_the_loop(move || tool(&shared, &args)).await?
}

async fn off_the_loop<T: Send + 'static>(act: impl FnOnce() -> T + Send + 'static) -> Result<T, ToolError> {
    let done = tokio::task::spawn_blocking(act).await;
    done.map_err(|error| {
        ToolError::new("INTERNAL", format!("the tool has failed: {error}; the server's log says more"))
    })
}
