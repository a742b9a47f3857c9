//! An agent's place among the members of a team: while it lives, others can write to it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::desk::Desk;
use super::round::off_the_loop;
use crate::home::TeamDir;
use crate::ids::Team;
use crate::mail::{Activity, NewMember, Post, color_of};
use crate::session::{Handle, Roster, Snapshot, State};

/// How long the end of a session waits for a roster that others have locked.
const PARTING: Duration = Duration::from_secs(3);

/// How long it stands so before the others are told.
const SETTLED: Duration = Duration::from_secs(1);

/// One agent in one team.
pub(super) struct Membership {
    handle: Handle,
    dir: TeamDir,
    post: Arc<dyn Post>,
    /// As config.json shows it, if it is in it.
    shown: Option<Activity>,
    /// Since when it stands otherwise than that shows.
    differs: Option<Instant>,
    /// What was said last of what is wrong; it is said once.
    complaint: String,
}

impl Membership {
    /// Not yet a member.
    pub(super) fn new(handle: &Handle, desk: &Desk, post: Arc<dyn Post>) -> Membership {
        Membership {
            handle: handle.clone(),
            dir: desk.dir.clone(),
            post,
            shown: None,
            differs: None,
            complaint: String::new(),
        }
    }

    /// Whether it is a member.
    pub(super) fn is_in(&self) -> bool {
        self.shown.is_some()
    }

    /// Sees to it that the agent is a member if the team is there, and is shown as it stands.
    pub(super) async fn keep(&mut self, roster: &Roster, snapshot: &Snapshot) {
        let stands = match snapshot.state {
            State::Idle | State::Lost { .. } | State::Closed => Activity::Idle,
            _ => Activity::Active,
        };
        self.differs = self.shown.filter(|shown| *shown != stands).and(self.differs.or_else(|| Some(Instant::now())));
        if self.due().is_some_and(|due| !due.is_zero()) {
            return;
        }
        let (post, agent, shown) = (self.post.clone(), self.handle.agent().clone(), self.shown);
        let new = (shown.is_none()).then(|| self.new_member(roster.team().clone(), snapshot));
        let dir = self.dir.clone();
        let kept = off_the_loop(move || {
            if !post.exists() {
                return Ok(Ok(None));
            }
            let joined = new.map_or(Ok(()), |new| post.join(&with_record(new, &dir)));
            let is_in = joined.and_then(|()| match shown == Some(stands) {
                true => Ok(true),
                false => post.set_active(&agent, stands),
            });
            // Whoever took it out, at the next look it joins again.
            Ok(is_in.map(|is_in| is_in.then_some(stands)))
        });
        match kept.await {
            Ok(Ok(shown)) => {
                self.shown = shown;
                self.differs = None;
                self.complaint.clear();
            }
            Ok(Err(error)) => self.complain(&error),
            Err(error) => self.complain(&error),
        }
    }

    /// When the others are to be told that it stands otherwise now. A turn that is short is not worth two writes.
    pub(super) fn due(&self) -> Option<Duration> {
        self.differs.map(|since| SETTLED.saturating_sub(since.elapsed()))
    }

    /// It lives no more.
    pub(super) async fn end(mut self) {
        let (post, agent) = (self.post.clone(), self.handle.agent().clone());
        let left = off_the_loop(move || Ok(if post.exists() { post.leave(&agent) } else { Ok(()) }));
        match tokio::time::timeout(PARTING, left).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => self.complain(&error),
            Ok(Err(error)) => self.complain(&error),
            Err(_) => self.complain(&"the roster is locked; the next server takes the agent out"),
        }
    }

    fn complain(&mut self, error: &dyn std::fmt::Display) {
        let complaint = error.to_string();
        if complaint == self.complaint {
            return;
        }
        self.complaint = complaint;
        tracing::warn!(agent = %self.handle.identity(), team = %self.post.team(), %error, "its place in the team");
    }

    fn new_member(&self, team: Team, snapshot: &Snapshot) -> NewMember {
        let name = self.handle.identity().clone();
        NewMember {
            agent: self.handle.agent().clone(),
            team,
            agent_type: "codex".to_owned(),
            model: snapshot.model.clone().unwrap_or_else(|| "codex".to_owned()),
            prompt: None,
            color: color_of(&name),
            cwd: Default::default(),
            name,
        }
    }
}

/// What its record says of it beside.
fn with_record(new: NewMember, dir: &TeamDir) -> NewMember {
    let record = crate::session::Record::find(dir, &crate::session::Who::Agent(new.agent.clone())).ok().flatten();
    match record {
        Some(record) => {
            NewMember { cwd: record.cwd().to_owned(), agent_type: record.role.unwrap_or(new.agent_type), ..new }
        }
        None => new,
    }
}
