//! What the members of a team can have done with its mail.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::args::{BroadcastArgs, SendArgs};
use super::people::{self, Presence};
use super::refusal::Refusal;
use crate::home::TeamDir;
use crate::ids::{Address, AgentName, MemberName, TeamName};
use crate::journal::{Entry, Journal, masked};
use crate::mail::frame::is_urgent;
use crate::mail::{Copy, Draft, Ledger, MailError, Post, SentLine, Teams, Urgency};
use crate::session::{Caller, Record};

/// How often somebody may write to everybody.
const BROADCAST_EVERY: Duration = Duration::from_secs(60);
/// To how many at once.
const BROADCAST_MAX: usize = 20;
/// How much of all messages together a client's model is shown, in bytes.
const MODEL_ROOM: usize = 58_000;
/// How long a summary may be, in characters.
const SUMMARY_MAX: usize = 200;

/// Who speaks; the counter knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Speaker {
    /// The client.
    Lead,
    /// The agent whose thread it is.
    Agent(Caller),
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// For a model.
    pub text: String,
    /// The same for a program.
    pub value: Value,
}

/// The team's post office; clones share it.
#[derive(Clone)]
pub struct Office {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) teams: Teams,
    pub(super) dir: TeamDir,
    lead: AgentName,
    journal: Journal,
    pub(super) ledger: Ledger,
    /// How much of all messages together the client is shown, in bytes.
    pub(super) client_room: usize,
    /// When each speaker has written to everybody, or has begun to, by a clock that does not jump.
    broadcasts: Mutex<HashMap<String, Instant>>,
}

impl fmt::Debug for Office {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Office").field("teams", &self.inner.teams).finish_non_exhaustive()
    }
}

impl Office {
    /// That of these teams; records and what else is kept is in `dir`.
    pub fn new(teams: Teams, dir: TeamDir, lead: AgentName, journal: Journal) -> Office {
        Office::with_room(MODEL_ROOM, teams, dir, lead, journal)
    }

    /// The same for a person as the client, who reads all of a letter.
    pub fn of_person(teams: Teams, dir: TeamDir, name: AgentName, journal: Journal) -> Office {
        Office::with_room(usize::MAX, teams, dir, name, journal)
    }

    fn with_room(client_room: usize, teams: Teams, dir: TeamDir, lead: AgentName, journal: Journal) -> Office {
        let (ledger, broadcasts) = (Ledger::of(&dir), Mutex::default());
        Office { inner: Arc::new(Inner { teams, dir, lead, journal, ledger, client_room, broadcasts }) }
    }

    /// What the client is called.
    pub fn lead(&self) -> &AgentName {
        &self.inner.lead
    }

    /// A hint at a member of a team, not an agent of ours, that is called so: mail to that name is its mail.
    pub fn member_called(&self, name: &AgentName) -> Option<String> {
        let (teams, name) = (&self.inner.teams, MemberName::from(name));
        let has_it = |post: &&Arc<dyn Post>| people::has_namesake(teams, &***post, &name).unwrap_or(false);
        teams.all().find(has_it).map(|post| {
            format!(
                "The team {} has a member {name} that is none of our agents: mail to {name} there is that member's, and this \
                 agent neither gets nor sends any there. Another identity gives it mail.",
                post.team()
            )
        })
    }

    /// Sends a message to one member.
    pub async fn send(&self, speaker: &Speaker, args: SendArgs) -> Result<Answer, Refusal> {
        let (inner, says) = (self.inner.clone(), speaker.clone());
        // It is written down where it is done, for by then the caller may have gone.
        off_the_loop(move || {
            let sent = inner.send(&says, &args);
            let id = sent.as_ref().ok().and_then(|answer| answer.value["message_id"].as_str());
            let (to, text) = (args.to.as_deref(), args.message.as_deref());
            inner.note(&says, Entry { action: "send", to, id, text, ..Entry::default() }, &sent);
            sent
        })
        .await
    }

    /// Sends a message to every other member of a team.
    pub async fn broadcast(&self, speaker: &Speaker, args: BroadcastArgs) -> Result<Answer, Refusal> {
        let (inner, says) = (self.inner.clone(), speaker.clone());
        off_the_loop(move || {
            let sent = inner.broadcast(&says, &args);
            let (to, id) = (listed(&sent, "sent", "to"), listed(&sent, "sent", "message_id"));
            let (to, id, text) = (to.as_deref(), id.as_deref(), args.message.as_deref());
            inner.note(&says, Entry { action: "broadcast", to, id, text, ..Entry::default() }, &sent);
            sent
        })
        .await
    }

    /// Refuses an agent that was closed.
    pub(super) async fn is_open(&self, caller: &Caller) -> Result<(), Refusal> {
        let (inner, Caller { agent, name }) = (self.inner.clone(), caller.clone());
        off_the_loop(move || match Record::load(&inner.dir, &agent) {
            Ok(Some(record)) if !record.closed => Ok(()),
            Ok(_) => Err(Refusal::new(
                "SESSION_CLOSED",
                format!(
                    "the agent {name} was closed, so nobody writes or reads for it: its lead continues it with codex \
                     {{\"agent_id\": \"{agent}\", \"prompt\": …}}"
                ),
            )),
            Err(why) => Err(Refusal::new("FILES", why)),
        })
        .await
    }

    /// Writes down that a call came to nothing before it was understood.
    pub fn refused(&self, speaker: &Speaker, action: &str, refusal: &Refusal) {
        self.inner.note(speaker, Entry { action, ..Entry::default() }, &Err(refusal.clone()));
    }
}

impl Inner {
    pub(super) fn name(&self, speaker: &Speaker) -> MemberName {
        MemberName::from(match speaker {
            Speaker::Lead => &self.lead,
            Speaker::Agent(caller) => &caller.name,
        })
    }

    /// Writes down what a speaker had done, and what came of it.
    pub(super) fn note(&self, speaker: &Speaker, entry: Entry<'_>, done: &Result<Answer, Refusal>) {
        let who = self.name(speaker);
        let result = done.as_ref().map_or_else(|refusal| refusal.message.as_str(), |answer| answer.text.as_str());
        let agent = matches!(speaker, Speaker::Agent(_)).then_some(who.as_str());
        self.journal.note(Entry { agent, who: who.as_str(), result, ..entry });
    }

    fn send(&self, speaker: &Speaker, args: &SendArgs) -> Result<Answer, Refusal> {
        let from = &self.name(speaker);
        let to = wanted(args.to.as_deref(), "to", "name a member of the team")?;
        let to = Address::parse(to).map_err(|error| Refusal::argument(format!("argument to: {error}")))?;
        let text = wanted(args.message.as_deref(), "message", "say something")?;
        let own = self.teams.own().team();
        let found = match to.team.as_ref().is_none_or(|team| team == own) {
            true => people::agent(&self.dir, &to.name)?,
            false => None,
        };
        let (closed, agent): (Option<Record>, Option<Record>) =
            if found.as_ref().is_some_and(|record| record.closed) { (found, None) } else { (None, found) };
        if to.name == *from && to.team.as_ref().is_none_or(|team| team == own) {
            return Err(MailError::Oneself(to.name).into());
        }
        let post = self.teams.route(&to, agent.is_some())?;
        // Somebody else may be called as it was.
        if let Some(Record { agent_id, .. }) = closed
            && let Some(member) = post.roster()?.into_iter().find(|member| member.name == to.name.as_str())
            && member.ours.is_some_and(|ours| ours.agent_id == agent_id)
        {
            let why = format!("{} was closed: continue it with codex {{\"agent_id\": \"{agent_id}\"}} first", to.name);
            return Err(Refusal::new("UNKNOWN_RECIPIENT", why));
        }
        let presence = Presence::of(agent.as_ref(), &self.dir);
        if let Some(record) = &agent
            && post.team() == own
        {
            people::admit(&*post, record, presence)?;
        }
        let draft = self.draft(speaker, &*post, text, args.summary.as_deref())?;
        let sent = post.send(&to.name, std::slice::from_ref(&draft)).map_err(|error| match error {
            MailError::UnknownRecipient { to, team, .. } if team == *own || Some(&team) == self.session_team() => {
                let known = people::known(&self.teams, &self.dir, from.as_str());
                Refusal::nobody(&to, &known)
            }
            other => other.into(),
        })?;
        let id = sent.ids.into_iter().next().ok_or_else(|| Refusal::new("FILES", "nothing was written"))?;
        let sender = Address { name: from.clone(), team: None };
        let line = SentLine::now(id.clone(), &sender, to.name.to_string(), post.team().clone(), &begins(text));
        self.ledger.sent(std::slice::from_ref(&line));
        let aside =
            sent.set_aside.map(|path| format!(" Its inbox was broken; what stood there is now {}.", path.display()));
        let said = format!("Sent to {}, which {}.{}", to.name, presence.outlook(), aside.unwrap_or_default());
        let value = json!({
            "message_id": id, "to": to.name, "team": post.team(), "recipient": presence.word(), "content": said,
        });
        Ok(Answer { text: said, value })
    }

    fn broadcast(&self, speaker: &Speaker, args: &BroadcastArgs) -> Result<Answer, Refusal> {
        let from = &self.name(speaker);
        let text = wanted(args.message.as_deref(), "message", "say something")?;
        let post = match &args.team {
            Some(team) => {
                let team =
                    TeamName::parse(team).map_err(|error| Refusal::argument(format!("argument team: {error}")))?;
                let anybody = Address { name: from.clone(), team: Some(team) };
                self.teams.route(&anybody, false)?
            }
            None => match self.teams.session() {
                Some(session) => session.clone(),
                None => self.teams.own().clone(),
            },
        };
        if post.team() == self.teams.own().team() {
            self.admit_running(from)?;
        }
        let draft = self.draft(speaker, &*post, text, args.summary.as_deref())?;
        let is_self = |name: &str| draft.from.team.is_none() && draft.from.name.as_str() == name;
        let others = post.roster()?.iter().filter(|member| !is_self(&member.name)).count();
        if others > BROADCAST_MAX {
            return Err(Refusal::new(
                "RATE_LIMITED",
                format!("{others} would be written to, at most {BROADCAST_MAX} may be: send to those whom it concerns"),
            ));
        }
        if others == 0 {
            let known = people::known(&self.teams, &self.dir, from.as_str());
            return Err(Refusal::new(
                "UNKNOWN_RECIPIENT",
                format!("the team {} has nobody else; {known}. Leave team out, or name another one", post.team()),
            ));
        }
        self.not_too_often(from)?;
        let copies = post.broadcast(&draft);
        if !copies.as_ref().is_ok_and(|copies| copies.iter().any(|copy| copy.sent.is_ok())) {
            // What nobody got does not count.
            self.broadcasts().remove(from.as_str());
        }
        let copies = copies?;
        let sender = Address { name: from.clone(), team: None };
        let begins = begins(text);
        let line = |copy: &Copy| {
            let id = copy.sent.as_ref().ok()?.ids.first()?.clone();
            Some(SentLine::now(id, &sender, copy.to.clone(), post.team().clone(), &begins).of_broadcast())
        };
        let lines: Vec<SentLine> = copies.iter().filter_map(line).collect();
        self.ledger.sent(&lines);
        let failed: Vec<String> =
            copies.iter().filter_map(|copy| Some(format!("{}: {}", copy.to, copy.sent.as_ref().err()?))).collect();
        if lines.is_empty() {
            return Err(Refusal::new("FILES", format!("nobody got it: {}", failed.join("; "))));
        }
        let sent: Vec<&str> = lines.iter().map(|line| line.to.as_str()).collect();
        let but = if failed.is_empty() { String::new() } else { format!(" Not to {}.", failed.join("; ")) };
        let said = format!("Sent to {} of the team {}: {}.{but}", sent.len(), post.team(), sent.join(", "));
        let value = json!({ "sent": lines.iter().map(|line| json!({"to": line.to, "message_id": line.id})).collect::<Vec<_>>(),
            "failed": failed, "team": post.team(), "content": said });
        Ok(Answer { text: said, value })
    }

    fn not_too_often(&self, from: &MemberName) -> Result<(), Refusal> {
        // The ledger knows those of other processes and of earlier ones. A time in the future, of a clock that has jumped back
        // since, says nothing.
        let elsewhere = self.ledger.last_broadcast(&Address { name: from.clone(), team: None });
        let elsewhere = elsewhere.and_then(|at| Duration::try_from(Timestamp::now().duration_since(at)).ok());
        let mut broadcasts = self.broadcasts();
        let now = Instant::now();
        let here = broadcasts.get(from.as_str()).map(|last| now - *last);
        let latest = here.into_iter().chain(elsewhere).min();
        if let Some(left) = latest.and_then(|ago| BROADCAST_EVERY.checked_sub(ago))
            && !left.is_zero()
        {
            let secs = left.as_secs() + 1;
            return Err(Refusal::new(
                "RATE_LIMITED",
                format!("you wrote to everybody a moment ago: again in {secs} s"),
            ));
        }
        broadcasts.insert(from.to_string(), now);
        Ok(())
    }

    fn broadcasts(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.broadcasts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sees to it that our agents which run are members of our team, as they are about to be anyway.
    fn admit_running(&self, but: &MemberName) -> Result<(), Refusal> {
        let open = Record::all(&self.dir)?.into_iter().filter(|record| !record.closed);
        for record in open.filter(|record| record.identity.as_str() != but.as_str()) {
            let presence = Presence::of(Some(&record), &self.dir);
            if matches!(presence, Presence::Here | Presence::Elsewhere) {
                self.teams.make_own()?;
                people::admit(&**self.teams.own(), &record, presence)?;
            }
        }
        Ok(())
    }

    fn draft(&self, speaker: &Speaker, post: &dyn Post, text: &str, summary: Option<&str>) -> Result<Draft, MailError> {
        Ok(Draft {
            from: self.sender(speaker, post)?,
            text: text.to_owned(),
            summary: summary.map(|summary| summary.chars().take(SUMMARY_MAX).collect()),
            color: None,
            urgency: if is_urgent(None, text) { Urgency::Urgent } else { Urgency::Normal },
        })
    }

    /// Who the speaker is to the members of that team: nobody whom they could take for another.
    fn sender(&self, speaker: &Speaker, post: &dyn Post) -> Result<Address, MailError> {
        let (own, name) = (self.teams.own().team(), self.name(speaker));
        let (is_own, is_session) = (post.team() == own, Some(post.team()) == self.session_team());
        let has_namesake = match speaker {
            Speaker::Agent(_) if is_own || is_session => people::has_namesake(&self.teams, post, &name)?,
            Speaker::Agent(_) | Speaker::Lead => false,
        };
        match speaker {
            Speaker::Agent(_) if is_own && has_namesake => Err(MailError::NameTaken { name, team: own.clone() }),
            Speaker::Lead if is_session => Ok(Address { name: people::session_lead(), team: None }),
            // Where they do not know us, they are told where we are.
            _ if has_namesake || !(is_own || is_session) => Ok(Address { name, team: Some(own.clone()) }),
            _ => Ok(Address { name, team: None }),
        }
    }

    fn session_team(&self) -> Option<&TeamName> {
        self.teams.session().map(|session| session.team())
    }
}

fn wanted<'a>(given: Option<&'a str>, argument: &str, what: &str) -> Result<&'a str, Refusal> {
    given
        .filter(|given| !given.trim().is_empty())
        .ok_or_else(|| Refusal::argument(format!("argument {argument}: it is missing or blank; {what}")))
}

/// What is kept of a message.
fn begins(text: &str) -> String {
    masked(text, SentLine::BEGINS_MAX)
}

/// One word of each of these in an answer, as a list.
pub(super) fn listed(done: &Result<Answer, Refusal>, of: &str, word: &str) -> Option<String> {
    let all = done.as_ref().ok()?.value[of].as_array()?;
    let words: Vec<&str> = all.iter().filter_map(|one| one[word].as_str()).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

/// What reads and writes files runs on a thread of its own.
pub(super) async fn off_the_loop<T: Send + 'static>(
    act: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(act).await.map_err(|error| Refusal::new("INTERNAL", error.to_string()))?
}
