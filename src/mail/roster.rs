//! Who is in a team: Claude's config.json, read as it stands, changed under its lock.
//!
//! Claude Code (2.1.330) writes it in place under `config.json.lock`, atm 0.14 under `flock` on `config.lock`: we take both.
//! We replace it whole, so that a reader never sees half of ours.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::value::RawValue;

use super::MailError;
use super::lock::{Missing, Stop, holding};
use super::look::{Looked, look};
use super::member::{Lead, Member, NewMember, Ours, Person};
use super::splice::{self, Fields};
use crate::home::private_dir;
use crate::ids::{AgentId, AgentName, MemberName, TeamName};

/// Whether a member is at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// It has a turn.
    Active,
    /// It waits.
    Idle,
}

/// A team's config.json.
#[derive(Debug)]
pub(super) struct Roster {
    pub(super) team: TeamName,
    pub(super) path: PathBuf,
    pub(super) patience: Duration,
}

impl Roster {
    /// Its members; `None` where there is no team.
    pub(super) fn members(&self) -> Result<Option<Vec<Member>>, MailError> {
        let Some(config) = self.text()? else { return Ok(None) };
        Ok(Some(self.entries(&config)?.into_iter().filter_map(|member| Member::read(member.get())).collect()))
    }

    /// Makes the team, with its lead; to one that is there the lead is added, if nobody in it is called so.
    pub(super) fn create(&self, lead: &Lead) -> Result<(), MailError> {
        if let Some(members) = self.members()? {
            if members.iter().any(|member| lead.name.shares_inbox_with(&member.name)) {
                return Ok(());
            }
            let written = lead.member(&self.team, Timestamp::now());
            return self.change(|members| {
                let called_so =
                    |text: &String| Member::read(text).is_some_and(|m| lead.name.shares_inbox_with(&m.name));
                if !members.iter().any(called_so) {
                    members.push(written.clone());
                }
                Ok(())
            });
        }
        if self.team.is_of_session() {
            return Err(self.no_team());
        }
        let dir = self.path.parent().expect("the config is in a directory");
        private_dir(dir).map_err(MailError::files(dir))?;
        holding(&self.path, Missing::Leave, self.patience, |held| match held.file().exists() {
            true => Ok(()),
            false => held.replace(&lead.team(&self.team, Timestamp::now())),
        })
    }

    /// Puts an agent of ours into the team, in the place that it had before if it had one.
    pub(super) fn join(&self, new: &NewMember) -> Result<(), MailError> {
        let name = MemberName::from(&new.name);
        let written = new.write(&self.team, Timestamp::now());
        self.change(|members| {
            let called_so = |text: &String| Member::read(text).is_some_and(|m| name.shares_inbox_with(&m.name));
            let there = members.iter().position(called_so);
            match there {
                None => members.push(written.clone()),
                Some(at) if ours(&members[at]).is_some_and(|ours| ours.team == new.team) => {
                    members[at].clone_from(&written);
                }
                Some(_) => return Err(MailError::NameTaken { name: name.clone(), team: self.team.clone() }),
            }
            Ok(())
        })
    }

    /// Takes an agent of ours out of the team.
    pub(super) fn leave(&self, agent: &AgentId) -> Result<(), MailError> {
        self.remove_ours(&|_, ours| ours.agent_id != *agent).map(drop)
    }

    /// Puts a person into the team; one who is in it stays as it was. Answers whether it was put there now.
    pub(super) fn join_person(&self, person: &Person) -> Result<bool, MailError> {
        let name = MemberName::from(&person.name);
        let written = person.write(&self.team, Timestamp::now());
        let called_so = |member: &Member| name.shares_inbox_with(&member.name);
        let is_there = |member: &Member| member.is_person && member.name == name.as_str();
        // To look costs nobody anything; the lock does.
        if self.members()?.ok_or_else(|| self.no_team())?.iter().any(is_there) {
            return Ok(false);
        }
        let mut is_new = false;
        self.change(|members| {
            match members.iter().filter_map(|text| Member::read(text)).find(called_so) {
                None => members.push(written.clone()),
                Some(member) if is_there(&member) => return Ok(()),
                Some(_) => return Err(MailError::NameTaken { name: name.clone(), team: self.team.clone() }),
            }
            is_new = true;
            Ok(())
        })?;
        Ok(is_new)
    }

    /// Takes a person out of the team who has joined so.
    pub(super) fn leave_person(&self, name: &AgentName) -> Result<(), MailError> {
        let goes = |text: &String| Member::read(text).is_some_and(|m| m.is_person && m.name == name.as_str());
        self.change(|members| {
            members.retain(|text| !goes(text));
            Ok(())
        })
    }

    /// Takes those of our agents out that are not to stay, and answers their names.
    pub(super) fn remove_ours(&self, stays: &dyn Fn(&str, &Ours) -> bool) -> Result<Vec<String>, MailError> {
        let goes = |text: &str| {
            let member = Member::read(text)?;
            member.ours.as_ref().is_some_and(|ours| !stays(&member.name, ours)).then_some(member.name)
        };
        // To look costs nobody anything; the lock does.
        let Some(config) = self.text()? else { return Ok(Vec::new()) };
        if !self.entries(&config)?.iter().any(|member| goes(member.get()).is_some()) {
            return Ok(Vec::new());
        }
        let mut gone = Vec::new();
        self.change(|members| {
            gone = members.iter().filter_map(|text| goes(text)).collect();
            members.retain(|text| goes(text).is_none());
            Ok(())
        })?;
        Ok(gone)
    }

    /// Says whether an agent of ours is at work; answers whether it is a member.
    pub(super) fn set_active(&self, agent: &AgentId, activity: Activity) -> Result<bool, MailError> {
        let active = if activity == Activity::Active { "true" } else { "false" };
        let mut is_there = false;
        self.change(|members| {
            is_there = members.iter().any(|text| ours(text).is_some_and(|ours| ours.agent_id == *agent));
            for member in members.iter_mut().filter(|text| ours(text).is_some_and(|ours| ours.agent_id == *agent)) {
                *member = splice::set(member, "isActive", active).expect("it is an object");
            }
            Ok(())
        })?;
        Ok(is_there)
    }

    /// Changes the members; everything else in the file, and what is not changed of them, stays as it is to the byte.
    fn change(&self, mut act: impl FnMut(&mut Vec<String>) -> Result<(), MailError>) -> Result<(), MailError> {
        if !self.path.exists() {
            return Err(self.no_team());
        }
        holding(&self.path, Missing::Leave, self.patience, |held| {
            let config = self.text()?.ok_or_else(|| self.no_team())?;
            let old: Vec<String> = self.entries(&config)?.iter().map(|member| member.get().to_owned()).collect();
            let mut new = old.clone();
            act(&mut new)?;
            if new == old {
                return Ok(());
            }
            let members = splice::array(new.iter().map(String::as_str));
            let changed = splice::set(&config, "members", &members);
            held.replace(&changed.ok_or_else(|| Stop::from(self.unusable("it is no JSON object")))?)
        })
    }

    fn text(&self) -> Result<Option<String>, MailError> {
        match look(&self.path, |text| Fields::of(text).is_some())? {
            Looked::Whole(config) => Ok(Some(config)),
            Looked::Absent => Ok(None),
            Looked::Broken => Err(self.unusable("it is no JSON object")),
        }
    }

    /// Its members, whatever they are; a file without any is a team without any.
    fn entries<'a>(&self, config: &'a str) -> Result<Vec<&'a RawValue>, MailError> {
        match Fields::of(config).and_then(|fields| fields.get("members")) {
            None => Ok(Vec::new()),
            Some(members) => splice::elements(members.get()).map_err(|_| self.unusable("its \"members\" is no array")),
        }
    }

    /// Why nothing can be written to a team that is not there.
    pub(super) fn no_team(&self) -> MailError {
        match self.team.is_of_session() {
            true => MailError::TeamGone(self.team.clone()),
            false => MailError::NoTeam { team: self.team.clone(), config: self.path.clone() },
        }
    }

    fn unusable(&self, why: &str) -> MailError {
        MailError::Roster { path: self.path.clone(), why: why.to_owned() }
    }
}

fn ours(member: &str) -> Option<Ours> {
    Member::read(member)?.ours
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Team;
    use std::fs;

    /// As Claude Code writes it, with fields that we do not know.
    const CLAUDES: &str = r#"{
  "name": "tests",  "createdAt": 1770765919076.0,
  "members": [
    { "agentId": "team-lead@tests", "name": "team-lead", "joinedAt": 1, "later": [1.50] },
    7,
    {"agentId": "c1@tests", "name": "c1", "isActive": false, "subscriptions": []}
  ],
  "leadProcess": {"pid": 7}
}
"#;

    fn roster(config: &str) -> (tempfile::TempDir, Roster) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        fs::write(&path, config).unwrap();
        (dir, Roster { team: TeamName::parse("tests").unwrap(), path, patience: Duration::from_millis(50) })
    }

    fn new(name: &str, agent: &AgentId) -> NewMember {
        NewMember {
            name: AgentName::parse(name).unwrap(),
            agent: agent.clone(),
            team: Team::parse("our-team").unwrap(),
            agent_type: "codex".into(),
            model: "gpt".into(),
            prompt: None,
            color: "blue".into(),
            cwd: "/work".into(),
        }
    }

    fn names(roster: &Roster) -> Vec<String> {
        roster.members().unwrap().unwrap().into_iter().map(|member| member.name).collect()
    }

    fn lead() -> Lead {
        let name = MemberName::parse("team-lead").unwrap();
        Lead { name, session_id: Some("s".into()), model: "m".into(), cwd: "/work".into() }
    }

    #[test]
    fn who_joins_and_leaves_leaves_no_trace_and_changes_no_other_byte() {
        let (dir, roster) = roster(CLAUDES);
        let (one, two) = (AgentId::new(), AgentId::new());
        roster.join(&new("arch", &one)).unwrap();
        roster.join(&new("dev", &two)).unwrap();
        assert_eq!(names(&roster), ["team-lead", "c1", "arch", "dev"]);
        let kept = |part: &str| assert!(fs::read_to_string(&roster.path).unwrap().contains(part), "{part}");
        let parts =
            CLAUDES.split(['\n', '[', ']']).map(|part| part.trim().trim_end_matches(',')).filter(|part| part.len() > 1);
        parts.for_each(kept);
        roster.leave(&one).unwrap();
        roster.leave(&two).unwrap();
        let (_other, untouched) = self::roster(CLAUDES);
        let both = [&roster, &untouched].map(|roster| fs::read_to_string(&roster.path).unwrap());
        let blank = |text: &str| text.replace([' ', '\n'], "");
        assert_eq!(blank(&both[0]), blank(&both[1]));
        let mut left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["config.json", "config.lock"]);
    }

    #[test]
    fn a_member_of_ours_has_what_claude_and_atm_need_and_is_known_again() {
        let (_dir, roster) = roster(CLAUDES);
        let agent = AgentId::new();
        roster.join(&new("arch", &agent)).unwrap();
        roster.set_active(&agent, Activity::Idle).unwrap();
        let config: serde_json::Value = serde_json::from_slice(&fs::read(&roster.path).unwrap()).unwrap();
        let mut member = config["members"][3].clone();
        assert!(member["joinedAt"].take().as_i64().unwrap() > 1_700_000_000_000);
        let expected = serde_json::json!({
            "agentId": "arch@tests", "name": "arch", "agentType": "codex", "model": "gpt", "color": "blue",
            "planModeRequired": false, "joinedAt": null, "tmuxPaneId": "", "cwd": "/work", "subscriptions": [],
            "backendType": "in-process", "isActive": false,
            "atm": {"v": 1, "team": "our-team", "agent_id": agent},
        });
        assert_eq!(member, expected);
        let read = roster.members().unwrap().unwrap().pop().unwrap();
        assert_eq!((read.active, read.ours.unwrap().agent_id), (Some(false), agent));
    }

    #[test]
    fn a_name_that_another_has_is_not_taken_and_our_own_is_taken_over() {
        let (_dir, roster) = roster(CLAUDES);
        let error = roster.join(&new("c1", &AgentId::new())).unwrap_err();
        assert!(error.to_string().contains("another member called c1"), "{error}");
        assert_eq!(fs::read_to_string(&roster.path).unwrap(), CLAUDES);
        let next = AgentId::new();
        roster.join(&new("arch", &AgentId::new())).unwrap();
        roster.join(&new("arch", &next)).unwrap();
        let strangers = NewMember { team: Team::parse("other-team").unwrap(), ..new("arch", &AgentId::new()) };
        assert!(matches!(roster.join(&strangers), Err(MailError::NameTaken { .. })));
        assert_eq!(roster.members().unwrap().unwrap()[2].ours.as_ref().unwrap().agent_id, next);
        assert_eq!(names(&roster), ["team-lead", "c1", "arch"]);
    }

    #[test]
    fn only_members_of_ours_that_are_dead_are_taken_out() {
        let (_dir, roster) = roster(CLAUDES);
        for name in ["arch", "dev"] {
            roster.join(&new(name, &AgentId::new())).unwrap();
        }
        assert_eq!(
            roster.remove_ours(&|name, ours| name == "dev" && ours.team.as_str() == "our-team").unwrap(),
            ["arch"]
        );
        assert_eq!(names(&roster), ["team-lead", "c1", "dev"]);
        assert_eq!(roster.remove_ours(&|_, _| true).unwrap(), [""; 0]);
    }

    #[test]
    fn a_config_that_is_not_what_it_should_be_is_left_as_it_is() {
        for (config, why) in [
            ("", "no JSON object"),
            ("{\"na", "no JSON object"),
            ("[]", "no JSON object"),
            (r#"{"members":{}}"#, "no array"),
        ] {
            let (_dir, roster) = roster(config);
            for error in [roster.members().unwrap_err(), roster.join(&new("arch", &AgentId::new())).unwrap_err()] {
                assert!(error.to_string().contains(why) && error.to_string().contains("config.json"), "{error}");
            }
            assert_eq!(fs::read_to_string(&roster.path).unwrap(), config);
        }
        let (_dir, roster) = roster(r#"{"name":"tests","x":1.0}"#);
        assert_eq!(names(&roster), [""; 0]);
        roster.join(&new("arch", &AgentId::new())).unwrap();
        assert_eq!(names(&roster), ["arch"]);
        assert!(fs::read_to_string(&roster.path).unwrap().starts_with(r#"{"name":"tests","x":1.0,"members":["#));
    }

    #[test]
    fn a_person_joins_once_under_a_name_of_its_own_and_leaves() {
        let (dir, roster) = roster(CLAUDES);
        let person = |name: &str| Person { name: AgentName::parse(name).unwrap(), cwd: "/work".into() };
        roster.join(&new("arch", &AgentId::new())).unwrap();
        assert_eq!([(); 2].map(|()| roster.join_person(&person("sam")).unwrap()), [true, false]);
        for taken in ["c1", "arch", "team-lead"] {
            assert!(matches!(roster.join_person(&person(taken)), Err(MailError::NameTaken { .. })), "{taken}");
        }
        let sam = roster.members().unwrap().unwrap().pop().unwrap();
        assert_eq!((sam.name.as_str(), sam.agent_type.as_deref(), sam.is_person), ("sam", Some("human"), true));
        assert!(sam.ours.is_none(), "no agent of ours");
        for name in ["c1", "arch", "nobody", "sam"] {
            roster.leave_person(&AgentName::parse(name).unwrap()).unwrap();
        }
        assert_eq!(names(&roster), ["team-lead", "c1", "arch"]);
        let roster = Roster { path: dir.path().join("none/config.json"), ..roster };
        assert!(matches!(roster.join_person(&person("sam")), Err(MailError::NoTeam { .. })));
    }

    #[test]
    fn a_lead_of_another_name_joins_a_team_that_is_there_once() {
        let (_dir, roster) =
            roster(r#"{"name":"tests","leadAgentId":"team-lead@tests","members":[{"name":"team-lead"}]}"#);
        let boss = Lead { name: MemberName::parse("boss").unwrap(), ..lead() };
        for lead in [boss.clone(), boss, lead()] {
            roster.create(&lead).unwrap();
        }
        assert_eq!(names(&roster), ["boss", "team-lead"]);
        assert!(fs::read_to_string(&roster.path).unwrap().contains(r#""leadAgentId":"team-lead@tests""#));
    }

    #[test]
    fn a_team_is_made_once_with_its_lead_and_a_sessions_never() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("teams").join("tests").join("config.json");
        let roster = Roster { team: TeamName::parse("tests").unwrap(), path, patience: Duration::from_secs(30) };
        assert!(roster.members().unwrap().is_none());
        assert!(matches!(roster.join(&new("arch", &AgentId::new())), Err(MailError::NoTeam { .. })));
        assert!(!dir.path().join("teams").exists(), "nothing is touched before the team is made");
        std::thread::scope(|scope| {
            for n in 0..4 {
                let name = format!("a{n}");
                let roster = &roster;
                scope.spawn(move || {
                    roster.create(&lead()).unwrap();
                    roster.join(&new(&name, &AgentId::new())).unwrap();
                });
            }
        });
        let mut names = names(&roster);
        names.sort();
        assert_eq!(names, ["a0", "a1", "a2", "a3", "team-lead"]);
        let config: serde_json::Value = serde_json::from_slice(&fs::read(&roster.path).unwrap()).unwrap();
        assert_eq!((&config["leadAgentId"], &config["leadSessionId"]), (&"team-lead@tests".into(), &"s".into()));
        let lead_member = &config["members"][0];
        assert_eq!((&lead_member["tmuxPaneId"], &lead_member["agentType"]), (&"leader".into(), &"team-lead".into()));
        let session = Roster {
            team: TeamName::parse("session-6075f866").unwrap(),
            path: dir.path().join("s/config.json"),
            ..roster
        };
        assert!(matches!(session.create(&lead()), Err(MailError::TeamGone(_))));
        assert!(!dir.path().join("s").exists());
    }
}
