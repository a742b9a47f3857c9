//! The teams that our agents are members of: ours, which lasts, and that of the client's Claude Code session, while it lives.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use tokio::sync::watch;

use super::{ClaudePost, Hands, Lead, MailError, Member, Post};
use crate::home::Home;
use crate::ids::{Address, AgentName, MemberName, Team, TeamName};

/// What the teams are made of.
#[derive(Debug, Clone)]
pub struct TeamsSetup {
    /// Where things are kept.
    pub home: Home,
    /// Our team.
    pub team: Team,
    /// Whether somebody asked for it by name: then it is made at once, else with its first mail.
    pub is_named: bool,
    /// What the client is called in it.
    pub lead: AgentName,
    /// Where the client works.
    pub cwd: PathBuf,
    /// The client's Claude Code session, if it has one.
    pub session_id: Option<String>,
}

/// The posts of both teams; clones share them.
#[derive(Clone)]
pub struct Teams {
    setup: Arc<TeamsSetup>,
    own: Arc<dyn Post>,
    session: Option<Arc<dyn Post>>,
    made: watch::Sender<()>,
    hands: Hands,
    /// Whether the client was seen to be a member of ours.
    has_lead: Arc<OnceLock<()>>,
}

impl fmt::Debug for Teams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Teams").field("setup", &self.setup).finish_non_exhaustive()
    }
}

impl Teams {
    /// Touches nothing yet.
    pub fn open(setup: TeamsSetup) -> Teams {
        let post = |team: &TeamName| -> Arc<dyn Post> { Arc::new(ClaudePost::open(&setup.home, team)) };
        let own = post(&TeamName::from(&setup.team));
        let session = setup.session_id.as_deref().and_then(TeamName::of_session).map(|team| post(&team));
        Teams {
            own,
            session,
            made: watch::Sender::default(),
            hands: Hands::default(),
            has_lead: Arc::default(),
            setup: Arc::new(setup),
        }
    }

    /// Makes ours at the start, if somebody asked for it by name.
    pub fn make_named(&self) {
        if self.setup.is_named
            && let Err(error) = self.make_own()
        {
            tracing::warn!(team = %self.setup.team, %error, "the team cannot be made");
        }
    }

    /// What our team is called with us.
    pub fn ours(&self) -> &Team {
        &self.setup.team
    }

    /// The post of ours, whether it is there or not.
    pub fn own(&self) -> &Arc<dyn Post> {
        &self.own
    }

    /// Both, whether they are there or not.
    pub fn all(&self) -> impl Iterator<Item = &Arc<dyn Post>> {
        [Some(&self.own), self.session.as_ref()].into_iter().flatten()
    }

    /// Who has which mail of our agents in hand.
    pub fn hands(&self) -> &Hands {
        &self.hands
    }

    /// That of the client's session, if it lives: Claude makes it, and deletes it at the session's end.
    pub fn session(&self) -> Option<&Arc<dyn Post>> {
        self.session.as_ref().filter(|session| session.exists())
    }

    /// Makes ours if it is not there, and the client a member of it.
    pub fn make_own(&self) -> Result<(), MailError> {
        if self.own.exists() && self.has_lead.get().is_some() {
            return Ok(());
        }
        let is_new = !self.own.exists();
        let TeamsSetup { lead, session_id, cwd, .. } = &*self.setup;
        self.own.create(&Lead {
            name: MemberName::from(lead),
            session_id: session_id.clone(),
            model: "unknown".to_owned(),
            cwd: cwd.clone(),
        })?;
        self.has_lead.get_or_init(|| ());
        if is_new {
            self.made.send_replace(());
        }
        Ok(())
    }

    /// Hears of it when ours was made.
    pub fn makings(&self) -> watch::Receiver<()> {
        self.made.subscribe()
    }

    /// The post of a team, whether it is there or not.
    pub fn of(&self, team: &TeamName) -> Arc<dyn Post> {
        // Claude Code finds a team whatever the case of its name (2.1.330).
        let is_it = |post: &&Arc<dyn Post>| post.team().config_dir() == team.config_dir();
        self.all().find(is_it).cloned().unwrap_or_else(|| Arc::new(ClaudePost::open(&self.setup.home, team)))
    }

    /// The team in which a message to this address is put. `is_ours` says whether it is the name of one of our agents:
    /// their mail is with our team, which outlives the session's.
    pub fn route(&self, to: &Address, is_ours: bool) -> Result<Arc<dyn Post>, MailError> {
        match &to.team {
            Some(team) => {
                let post = self.of(team);
                if Arc::ptr_eq(&post, &self.own) {
                    self.make_own()?;
                }
                Ok(post)
            }
            None => {
                let is_in = |members: &[Member]| members.iter().any(|member| member.name == to.name.as_str());
                if let Some(session) = self.session().filter(|_| !is_ours) {
                    match session.roster() {
                        Ok(members) if is_in(&members) => return Ok(session.clone()),
                        // Files that are broken keep nobody from those whom others name.
                        Err(error) if !self.own.roster().is_ok_and(|members| is_in(&members)) => return Err(error),
                        _ => {}
                    }
                }
                self.make_own()?;
                Ok(self.own.clone())
            }
        }
    }

    /// The post by which the lead is reached: it reads the mail of its session, if it has one.
    pub fn leads(&self) -> Option<(Arc<dyn Post>, MemberName)> {
        if let Some(session) = self.session() {
            let lead = MemberName::parse("team-lead").ok()?;
            return Some((session.clone(), lead));
        }
        self.make_own().inspect_err(|error| tracing::warn!(%error, "the team cannot be made")).ok()?;
        Some((self.own.clone(), MemberName::from(&self.setup.lead)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::AgentId;
    use crate::mail::NewMember;

    const SESSION: &str = "6075f866-f103-4be1-b2e9-8dbf66009eb9";

    fn teams(dir: &tempfile::TempDir, is_named: bool) -> Teams {
        let (home, team, lead) = (Home::at(dir.path()), Team::parse("red").unwrap(), AgentName::parse("boss").unwrap());
        let session_id = Some(SESSION.to_owned());
        Teams::open(TeamsSetup { home, team, is_named, lead, cwd: dir.path().to_owned(), session_id })
    }

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    #[test]
    fn a_team_that_nobody_named_is_made_with_its_first_mail_and_a_named_one_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let unnamed = teams(&dir, false);
        assert!(!unnamed.own().exists() && !dir.path().join(".claude").exists());
        unnamed.route(&address("ana"), true).unwrap();
        assert!(unnamed.own().exists());
        let dir = tempfile::tempdir().unwrap();
        let named = teams(&dir, true);
        named.make_named();
        assert_eq!(named.own().roster().unwrap()[0].name, "boss");
        assert_eq!(named.leads().unwrap().1.as_str(), "boss");
    }

    #[test]
    fn mail_to_a_member_of_the_session_goes_there_and_that_to_our_agents_stays_with_us() {
        let dir = tempfile::tempdir().unwrap();
        let teams = teams(&dir, true);
        teams.make_named();
        let session = teams.all().nth(1).unwrap();
        let to = |name: &str, is_ours| teams.route(&address(name), is_ours).unwrap().team().to_string();
        assert_eq!(to("team-lead", false), "red", "there is no session's team yet");
        let config = Home::at(dir.path()).claude_team(session.team()).config();
        std::fs::create_dir_all(config.parent().unwrap()).unwrap();
        let members = r#"[{"agentId":"team-lead@session-6075f866","name":"team-lead"}]"#;
        std::fs::write(config, format!(r#"{{"name":"session-6075f866","members":{members}}}"#)).unwrap();
        let (name, agent, team) = (AgentName::parse("ana").unwrap(), AgentId::new(), Team::parse("red").unwrap());
        let (agent_type, model, color, cwd) = ("codex".into(), "m".into(), "green".into(), dir.path().to_owned());
        session.join(&NewMember { name, agent, team, agent_type, model, prompt: None, color, cwd }).unwrap();
        assert_eq!(to("team-lead", false), "session-6075f866");
        assert_eq!(to("ana", true), "red");
        assert_eq!(to("ana@session-6075f866", true), "session-6075f866");
        assert_eq!(to("somebody@blue", false), "blue");
        assert_eq!(teams.leads().unwrap().0.team().as_str(), "session-6075f866");
        std::fs::remove_dir_all(dir.path().join(".claude/teams/session-6075f866")).unwrap();
        assert_eq!((to("team-lead", false), teams.leads().unwrap().1.as_str()), ("red".to_owned(), "boss"));
    }
}
