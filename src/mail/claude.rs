//! The post on Claude Code's own files.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use super::entry::{self, Draft};
use super::inbox::Inbox;
use super::member::{Lead, Member, NewMember, Ours, Person};
use super::post::{Copy, Fate, Filter, Marked, Page, Post, Sent, Which};
use super::roster::{Activity, Roster};
use super::{MailError, archive};
use crate::home::{ClaudeTeam, Home, private_dir, private_dirs};
use crate::ids::{AgentId, AgentName, MemberName, MessageId, TeamName};

/// How long a file is waited for that another program holds: under load Claude Code has held one for 3.5 s (2.1.330).
const PATIENCE: Duration = Duration::from_secs(30);
/// How many members an error names.
const KNOWN_MAX: usize = 30;

/// The mail of one team in Claude Code's files.
#[derive(Debug)]
pub struct ClaudePost {
    home: Home,
    files: ClaudeTeam,
    roster: Roster,
}

impl ClaudePost {
    /// The post of this team, which need not be there; nothing is touched yet.
    pub fn open(home: &Home, team: &TeamName) -> ClaudePost {
        let files = home.claude_team(team);
        let roster = Roster { team: team.clone(), path: files.config(), patience: PATIENCE };
        ClaudePost { home: home.clone(), files, roster }
    }

    fn inbox(&self, of: &MemberName) -> Inbox {
        Inbox { path: self.files.inbox(of), patience: self.roster.patience }
    }

    /// Not more than is missing: the directory of a team that Claude deletes meanwhile is not made again.
    fn make_inboxes(&self) -> Result<(), MailError> {
        let dir = self.files.inboxes();
        if dir.parent() != self.roster.path.parent() {
            return private_dir(dir).map_err(MailError::files(dir));
        }
        match private_dirs().create(dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(MailError::files(dir)(error)),
            _ => Ok(()),
        }
    }

    fn is_self(&self, draft: &Draft, to: &MemberName) -> bool {
        draft.from.name == *to && draft.from.team.as_ref().is_none_or(|team| team == self.team())
    }
}

/// The members' names, for an error that somebody reads.
fn known(members: &[Member]) -> String {
    if members.is_empty() {
        return "no members".to_owned();
    }
    let mut names: Vec<&str> = members.iter().take(KNOWN_MAX).map(|member| member.name.as_str()).collect();
    if members.len() > KNOWN_MAX {
        names.push("…");
    }
    names.join(", ")
}

impl Post for ClaudePost {
    fn team(&self) -> &TeamName {
        &self.roster.team
    }

    fn exists(&self) -> bool {
        self.roster.path.exists()
    }

    fn create(&self, lead: &Lead) -> Result<(), MailError> {
        self.roster.create(lead)
    }

    fn roster(&self) -> Result<Vec<Member>, MailError> {
        Ok(self.roster.members()?.unwrap_or_default())
    }

    fn join(&self, new: &NewMember) -> Result<(), MailError> {
        self.roster.join(new)
    }

    fn leave(&self, agent: &AgentId) -> Result<(), MailError> {
        self.roster.leave(agent)
    }

    fn join_person(&self, person: &Person) -> Result<bool, MailError> {
        self.roster.join_person(person)
    }

    fn leave_person(&self, name: &AgentName) -> Result<(), MailError> {
        self.roster.leave_person(name)
    }

    fn remove_ours(&self, alive: &dyn Fn(&str, &Ours) -> bool) -> Result<Vec<String>, MailError> {
        self.roster.remove_ours(alive)
    }

    fn set_active(&self, agent: &AgentId, activity: Activity) -> Result<bool, MailError> {
        self.roster.set_active(agent, activity)
    }

    fn check_recipient(&self, to: &MemberName) -> Result<(), MailError> {
        let members = self.roster.members()?.ok_or_else(|| self.roster.no_team())?;
        let team = self.team().clone();
        if !members.iter().any(|member| member.name == to.as_str()) {
            return Err(MailError::UnknownRecipient { to: to.clone(), team, known: known(&members) });
        }
        let mut others = members.into_iter().filter(|member| member.name != to.as_str());
        match others.find(|other| to.shares_inbox_with(&other.name)) {
            Some(other) => Err(MailError::SharedInbox { to: to.clone(), other: other.name, team }),
            None => Ok(()),
        }
    }

    fn send(&self, to: &MemberName, drafts: &[Draft]) -> Result<Sent, MailError> {
        for draft in drafts {
            entry::check(draft)?;
            if self.is_self(draft, to) {
                return Err(MailError::Oneself(to.clone()));
            }
        }
        self.check_recipient(to)?;
        self.make_inboxes()?;
        let now = Timestamp::now();
        let ids: Vec<MessageId> = drafts.iter().map(|_| MessageId::next()).collect();
        let new: Vec<String> = drafts.iter().zip(&ids).map(|(draft, id)| entry::write(draft, id, now)).collect();
        let set_aside = self.inbox(to).append(&new, || self.check_recipient(to))?;
        Ok(Sent { ids, set_aside })
    }

    fn broadcast(&self, draft: &Draft) -> Result<Vec<Copy>, MailError> {
        entry::check(draft)?;
        let members = self.roster.members()?.ok_or_else(|| self.roster.no_team())?;
        let copies = members.into_iter().filter_map(|member| match MemberName::parse(&member.name) {
            Ok(to) if self.is_self(draft, &to) => None,
            Ok(to) => Some(Copy { sent: self.send(&to, std::slice::from_ref(draft)), to: member.name }),
            Err(error) => Some(Copy { sent: Err(error.into()), to: member.name }),
        });
        Ok(copies.collect())
    }

    fn read(&self, of: &MemberName, filter: &Filter) -> Result<Page, MailError> {
        let content = self.inbox(of).read()?;
        let mut messages = content.messages();
        messages.retain(|message| filter.takes(message));
        let total = messages.len();
        messages.drain(..total - filter.limit.map_or(total, |limit| limit.min(total)));
        Ok(Page { messages, total, set_aside: content.set_aside })
    }

    fn unread(&self, of: &MemberName, most: usize) -> Result<Page, MailError> {
        let mut page = self.read(of, &Filter { which: Which::Unread, ..Filter::default() })?;
        page.messages.truncate(most);
        Ok(page)
    }

    fn count_unread(&self, of: &MemberName) -> Result<usize, MailError> {
        Ok(self.unread(of, 0)?.total)
    }

    fn mark_read(&self, of: &MemberName, ids: &[MessageId]) -> Result<Marked, MailError> {
        let (marked, set_aside) = self.inbox(of).mark(ids, None)?;
        Ok(Marked { marked, set_aside })
    }

    fn mark_read_of_ours(&self, of: &AgentName, ids: &[MessageId]) -> Result<Marked, MailError> {
        let archive = self.home.mail_archive(self.team(), of);
        let (marked, set_aside) = self.inbox(&of.into()).mark(ids, Some(&archive))?;
        Ok(Marked { marked, set_aside })
    }

    fn fates(&self, to: &MemberName, ids: &[MessageId]) -> Result<Vec<Fate>, MailError> {
        let there = self.inbox(to).read()?.messages();
        let there: HashMap<&MessageId, bool> = there.iter().map(|message| (&message.id, message.read)).collect();
        let missing: HashSet<&MessageId> = ids.iter().filter(|id| !there.contains_key(id)).collect();
        let archived = match AgentName::parse(to.as_str()) {
            Ok(ours) if !missing.is_empty() => {
                let path = self.home.mail_archive(self.team(), &ours);
                archive::find(&path, &missing).map_err(MailError::files(&path))?
            }
            _ => HashSet::new(),
        };
        let fate = |id: &MessageId| match there.get(id) {
            Some(true) => Fate::Read,
            Some(false) => Fate::Unread,
            None if archived.contains(id) => Fate::Read,
            None => Fate::Gone,
        };
        Ok(ids.iter().map(fate).collect())
    }

    fn inbox_path(&self, of: &MemberName) -> PathBuf {
        self.files.inbox(of)
    }
}
