//! All that the screen knows.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::path::PathBuf;

use jiff::Timestamp;

use super::line::Line;
use crate::ids::{AgentId, AgentName, Team, ThreadId, TurnId};
use crate::journal::Told;
use crate::session::{Ask, RequestId};

/// How many lines of an agent are kept.
const LINES_MAX: usize = 500;
/// How many seconds a bar of the throughput stands for, and how many bars are kept.
pub(super) const BAR_SECS: i64 = 5;
const BARS_MAX: usize = 360;
/// How long a word on what a key has done stays, in seconds.
const NOTICE_SECS: i64 = 8;

/// What the files say of one agent.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    /// Its team.
    pub(super) team: Team,
    /// Which.
    pub(super) agent: AgentId,
    /// Its name.
    pub(super) name: AgentName,
    /// Whether a server runs it now.
    pub(super) runs: bool,
    /// Its thread.
    pub(super) thread: Option<ThreadId>,
    /// Where its Codex listens, or did.
    pub(super) socket: Option<PathBuf>,
    /// Its model.
    pub(super) model: Option<String>,
    /// The tokens of its thread.
    pub(super) tokens: Option<u64>,
    /// When something last happened.
    pub(super) last_active: Timestamp,
    /// How many texts wait for it.
    pub(super) waiting: usize,
    /// Since when the oldest does.
    pub(super) oldest: Option<Timestamp>,
    /// How much of its mail is unread.
    pub(super) unread: usize,
}

/// What its Codex says, while somebody listens.
#[derive(Debug, Default)]
pub(super) struct Live {
    pub(super) turn: Option<(TurnId, Timestamp)>,
    pub(super) does: Option<String>,
    /// Since when nothing runs, as far as was heard.
    pub(super) idle_since: Option<Timestamp>,
    pub(super) asks: Vec<(RequestId, Ask)>,
    /// Whether somebody is to answer, whatever was heard of it.
    pub(super) waits: bool,
    pub(super) tokens: Option<u64>,
    /// How much of the context is full, in per cent.
    pub(super) context: Option<u64>,
    pub(super) lines: VecDeque<String>,
}

/// In what state an agent is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// No server runs it.
    Away,
    /// A server does; no more is known.
    Runs,
    /// Nothing to do.
    Idle,
    /// In a turn.
    Works,
    /// Somebody is to decide.
    Asks,
}

impl State {
    pub(super) fn word(self) -> &'static str {
        match self {
            State::Away => "away",
            State::Runs => "runs",
            State::Idle => "idle",
            State::Works => "works",
            State::Asks => "asks",
        }
    }
}

/// What the keys mean now.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Mode {
    /// Each is a command.
    Commands,
    /// They write what the rows are to have in them.
    Filter,
    /// They write what is said to the agent.
    Steer(AgentId, Line),
    /// `y` does it.
    Confirm(Deed),
    /// Any goes back.
    Help,
}

/// What is asked about before it is done.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Deed {
    Interrupt(AgentId, TurnId),
    Close(AgentId),
}

/// All of it.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) teams: String,
    pub(super) is_of_all: bool,
    pub(super) now: Timestamp,
    pub(super) rows: Vec<Row>,
    pub(super) closed: usize,
    pub(super) live: HashMap<AgentId, Live>,
    /// The last lines of the audit that concern somebody.
    pub(super) noted: BTreeMap<(Team, AgentName), VecDeque<String>>,
    /// How many lines came, by the number of their bar.
    pub(super) bars: BTreeMap<i64, u64>,
    pub(super) chosen: Option<AgentId>,
    pub(super) filter: Line,
    pub(super) mode: Mode,
    pub(super) notice: Option<(String, Timestamp)>,
}

impl Model {
    /// Nothing is known yet. `teams` is what is looked at, in words.
    pub(super) fn new(teams: String, is_of_all: bool, now: Timestamp) -> Model {
        Model {
            teams,
            is_of_all,
            now,
            rows: Vec::new(),
            closed: 0,
            live: HashMap::new(),
            noted: BTreeMap::new(),
            bars: BTreeMap::new(),
            chosen: None,
            filter: Line::default(),
            mode: Mode::Commands,
            notice: None,
        }
    }

    /// The rows that are shown.
    pub(super) fn shown(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| {
            let filter = self.filter.text().to_lowercase();
            let model = row.model.as_deref().unwrap_or_default();
            [row.name.as_str(), row.team.as_str(), model, self.state(row).word()]
                .iter()
                .any(|text| text.to_lowercase().contains(&filter))
        })
    }

    /// The row that the keys are about.
    pub(super) fn chosen(&self) -> Option<&Row> {
        self.shown().find(|row| Some(&row.agent) == self.chosen.as_ref())
    }

    pub(super) fn row(&self, agent: &AgentId) -> Option<&Row> {
        self.rows.iter().find(|row| row.agent == *agent)
    }

    pub(super) fn live(&self, row: &Row) -> Option<&Live> {
        self.live.get(&row.agent).filter(|_| row.runs)
    }

    pub(super) fn state(&self, row: &Row) -> State {
        match (row.runs, self.live(row)) {
            (false, _) => State::Away,
            (true, None) => State::Runs,
            (true, Some(live)) if live.waits || !live.asks.is_empty() => State::Asks,
            (true, Some(live)) if live.turn.is_some() => State::Works,
            (true, Some(_)) => State::Idle,
        }
    }

    /// Since when it is in that state.
    pub(super) fn since(&self, row: &Row) -> Timestamp {
        let live = self.live(row);
        let turn = live.and_then(|live| live.turn.as_ref()).map(|(_, since)| *since);
        turn.or(live.and_then(|live| live.idle_since)).unwrap_or(row.last_active)
    }

    /// The last lines of an agent: what it says and does, or what stands in the audit of it.
    pub(super) fn lines(&self, row: &Row) -> Option<&VecDeque<String>> {
        let said = self.live(row).map(|live| &live.lines).filter(|lines| !lines.is_empty());
        said.or_else(|| self.noted.get(&(row.team.clone(), row.name.clone())))
    }

    /// The bars of the last seconds, the newest last.
    pub(super) fn bars(&self, most: usize) -> Vec<u64> {
        let last = self.now.as_second().div_euclid(BAR_SECS);
        let first = last - i64::try_from(most).unwrap_or(0) + 1;
        (first..=last).map(|bar| self.bars.get(&bar).copied().unwrap_or(0)).collect()
    }

    pub(super) fn notice(&self) -> Option<&str> {
        let (text, at) = self.notice.as_ref()?;
        (self.now.duration_since(*at).as_secs() < NOTICE_SECS).then_some(text)
    }

    pub(super) fn say(&mut self, text: impl Into<String>) {
        self.notice = Some((text.into(), self.now));
    }

    pub(super) fn count(&mut self, team: &Team, noted: &Told) {
        *self.bars.entry(noted.at.as_second().div_euclid(BAR_SECS)).or_default() += 1;
        while self.bars.len() > BARS_MAX {
            self.bars.pop_first();
        }
        let line = format!("{} {}", noted.at.strftime("%H:%M:%S"), noted.line());
        let names: BTreeSet<AgentName> = noted.parties().filter_map(|name| AgentName::parse(name).ok()).collect();
        for name in names {
            push(self.noted.entry((team.clone(), name)).or_default(), line.clone());
        }
    }
}

impl Live {
    pub(super) fn add(&mut self, lines: Vec<String>) {
        lines.into_iter().for_each(|line| push(&mut self.lines, line));
    }
}

fn push(lines: &mut VecDeque<String>, line: String) {
    if lines.len() == LINES_MAX {
        lines.pop_front();
    }
    lines.push_back(line);
}
