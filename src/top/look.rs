//! What the files say of the agents: records, locks, queues, inboxes, audits.

use std::collections::HashMap;
use std::path::PathBuf;

use super::model::Row;
use crate::home::Home;
use crate::ids::{AgentId, AgentName, MemberName, Team, TeamName};
use crate::journal::{Reader, Told};
use crate::mail::{ClaudePost, Post};
use crate::queue::{Limits, Queue};
use crate::session::Record;
use crate::session::identity::Lock;

/// How much of an audit is read at first, in bytes: some minutes of a busy team.
const BEFORE: u64 = 256 * 1024;

/// Whose agents are shown.
#[derive(Debug, Clone)]
pub enum Teams {
    /// Those of one.
    One(Team),
    /// Those of every team of which something is kept.
    All,
}

/// Where everything is.
#[derive(Debug, Clone)]
pub struct Place {
    /// The home.
    pub home: Home,
    /// Whose agents.
    pub teams: Teams,
    /// In whose name an agent is asked to end.
    pub lead: AgentName,
    /// What a queue takes.
    pub limits: Limits,
}

impl Place {
    /// The queue of an agent.
    pub(super) fn queue(&self, team: &Team, agent: &AgentId) -> Queue {
        Queue::at(self.home.team(team).queue(agent), self.limits)
    }

    /// The mail of a team.
    pub(super) fn post(&self, team: &Team) -> ClaudePost {
        ClaudePost::open(&self.home, &TeamName::from(team))
    }

    fn teams(&self) -> Vec<Team> {
        match &self.teams {
            Teams::One(team) => vec![team.clone()],
            Teams::All => self.home.teams().unwrap_or_default(),
        }
    }
}

/// What a look has shown.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) rows: Vec<Row>,
    /// How many agents were closed, and are not among them.
    pub(super) closed: usize,
    /// How many records cannot be read.
    pub(super) unreadable: usize,
    pub(super) noted: Vec<(Team, Told)>,
}

/// Looks again and again.
#[derive(Debug)]
pub(super) struct Look {
    place: Place,
    audits: HashMap<PathBuf, Reader>,
}

impl Look {
    pub(super) fn new(place: Place) -> Look {
        Look { place, audits: HashMap::new() }
    }

    /// One look. It blocks, and errors are nothing to be seen: what cannot be read may be read the next time.
    pub(super) fn look(&mut self) -> Seen {
        let (mut rows, mut closed, mut unreadable, mut noted) = (Vec::new(), 0, 0, Vec::new());
        for team in self.place.teams() {
            let dir = self.place.home.team(&team);
            let audit = self.audits.entry(dir.audit()).or_insert_with(|| Reader::of_the_end(dir.audit(), BEFORE));
            let lines = audit.read().unwrap_or_default();
            noted.extend(lines.iter().filter_map(|line| Some((team.clone(), Told::parse(line)?))));
            let post = self.place.post(&team);
            let (records, broken) =
                Record::look(&dir).unwrap_or_else(|error| (vec![], vec![(dir.agents_dir(), error.to_string())]));
            unreadable += broken.len();
            for record in records {
                let runs = Lock::is_held(&dir.agent_lock(&record.agent_id));
                if record.closed && !runs {
                    closed += 1;
                } else {
                    rows.push(self.row(&team, &post, record, runs));
                }
            }
        }
        rows.sort_by(|a, b| (&a.team, &a.name, &a.agent).cmp(&(&b.team, &b.name, &b.agent)));
        Seen { rows, closed, unreadable, noted }
    }

    fn row(&self, team: &Team, post: &ClaudePost, record: Record, runs: bool) -> Row {
        let depth = self.place.queue(team, &record.agent_id).depth().unwrap_or_default();
        let member = MemberName::from(&record.identity);
        let has_mail = post.inbox_path(&member).exists();
        Row {
            unread: if has_mail { post.count_unread(&member).unwrap_or(0) } else { 0 },
            waiting: depth.waiting,
            oldest: depth.oldest,
            runs,
            begun: record.created_at,
            opened: record.open_since(),
            team: team.clone(),
            agent: record.agent_id,
            name: record.identity,
            thread: record.thread_id,
            socket: record.socket,
            model: record.model,
            tokens: record.tokens.map(|tokens| tokens.total_tokens),
            last_active: record.last_active,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Text;
    use crate::session::ThreadOptions;

    #[test]
    fn a_look_shows_who_runs_what_waits_and_who_is_closed() {
        let root = tempfile::tempdir().unwrap();
        let home = Home::at(root.path());
        let record = |team: &str, name: &str| {
            let (name, team) = (AgentName::parse(name).unwrap(), Team::parse(team).unwrap());
            let record = Record::new(name, true, team.clone(), None, ThreadOptions::default());
            record.save(&home.team(&team)).unwrap();
            record
        };
        let (ana, ben, cat) = (record("red", "ana"), record("red", "ben"), record("blue", "cat"));
        Record { closed: true, ..ben }.save(&home.team(&ana.team)).unwrap();
        let _runs = Lock::take(&home.team(&ana.team).agent_lock(&ana.agent_id)).unwrap().unwrap();
        let lead = AgentName::parse("lead").unwrap();
        let place = |teams| Place { home: home.clone(), teams, lead: lead.clone(), limits: Limits::default() };
        let one = place(Teams::One(ana.team.clone()));
        let text = Text { text: "x".into(), ..Text::default() };
        one.queue(&ana.team, &ana.agent_id).enqueue(&text).unwrap();
        std::fs::write(home.team(&ana.team).agents_dir().join(format!("{}.json", uuid::Uuid::now_v7())), "{").unwrap();
        let seen = Look::new(one).look();
        assert_eq!(seen.unreadable, 1);
        let [row] = seen.rows.as_slice() else { panic!("one row: {seen:?}") };
        assert_eq!((row.name.as_str(), row.runs, row.waiting, row.unread, seen.closed), ("ana", true, 1, 0, 1));
        let seen = Look::new(place(Teams::All)).look();
        let names: Vec<_> = seen.rows.iter().map(|row| (row.team.as_str(), row.name.as_str(), row.runs)).collect();
        assert_eq!(names, [("blue", "cat", false), ("red", "ana", true)]);
        assert_eq!(seen.rows[0].agent, cat.agent_id);
    }
}
