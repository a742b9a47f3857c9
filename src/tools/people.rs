//! Who can be written to, and whether they are there.

use crate::home::TeamDir;
use crate::ids::{AgentName, MemberName};
use crate::mail::{Activity, MailError, Member, NewMember, Post, Teams, color_of};
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

/// Makes an agent of ours a member of the team if nobody is called so there: one that is away can be written to then, and one
/// that has just been started need not be waited for.
pub(super) fn admit(post: &dyn Post, record: &Record, presence: Presence) -> Result<(), MailError> {
    if post.roster()?.iter().any(|member| member.name == record.identity.as_str()) {
        return Ok(());
    }
    post.join(&as_member(record))?;
    if presence == Presence::Away {
        post.set_active(&record.agent_id, Activity::Idle)?;
    }
    Ok(())
}

/// Whether the name of an agent of ours, and with it the inbox, is another's in that team.
pub(super) fn has_namesake(teams: &Teams, post: &dyn Post, agent: &MemberName) -> Result<bool, MailError> {
    let is_ours = |member: &Member| member.ours.as_ref().is_some_and(|ours| ours.team == *teams.ours());
    Ok(post.roster()?.iter().any(|member| agent.shares_inbox_with(&member.name) && !is_ours(member)))
}

/// What Claude Code calls the lead of its session's team (2.1.330): that is the client.
pub(super) fn session_lead() -> MemberName {
    MemberName::parse("team-lead").expect("it keeps the rule of names")
}

fn as_member(record: &Record) -> NewMember {
    NewMember {
        name: record.identity.clone(),
        agent: record.agent_id.clone(),
        team: record.team.clone(),
        agent_type: record.role.clone().unwrap_or_else(|| "codex".to_owned()),
        model: record.model.clone().unwrap_or_else(|| "codex".to_owned()),
        prompt: None,
        color: color_of(&record.identity),
        cwd: record.cwd().to_owned(),
    }
}

/// Everybody who can be written to, in one line.
pub(super) fn known(teams: &Teams, dir: &TeamDir, but: &str) -> String {
    let rosters = teams.all().filter_map(|post: &std::sync::Arc<dyn Post>| post.roster().ok()).flatten();
    let agents = Record::all(dir)
        .unwrap_or_default()
        .into_iter()
        .filter(|record| !record.closed)
        .map(|record| record.identity.to_string());
    let names = rosters.map(|member| member.name).chain(agents);
    // Of what others call themselves, only names that can be written to: anything may stand there.
    let mut names: Vec<String> = names.filter(|name| name != but && MemberName::parse(name).is_ok()).collect();
    names.sort();
    names.dedup();
    if names.is_empty() {
        return "nobody is there yet".to_owned();
    }
    if names.len() > KNOWN_MAX {
        names.truncate(KNOWN_MAX);
        names.push("…".to_owned());
    }
    format!("you can write to {}", names.join(", "))
}
