//! Who can be written to, and whether they are there.

use crate::home::TeamDir;
use crate::ids::{AgentName, MemberName};
use crate::mail::{NewMember, Post, Teams};
use crate::session::identity::Lock;
use crate::session::{Record, RosterError, Who};

/// How many names a list of them has.
const KNOWN_MAX: usize = 40;

/// Whether a recipient is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// An agent of this server.
    Here,
    /// An agent of another server of ours.
    Elsewhere,
    /// An agent that nobody runs now.
    Away,
    /// No agent of ours.
    Member,
}

impl Presence {
    pub(super) fn of(record: Option<&Record>, dir: &TeamDir) -> Presence {
        match record {
            None => Presence::Member,
            Some(record) if !Lock::is_held(&dir.agent_lock(&record.agent_id)) => Presence::Away,
            Some(record) if record.server_pid == std::process::id() => Presence::Here,
            Some(_) => Presence::Elsewhere,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Presence::Here => "running here",
            Presence::Elsewhere => "running elsewhere",
            Presence::Away => "away",
            Presence::Member => "member",
        }
    }

    /// What that means for a message.
    pub(super) fn outlook(self) -> &'static str {
        match self {
            Presence::Here | Presence::Elsewhere => "is told when it is idle",
            Presence::Away => "is not running, and is told when it is continued",
            Presence::Member => "reads its mail itself",
        }
    }
}

/// The agent of ours that is called so; a closed one, if there is no other.
pub(super) fn agent(dir: &TeamDir, name: &MemberName) -> Result<Option<Record>, RosterError> {
    let Ok(name) = AgentName::parse(name.as_str()) else { return Ok(None) };
    Record::find(dir, &Who::Name(name))
}

/// An agent of ours as a member of a team, so that it can be written to while it is away.
pub(super) fn as_member(record: &Record) -> NewMember {
    NewMember {
        name: record.identity.clone(),
        agent: record.agent_id.clone(),
        team: record.team.clone(),
        agent_type: record.role.clone().unwrap_or_else(|| "codex".to_owned()),
        model: record.model.clone().unwrap_or_else(|| "codex".to_owned()),
        prompt: None,
        color: "blue".to_owned(),
        cwd: record.cwd().to_owned(),
    }
}

/// Everybody who can be written to, in one line.
pub(super) fn known(teams: &Teams, dir: &TeamDir, but: &str) -> String {
    let rosters = teams.all().filter_map(|post: &std::sync::Arc<dyn Post>| post.roster().ok()).flatten();
    let agents = Record::all(dir).into_iter().filter(|record| !record.closed).map(|record| record.identity.to_string());
    let mut names: Vec<String> = rosters.map(|member| member.name).chain(agents).filter(|name| name != but).collect();
    names.sort();
    names.dedup();
    if names.is_empty() {
        return "nobody is there yet".to_owned();
    }
    if names.len() > KNOWN_MAX {
        names.truncate(KNOWN_MAX);
        names.push("…".to_owned());
    }
    format!("there are {}", names.join(", "))
}
