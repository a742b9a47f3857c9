//! `sessions`: the agents of a team, as their records and locks show them; and what can be removed of them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use jiff::Timestamp;
use serde::Serialize;

use super::error::CliError;
use super::place::Place;
use super::whose::Whose;
use super::{output, time};
use crate::home::TeamDir;
use crate::ids::{AgentId, AgentName, Team, ThreadId};
use crate::queue::{Limits, Queue};
use crate::repo::Repository;
use crate::session::Record;
use crate::session::identity::Lock;

const HEADS: [&str; 9] = ["NAME", "STATE", "LAST", "TURNS", "TOKENS", "QUEUE", "MODEL", "AGENT", "DIRECTORY"];

/// List the agents of a team, also while no server runs
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  atm-agent-mcp sessions                     # those of this repository's team
  atm-agent-mcp sessions --all-teams --state running
  atm-agent-mcp sessions --prune             # what would be removed; with --yes it is")]
pub(super) struct Args {
    #[command(flatten)]
    whose: Whose,

    /// The agents of every team
    #[arg(long, conflicts_with = "team")]
    all_teams: bool,

    /// Only agents that work in the repository around this directory [default: the current one]
    #[arg(long, value_name = "PATH", num_args = 0..=1, default_missing_value = ".")]
    repo: Option<PathBuf>,

    /// Only those of this name
    #[arg(long, value_parser = AgentName::parse)]
    name: Option<AgentName>,

    /// Only those in this state
    #[arg(long, value_enum)]
    state: Option<State>,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Show what could be removed: what is kept of closed agents for which nothing waits. Their threads stay with Codex
    #[arg(long)]
    prune: bool,

    /// With --prune: remove it
    #[arg(long, requires = "prune")]
    yes: bool,
}

/// What a record and its lock come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// A server runs it now.
    Running,
    /// None does; it can be continued.
    Resumable,
    /// It was closed; it is continued by its id.
    Closed,
}

/// One agent.
#[derive(Debug, Serialize)]
struct Shown {
    team: Team,
    identity: AgentName,
    agent_id: AgentId,
    #[serde(rename = "threadId")]
    thread_id: Option<ThreadId>,
    state: State,
    /// The server that runs it.
    server_pid: Option<u32>,
    role: Option<String>,
    model: Option<String>,
    cwd: PathBuf,
    turns: u64,
    tokens: Option<u64>,
    /// How many texts wait for it.
    queue: usize,
    created_at: Timestamp,
    last_active: Timestamp,
}

impl Shown {
    /// Whatever team the record names: where it is kept, it belongs.
    fn of(team: &Team, dir: &TeamDir, record: Record) -> Shown {
        let state = match (Lock::is_held(&dir.agent_lock(&record.agent_id)), record.closed) {
            (true, _) => State::Running,
            (false, true) => State::Closed,
            (false, false) => State::Resumable,
        };
        let queue = Queue::at(dir.queue(&record.agent_id), Limits::default()).depth();
        Shown {
            cwd: record.cwd().to_owned(),
            queue: queue.map_or(0, |depth| depth.waiting),
            server_pid: (state == State::Running).then_some(record.server_pid),
            team: team.clone(),
            identity: record.identity,
            agent_id: record.agent_id,
            thread_id: record.thread_id,
            state,
            role: record.role,
            model: record.model,
            turns: record.turns,
            tokens: record.tokens.map(|tokens| tokens.total_tokens),
            created_at: record.created_at,
            last_active: record.last_active,
        }
    }

    fn row(&self, now: Timestamp, with_team: bool) -> [String; HEADS.len()] {
        let name = if with_team { format!("{}@{}", self.identity, self.team) } else { self.identity.to_string() };
        let state = match self.state {
            State::Running => "running",
            State::Resumable => "resumable",
            State::Closed => "closed",
        };
        [
            name,
            state.to_owned(),
            output::age(self.last_active, now),
            self.turns.to_string(),
            self.tokens.map(|tokens| tokens.to_string()).unwrap_or_default(),
            self.queue.to_string(),
            self.model.clone().unwrap_or_default(),
            self.agent_id.to_string(),
            self.cwd.display().to_string(),
        ]
    }
}

pub(super) fn run(args: Args) -> Result<(), CliError> {
    let Args { whose, all_teams, repo, name, state, json, prune, yes } = args;
    let place = whose.place()?;
    let unreadable = |error| CliError::Unreadable { path: place.home.sessions_dir(), error };
    let teams = match all_teams {
        true => place.home.teams().map_err(unreadable)?,
        false => vec![place.loaded.settings.team.clone()],
    };
    let repo = repo.map(|path| root(&place, &path));
    let mut agents: Vec<Shown> = Vec::new();
    for team in &teams {
        let dir = place.home.team(team);
        agents.extend(Record::all(&dir)?.into_iter().map(|record| Shown::of(team, &dir, record)));
    }
    let all = agents.len();
    agents.retain(|agent| {
        repo.as_ref().is_none_or(|repo| agent.cwd.starts_with(repo))
            && name.as_ref().is_none_or(|name| agent.identity == *name)
            && state.is_none_or(|state| agent.state == state)
    });
    agents.sort_by(|a, b| (&a.team, &a.identity, a.created_at).cmp(&(&b.team, &b.identity, b.created_at)));
    if prune {
        return remove(&place, agents, yes, json);
    }
    match (json, agents.is_empty()) {
        (true, _) => output::json(&agents),
        (false, true) => {
            let of = if all_teams { "any team".to_owned() } else { format!("the team {}", teams[0]) };
            match all {
                0 => output::note(format_args!("no agents of {of}; codex starts one, --all-teams shows those of all")),
                _ => output::note(format_args!(
                    "no agent of {of} matches; there are {all} without --repo, --name and --state"
                )),
            }
            Ok(())
        }
        (false, false) => {
            let now = Timestamp::now();
            output::table(HEADS, agents.iter().map(|agent| agent.row(now, all_teams)))
        }
    }
}

/// The repository around a directory, or the directory.
fn root(place: &Place, path: &Path) -> PathBuf {
    let path = place.cwd.join(path);
    let path = path.canonicalize().unwrap_or(path);
    Repository::around(&path).map_or(path, |repository| repository.root().to_owned())
}

/// Removes what is kept of closed agents for which nothing waits, or says what it would.
fn remove(place: &Place, agents: Vec<Shown>, yes: bool, json: bool) -> Result<(), CliError> {
    let mut gone: Vec<Shown> = Vec::new();
    let mut failed = 0;
    for agent in agents.into_iter().filter(|agent| agent.state == State::Closed) {
        let dir = place.home.team(&agent.team);
        let called = format!("{} ({})", agent.identity, agent.agent_id);
        if let Some(why) = waits(&dir, &agent.agent_id) {
            output::note(format_args!("kept: {called}, for {why}"));
            continue;
        }
        match if yes { take_away(&dir, &agent.agent_id) } else { Ok(true) } {
            Ok(true) => gone.push(agent),
            Ok(false) => output::note(format_args!("kept: {called}, for somebody continues it")),
            Err(error) => {
                output::note(format_args!("not removed: {called}: {error}"));
                failed += 1;
            }
        }
    }
    if json {
        output::json(&gone)?;
    } else {
        let verb = if yes { "removed" } else { "would be removed" };
        for agent in &gone {
            let Shown { identity, agent_id, last_active, .. } = agent;
            let last_active = time::of_here(*last_active);
            output::text(&format!("{verb}: {identity} ({agent_id}), closed, last active {last_active}\n"))?;
        }
        match gone.as_slice() {
            [] => output::note(format_args!("nothing to remove")),
            _ if yes => {}
            _ => output::note(format_args!("--yes removes it")),
        }
    }
    if failed > 0 { Err(CliError::Prune(failed)) } else { Ok(()) }
}

/// Why an agent is not forgotten: what waits for it, or may.
fn waits(dir: &TeamDir, agent: &AgentId) -> Option<String> {
    let queue = Queue::at(dir.queue(agent), Limits::default());
    let count = || Ok(queue.list()?.len() + queue.list_dead()?.len());
    match count() {
        Ok(0) => None,
        Ok(1) => Some("1 text waits in its queue or is buried there".to_owned()),
        Ok(many) => Some(format!("{many} texts wait in its queue or are buried there")),
        Err::<usize, io::Error>(error) => Some(format!("its queue cannot be read: {error}")),
    }
}

/// Answers whether it was taken away: not while somebody continues it.
fn take_away(dir: &TeamDir, agent: &AgentId) -> io::Result<bool> {
    let Some(_lock) = Lock::take(&dir.agent_lock(agent))? else { return Ok(false) };
    let absent = |done: io::Result<()>| match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    };
    // The record last: whatever fails before, it is listed again.
    absent(fs::remove_dir_all(dir.root().join(agent.as_str())))?;
    absent(fs::remove_file(dir.record(agent)))?;
    Ok(true)
}
