//! `agent_sessions`, `agent_status`, `agent_interrupt`, `agent_close`: who is there, and the end of what they do.

use std::collections::BTreeMap;
use std::time::Duration;

use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::{Value, json};

use super::off_the_loop;
use crate::ids::AgentId;
use crate::mcp::args::{self, AgentArgs, CloseArgs, SessionsArgs, StatusArgs};
use crate::mcp::asks;
use crate::mcp::error::ToolError;
use crate::mcp::result::{TEXT_MAX, TurnResult};
use crate::mcp::server::Shared;
use crate::queue::Depth;
use crate::session::{End, Found, Handle, Record, Transport, Who};

/// The statuses of an agent that does something.
const WORKS: [&str; 4] = ["running", "awaiting_approval", "stalled", "unreachable"];
/// How long an agent may take to say what it did.
const SUMMARY: Duration = Duration::from_secs(10);
/// What it is asked.
const SUMMARIZE: &str = "You are about to be closed. Say in at most 300 words, without any tools, what you did, what you found, and \
what is left to do: somebody will go on from there.";
/// How many agents one listing names.
const LISTED_MAX: usize = 100;

pub(super) fn sessions(shared: &Shared, args: &SessionsArgs) -> Result<CallToolResult, ToolError> {
    let live = shared.roster.live();
    let records = shared.roster.records()?;
    let kept = records.iter().filter(|record| !live.iter().any(|handle| *handle.agent() == record.agent_id));
    let kept: Vec<Value> =
        kept.filter(|record| args.include_closed || !record.closed).map(|r| of_record(r, shared)).collect();
    let mut sessions: Vec<Value> = live.iter().map(|handle| of_handle(handle, &records, shared)).collect();
    sessions.extend(kept);
    let total = sessions.len();
    sessions.truncate(LISTED_MAX);
    let lines: Vec<String> = sessions.iter().map(line).collect();
    let text = match lines.as_slice() {
        [] => "No agents yet. Start one with codex.".to_owned(),
        lines if total > LISTED_MAX => format!("{}\n(the {LISTED_MAX} last active of {total})", lines.join("\n")),
        lines => lines.join("\n"),
    };
    Ok(structured(text, json!({ "sessions": sessions, "total": total })))
}

pub(super) fn status(shared: &Shared, args: &StatusArgs) -> Result<CallToolResult, ToolError> {
    if let Some(who) = args::who(args.agent_id.as_deref(), args.identity.as_deref(), args.thread_id.as_deref(), None)? {
        let one = match shared.roster.find(&who)? {
            Found::Live(handle) => of_handle(&handle, &shared.roster.records()?, shared),
            Found::Kept(record) => of_record(&record, shared),
        };
        return Ok(structured(line(&one), one));
    }
    let live = shared.roster.live();
    let busy = live.iter().filter(|handle| handle.is_busy()).count();
    let codex = shared.roster.codex();
    let names: BTreeMap<&str, &str> = live.iter().map(|h| (h.identity().as_str(), h.agent().as_str())).collect();
    let agents: Vec<Value> = live.iter().take(LISTED_MAX).map(|handle| of_handle(handle, &[], shared)).collect();
    let child = codex.as_ref().map(|codex| {
        let info = codex.info();
        json!({
            "version": info.version,
            "program": info.program,
            "pid": info.pid,
            "transport": match info.transport { Transport::Socket => "unix socket", Transport::Pipes => "stdio" },
            "socket": info.socket,
        })
    });
    let uptime = shared.started.elapsed().as_secs();
    let started_at = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(i64::try_from(uptime).unwrap_or(0));
    let mut lines = vec![match &codex {
        Some(codex) => format!("Codex {} runs; {} agents live, {busy} busy.", codex.info().version, live.len()),
        None => "Codex is not running; it is started by the first codex call.".to_owned(),
    }];
    lines.extend(agents.iter().map(line));
    let status = json!({
        "child_alive": codex.is_some(),
        "codex": child,
        "team": shared.roster.team(),
        "lead": shared.roster.lead(),
        "started_at": started_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "uptime_secs": uptime,
        "active_thread_count": live.len(),
        "busy_thread_count": busy,
        "idle_thread_count": live.len() - busy,
        "max_concurrent_threads": shared.settings.max_concurrent_threads,
        "identity_map": names,
        "agents": agents,
    });
    Ok(structured(lines.join("\n"), status))
}

pub(super) async fn interrupt(shared: &Shared, args: &AgentArgs) -> Result<CallToolResult, ToolError> {
    let (who, found) = found(shared, args)?;
    let Found::Live(handle) = found else {
        return Err(ToolError::new(
            "SESSION_NOT_FOUND",
            format!("{who} is not running; there is nothing to interrupt"),
        ));
    };
    let running = handle.is_busy();
    handle.interrupt().await;
    let text = if running {
        format!("{} is interrupted; its call returns what there is. Go on with codex-reply.", handle.identity())
    } else {
        format!("{} had nothing to do.", handle.identity())
    };
    Ok(structured(text, json!({ "interrupted": running, "agent_id": handle.agent(), "identity": handle.identity() })))
}

pub(super) async fn close(shared: &Shared, args: &CloseArgs) -> Result<CallToolResult, ToolError> {
    let CloseArgs { agent_id, identity, thread_id, summary } = args;
    let who = args::who(agent_id.as_deref(), identity.as_deref(), thread_id.as_deref(), None)?;
    let found = shared.roster.find(&args::somebody(who)?)?;
    let (agent, identity, was_closed) = match found {
        Found::Live(handle) => (handle.agent().clone(), handle.identity().clone(), false),
        Found::Kept(record) => (record.agent_id, record.identity, record.closed),
    };
    let live = shared.roster.live().into_iter().find(|handle| *handle.agent() == agent);
    let summary = match &live {
        Some(handle) if *summary => summarized(handle).await,
        _ => None,
    };
    let saved = shared.roster.close(&agent).await?;
    let mut text = if was_closed {
        format!("{identity} was closed already.")
    } else {
        format!("{identity} is closed; its name is free. Continue it with codex {{\"agent_id\": \"{agent}\"}}.")
    };
    let queue = shared.queues.of(&agent);
    if let Ok(Depth { waiting: waiting @ 1.., .. }) = off_the_loop(move || queue.depth()).await? {
        text.push_str(&format!(" In its queue {waiting} entries are left; they are delivered when it is continued."));
    }
    if let Some(summary) = &summary {
        text.push_str(&format!("\nIts summary:\n{summary}"));
    }
    if let Err(why) = &saved {
        text.push_str(&format!(" But it will be listed as resumable after a restart: {why}"));
    }
    // What its background turns said is not to be lost with it.
    let uncollected = live.map(|handle| handle.take_results()).unwrap_or_default();
    let share = TEXT_MAX / uncollected.len().max(1);
    let results: Vec<TurnResult> = uncollected.iter().map(|outcome| TurnResult::of(outcome, &[], share)).collect();
    for result in &results {
        text.push_str(&format!("\n{}\n{}", result.line(), result.text()));
    }
    let closed = json!({
        "closed": true, "agent_id": agent, "identity": identity, "status": "closed", "results": results,
        "summary": summary, "warning": saved.err(),
    });
    Ok(structured(text, closed))
}

/// What the agent says of all that it did; nothing if it does not say so in time. Whatever it does now is ended.
async fn summarized(handle: &Handle) -> Option<String> {
    handle.interrupt().await;
    let mut ticket = handle.turn(SUMMARIZE.to_owned(), Some(SUMMARY));
    let outcome = tokio::time::timeout(SUMMARY, handle.outcome(&mut ticket)).await.ok()?;
    (outcome.end == End::Completed).then(|| outcome.text.chars().take(TEXT_MAX).collect())
}

fn found(shared: &Shared, args: &AgentArgs) -> Result<(Who, Found), ToolError> {
    let who = args::who(args.agent_id.as_deref(), args.identity.as_deref(), args.thread_id.as_deref(), None)?;
    let who = args::somebody(who)?;
    let found = shared.roster.find(&who)?;
    Ok((who, found))
}

fn of_handle(handle: &Handle, records: &[Record], shared: &Shared) -> Value {
    let snapshot = handle.snapshot();
    let record = records.iter().find(|record| record.agent_id == *handle.agent());
    json!({
        "agent_id": handle.agent(),
        "identity": handle.identity(),
        "backend": "codex",
        "backend_id": snapshot.thread,
        "threadId": snapshot.thread,
        "team": shared.roster.team(),
        "status": snapshot.status(),
        "activity": &*snapshot.activity,
        "asks": snapshot.asks.iter().map(|open| asks::view(handle, open)).collect::<Vec<_>>(),
        "trouble": snapshot.trouble.as_ref().map(|trouble| json!({ "since": trouble.since, "last_event": &*trouble.last })),
        "turn_id": snapshot.turn(),
        "waiting": snapshot.waiting,
        "delivering": snapshot.delivering,
        "results_waiting": handle.has_results(),
        "model": snapshot.model,
        "role": record.and_then(|record| record.role.as_deref()),
        "cwd": record.map(Record::cwd),
        "turns": snapshot.turns,
        "tokens": snapshot.tokens,
        "last_active": snapshot.last_active,
        "queue": queue(handle.agent(), shared),
        "resumable": snapshot.thread.is_some(),
    })
}

fn of_record(record: &Record, shared: &Shared) -> Value {
    let elsewhere = shared.roster.runs_elsewhere(&record.agent_id);
    json!({
        "agent_id": record.agent_id,
        "identity": record.identity,
        "backend": "codex",
        "backend_id": record.thread_id,
        "threadId": record.thread_id,
        "team": shared.roster.team(),
        "status": match record.closed {
            true => "closed",
            false if elsewhere => "running_elsewhere",
            false => "resumable",
        },
        "model": record.model,
        "role": record.role,
        "cwd": record.cwd(),
        "turns": record.turns,
        "tokens": record.tokens,
        "last_active": record.last_active,
        "queue": queue(&record.agent_id, shared),
        "resumable": record.thread_id.is_some() && !elsewhere,
    })
}

/// How full an agent's queue is.
fn queue(agent: &AgentId, shared: &Shared) -> Value {
    match shared.queues.of(agent).depth() {
        Ok(Depth { waiting, oldest, dead }) => {
            let age = oldest.map(|oldest| jiff::Timestamp::now().duration_since(oldest).as_secs().max(0));
            json!({ "depth": waiting, "oldest_secs": age, "dead": dead })
        }
        Err(error) => json!({ "error": error.to_string() }),
    }
}

/// One agent in one line.
fn line(agent: &Value) -> String {
    let text = |key: &str| agent[key].as_str().unwrap_or("-").to_owned();
    let doing = match agent["activity"].as_str() {
        Some(activity) if WORKS.iter().any(|status| agent["status"] == *status) => {
            format!(" ({activity})")
        }
        _ => String::new(),
    };
    let waits = match (agent["queue"]["depth"].as_u64(), agent["queue"]["dead"].as_u64()) {
        (Some(0) | None, Some(0) | None) => String::new(),
        (depth, dead) => format!(" queue={} dead={}", depth.unwrap_or(0), dead.unwrap_or(0)),
    };
    let asks = agent["asks"].as_array().into_iter().flatten();
    let asks: String = asks.map(|ask| format!(" ask_id={}", ask["ask_id"].as_str().unwrap_or("-"))).collect();
    format!(
        "{} {}{doing}{waits}{asks} agent_id={} threadId={}",
        text("identity"),
        text("status"),
        text("agent_id"),
        text("threadId")
    )
}

pub(in crate::mcp) fn structured(text: String, value: Value) -> CallToolResult {
    let mut result = CallToolResult::success(vec![ContentBlock::text(text)]);
    result.structured_content = Some(value);
    result
}
