//! `agent_wait`: the results of background turns, as they come.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rmcp::RoleServer;
use rmcp::model::{CallToolResult, ContentBlock};
use rmcp::service::RequestContext;
use serde_json::{Value, json};

use crate::mcp::args::WaitArgs;
use crate::mcp::asks;
use crate::mcp::error::ToolError;
use crate::mcp::result::{TEXT_MAX, TurnResult};
use crate::mcp::server::{Shared, shown};
use crate::session::{Found, Handle, OpenAsk, RosterError, Who};

/// How long is waited when nobody says: well below the time-outs of clients.
const DEFAULT: Duration = Duration::from_secs(50);
/// The longest that may be asked for.
const LONGEST: u64 = 600_000;

/// What stands around an answer in a result, in characters, and the least that is kept of one.
const AROUND_AN_ANSWER: usize = 600;
const SHARE_MIN: usize = 200;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Any,
    All,
}

pub(super) async fn wait(
    shared: &Shared,
    args: WaitArgs,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResult, ToolError> {
    let mode = match args.mode.as_deref() {
        None | Some("any") => Mode::Any,
        Some("all") => Mode::All,
        Some(other) => {
            return Err(ToolError::arguments(format!(
                "argument mode: \"{}\" is not known: use any or all",
                shown(other)
            )));
        }
    };
    let timeout = match args.timeout_ms {
        None => DEFAULT,
        Some(ms @ 0..=LONGEST) => Duration::from_millis(ms),
        Some(_) => return Err(ToolError::arguments(format!("argument timeout_ms: at most {LONGEST} (10 minutes)"))),
    };
    let handles = match &args.agents {
        Some(agents) if !agents.is_empty() => {
            agents.iter().map(|name| named(shared, name)).collect::<Result<Vec<_>, _>>()?
        }
        _ => shared.roster.live().into_iter().filter(|h| h.is_busy() || h.has_results()).collect(),
    };
    tokio::select! {
        () = finished(&handles, mode) => {}
        () = somebody_asks(shared, &handles) => {}
        () = tokio::time::sleep(timeout) => {}
        // Nobody would hear the results; they wait for the next who asks.
        () = context.ct.cancelled() => {
            return Err(match shared.roster.is_ending() {
                true => RosterError::Ends.into(),
                false => ToolError::new("CANCELLED", "the call was cancelled"),
            });
        }
    }
    Ok(told(shared, &handles))
}

/// Waits until one of them, or all, have finished.
async fn finished(handles: &[Handle], mode: Mode) {
    if mode == Mode::Any && handles.iter().any(Handle::has_results) {
        return;
    }
    let mut running: FuturesUnordered<_> =
        handles.iter().filter(|handle| handle.is_busy()).map(Handle::rested).collect();
    match mode {
        Mode::Any => drop(running.next().await),
        Mode::All => while running.next().await.is_some() {},
    }
}

/// Comes when one of them waits for a decision of the caller's.
async fn somebody_asks(shared: &Shared, handles: &[Handle]) {
    let mut all: FuturesUnordered<_> =
        handles.iter().map(|handle| shared.asking.is_left_to_the_caller(handle)).collect();
    if all.next().await.is_none() {
        std::future::pending::<()>().await;
    }
}

fn named(shared: &Shared, name: &str) -> Result<Handle, ToolError> {
    let who = Who::parse(name).map_err(|error| ToolError::arguments(format!("argument agents: {error}")))?;
    match shared.roster.find(&who)? {
        Found::Live(handle) => Ok(handle),
        Found::Kept(record) => Err(ToolError::new(
            "SESSION_NOT_FOUND",
            format!("{} is not running; give it a prompt with codex-reply first", record.identity),
        )),
    }
}

/// Everything there is to tell now. Each result is given once.
fn told(shared: &Shared, handles: &[Handle]) -> CallToolResult {
    let outcomes: Vec<_> = handles.iter().flat_map(Handle::take_results).collect();
    let share = (TEXT_MAX / outcomes.len().max(1)).saturating_sub(AROUND_AN_ANSWER).max(SHARE_MIN);
    let results: Vec<TurnResult> = outcomes.iter().map(|outcome| TurnResult::of(outcome, &[], share)).collect();
    let (running, resting): (Vec<&Handle>, Vec<&Handle>) = handles.iter().partition(|handle| handle.is_busy());
    let running: Vec<Value> = running.into_iter().map(doing).collect();
    let idle: Vec<&str> = resting.iter().map(|handle| handle.identity().as_str()).collect();

    let mut content: Vec<ContentBlock> = Vec::new();
    for result in &results {
        let notes: String = result.notes().iter().map(|note| format!("\nnote: {note}")).collect();
        content.push(ContentBlock::text(format!("{}\n{}{notes}", result.line(), result.text())));
    }
    let open: Vec<(&Handle, Arc<OpenAsk>)> = handles
        .iter()
        .flat_map(|handle| shared.asking.left_to_the_caller(handle).map(move |open| (handle, open)))
        .collect();
    content.extend(open.iter().map(|(handle, open)| ContentBlock::text(asks::line(handle, open))));
    let asks: Vec<Value> = open.iter().map(|(handle, open)| asks::view(handle, open)).collect();
    let next = match (results.is_empty(), running.is_empty()) {
        (_, false) => {
            let who: Vec<String> =
                running.iter().map(|r| format!("{} ({})", text(r, "identity"), text(r, "activity"))).collect();
            format!("Still running: {}. Call agent_wait again for their results.", who.join(", "))
        }
        (false, true) => "Nobody is running any more.".to_owned(),
        (true, true) => {
            "Nobody is running, and no result is waiting. Start work with codex or codex-reply and background=true."
                .to_owned()
        }
    };
    content.push(ContentBlock::text(next.clone()));
    let mut result = CallToolResult::success(content);
    result.structured_content =
        Some(json!({ "results": results, "running": running, "asks": asks, "idle": idle, "next": next }));
    result
}

fn doing(handle: &Handle) -> Value {
    let snapshot = handle.snapshot();
    json!({
        "identity": handle.identity(),
        "agent_id": handle.agent(),
        "status": snapshot.status(),
        "activity": &*snapshot.activity,
        "waiting": snapshot.waiting,
    })
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}
