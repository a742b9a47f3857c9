//! A member of a team, as config.json has it: what we write of ours, and what we read of anybody. Rules only.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::splice::Fields;
use crate::ids::{AgentId, AgentName, MemberName, Team, TeamName};

/// The version of our mark.
const VERSION: u32 = 1;

/// A member, as far as we know its fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name, whatever it is.
    pub name: String,
    /// What it is: `team-lead`, `general-purpose`, `codex` …
    pub agent_type: Option<String>,
    /// Its model.
    pub model: Option<String>,
    /// Its colour.
    pub color: Option<String>,
    /// Where it works.
    pub cwd: Option<String>,
    /// Whether it is at work, if that is known.
    pub active: Option<bool>,
    /// Which of our agents it is; `None` for a member that is not ours.
    pub ours: Option<Ours>,
    /// Whether it is a person who has joined by our command line.
    pub is_person: bool,
}

impl Member {
    /// Reads a member; `None` for what Claude Code takes for none (2.1.330).
    pub(super) fn read(member: &str) -> Option<Member> {
        let fields = Fields::of(member)?;
        fields.text("agentId")?;
        Some(Member {
            name: fields.text("name")?,
            agent_type: fields.text("agentType"),
            model: fields.text("model"),
            color: fields.text("color"),
            cwd: fields.text("cwd"),
            active: fields.get("isActive").and_then(|active| serde_json::from_str(active.get()).ok()),
            ours: fields.get("atm").and_then(Ours::read),
            is_person: fields.get("atm").is_some_and(PersonMark::is_in),
        })
    }
}

/// By what a member of ours is known again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ours {
    v: u32,
    /// Our own team, with which its record is; not always the team whose member it is.
    pub team: Team,
    /// The agent.
    pub agent_id: AgentId,
}

impl Ours {
    fn read(mark: &RawValue) -> Option<Ours> {
        serde_json::from_str(mark.get()).ok()
    }
}

/// By what a person is known again who has joined by our command line, and may leave so.
#[derive(Debug, Serialize, Deserialize)]
struct PersonMark {
    v: u32,
    person: bool,
}

impl PersonMark {
    fn is_in(mark: &RawValue) -> bool {
        serde_json::from_str(mark.get()).is_ok_and(|PersonMark { person, .. }| person)
    }
}

/// The colours of Claude Code's members (2.1.330).
const COLORS: [&str; 8] = ["blue", "green", "yellow", "purple", "orange", "pink", "cyan", "red"];

/// The colour of an agent of ours: always the same for the same name.
pub fn color_of(name: &AgentName) -> String {
    let sum: usize = name.as_str().bytes().map(usize::from).sum();
    COLORS[sum % COLORS.len()].to_owned()
}

/// An agent of ours that joins a team.
#[derive(Debug, Clone)]
pub struct NewMember {
    /// Its name.
    pub name: AgentName,
    /// Which agent it is.
    pub agent: AgentId,
    /// Our own team, with which its record is.
    pub team: Team,
    /// What it is, in a word.
    pub agent_type: String,
    /// Its model.
    pub model: String,
    /// What it was asked first.
    pub prompt: Option<String>,
    /// Its colour.
    pub color: String,
    /// Where it works.
    pub cwd: PathBuf,
}

/// A person who joins a team.
#[derive(Debug, Clone)]
pub struct Person {
    /// Its name.
    pub name: AgentName,
    /// Where it was when it joined.
    pub cwd: PathBuf,
}

/// The lead of a team that we create.
#[derive(Debug, Clone)]
pub struct Lead {
    /// Its name; Claude Code calls it `team-lead`.
    pub name: MemberName,
    /// Its Claude Code session, if it has one.
    pub session_id: Option<String>,
    /// Its model, if it is known.
    pub model: String,
    /// Where it works.
    pub cwd: PathBuf,
}

/// A member's fields as Claude Code writes them, and atm 0.14 needs them: `agentType`, `model`, `joinedAt`, `cwd`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    agent_id: String,
    name: &'a str,
    agent_type: &'a str,
    model: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    color: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan_mode_required: Option<bool>,
    joined_at: i64,
    tmux_pane_id: &'static str,
    cwd: String,
    subscriptions: [(); 0],
    backend_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_active: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    atm: Option<Mark>,
}

/// That it is ours.
#[derive(Serialize)]
#[serde(untagged)]
enum Mark {
    Agent(Ours),
    Person(PersonMark),
}

impl NewMember {
    pub(super) fn write(&self, into: &TeamName, now: Timestamp) -> String {
        json(&Written {
            agent_id: format!("{}@{into}", self.name),
            name: self.name.as_str(),
            agent_type: &self.agent_type,
            model: &self.model,
            prompt: self.prompt.as_deref(),
            color: Some(&self.color),
            plan_mode_required: Some(false),
            joined_at: now.as_millisecond(),
            // No pane: nobody can be reached, or killed, through one.
            tmux_pane_id: "",
            cwd: self.cwd.to_string_lossy().into_owned(),
            subscriptions: [],
            backend_type: "in-process",
            is_active: Some(true),
            atm: Some(Mark::Agent(Ours { v: VERSION, team: self.team.clone(), agent_id: self.agent.clone() })),
        })
    }
}

impl Person {
    pub(super) fn write(&self, into: &TeamName, now: Timestamp) -> String {
        json(&Written {
            agent_id: format!("{}@{into}", self.name),
            name: self.name.as_str(),
            // Any word may stand here, as with agents: Claude Code (2.1.330) needs the name alone.
            agent_type: "human",
            model: "human",
            prompt: None,
            color: None,
            plan_mode_required: None,
            joined_at: now.as_millisecond(),
            tmux_pane_id: "",
            cwd: self.cwd.to_string_lossy().into_owned(),
            subscriptions: [],
            backend_type: "in-process",
            is_active: None,
            atm: Some(Mark::Person(PersonMark { v: VERSION, person: true })),
        })
    }
}

impl Lead {
    /// The config.json of a new team, with the lead as its one member.
    pub(super) fn team(&self, team: &TeamName, now: Timestamp) -> String {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Config<'a> {
            name: &'a TeamName,
            created_at: i64,
            lead_agent_id: String,
            lead_session_id: &'a str,
            members: [Written<'a>; 1],
        }
        json(&Config {
            name: team,
            created_at: now.as_millisecond(),
            lead_agent_id: format!("{}@{team}", self.name),
            lead_session_id: self.session_id.as_deref().unwrap_or_default(),
            members: [self.written(team, now)],
        })
    }

    /// The lead as a member of a team.
    pub(super) fn member(&self, team: &TeamName, now: Timestamp) -> String {
        json(&self.written(team, now))
    }

    fn written(&self, team: &TeamName, now: Timestamp) -> Written<'_> {
        Written {
            agent_id: format!("{}@{team}", self.name),
            name: self.name.as_str(),
            agent_type: "team-lead",
            model: &self.model,
            prompt: None,
            color: None,
            plan_mode_required: None,
            joined_at: now.as_millisecond(),
            tmux_pane_id: "leader",
            cwd: self.cwd.to_string_lossy().into_owned(),
            subscriptions: [],
            backend_type: "in-process",
            is_active: None,
            atm: None,
        }
    }
}

/// A line a field, as Claude Code writes the file.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).expect("texts and numbers are JSON")
}
