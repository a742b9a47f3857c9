//! `queue list`: what waits, or what was buried.

use jiff::Timestamp;

use super::shown::{Shown, beginning};
use super::team::{Member, TeamQueues};
use crate::cli::error::CliError;
use crate::cli::output;
use crate::queue::{Listed, QueueError, Urgency};

/// How much of a text is shown, and of a sender.
const TEXT_MAX: usize = 60;
const FROM_MAX: usize = 20;

const HEADS: [&str; 8] = ["ID", "AGENT", "AGE", "STATE", "URGENCY", "ATTEMPTS", "FROM", "TEXT"];

/// Show what waits for the agents, in the order in which it is delivered
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  atm-agent-mcp queue list
  atm-agent-mcp queue list ana --dead --json")]
pub(super) struct Args {
    /// A name, an agent id, or a thread id; all agents otherwise
    agent: Option<String>,

    /// Show what was buried instead: it could not be delivered
    #[arg(long)]
    dead: bool,

    /// Print JSON, with the whole texts
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, team: &TeamQueues) -> Result<(), CliError> {
    let members = match &args.agent {
        Some(word) => vec![team.member(word)?],
        None => team.members()?,
    };
    let mut entries: Vec<(&Member, Listed)> = Vec::new();
    for member in &members {
        let queue = &member.queue;
        let listed = if args.dead { queue.list_dead() } else { queue.list() };
        let listed = listed.map_err(|source| QueueError::Files { dir: queue.dir().to_owned(), source })?;
        entries.extend(listed.into_iter().map(|listed| (member, listed)));
    }
    let shown: Vec<Shown<'_>> = entries.iter().map(|(member, listed)| Shown::new(member, listed)).collect();
    if shown.is_empty() {
        output::note(format_args!("{}", if args.dead { "nothing is buried" } else { "nothing waits" }));
    }
    match (args.json, shown.is_empty()) {
        (true, _) => output::json(&shown),
        (false, true) => Ok(()),
        (false, false) => output::text(&table(&shown, Timestamp::now())),
    }
}

fn table(entries: &[Shown<'_>], now: Timestamp) -> String {
    output::columns(HEADS, entries.iter().map(|entry| row(entry, now)))
}

fn row(entry: &Shown<'_>, now: Timestamp) -> [String; HEADS.len()] {
    let urgency = match entry.text.map(|text| text.urgency) {
        Some(Urgency::Normal) => "normal",
        Some(Urgency::Urgent) => "urgent",
        None => "",
    };
    let from = entry.text.and_then(|text| text.from.as_deref()).unwrap_or_default();
    [
        entry.id.to_string(),
        entry.agent.map_or_else(|| entry.agent_id.to_string(), ToString::to_string),
        output::age(entry.enqueued_at, now),
        entry.state.word().to_owned(),
        urgency.to_owned(),
        entry.attempts.to_string(),
        beginning(from, FROM_MAX),
        entry.text.map(|text| beginning(&text.text, TEXT_MAX)).unwrap_or_default(),
    ]
}
