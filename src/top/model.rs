//! All that the screen knows.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::path::PathBuf;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::asking::Asked;
use super::line::Line;
use crate::ids::{AgentId, AgentName, Team, ThreadId, TurnId};
use crate::journal::Told;
use crate::plain;
use crate::session::{Change, RequestId};

/// How many lines of an agent are kept.
const LINES_MAX: usize = 500;
/// How much of a line is kept, in characters: more than a screen has.
const LINE_MAX: usize = 4000;
/// How much is kept of what an agent does, in characters.
pub(super) const DOES_MAX: usize = 300;
/// How many changes are kept that may be asked about.
const CHANGES_MAX: usize = 64;
/// How much of a filter is taken, in bytes.
const FILTER_MAX: usize = 200;
/// How many seconds a bar of the throughput stands for, and how many bars are kept.
pub(super) const BAR_SECS: i64 = 5;
const BARS_MAX: usize = 360;
/// How long a word on what a key has done stays, in seconds, and how many characters of it one reads in a second.
const NOTICE_SECS: i64 = 8;
const READ_IN_A_SEC: i64 = 20;

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
    /// When it was begun, and when it was last opened after it had been closed.
    pub(super) begun: Timestamp,
    pub(super) opened: Timestamp,
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
    pub(super) asks: Vec<Asked>,
    /// What its items would change, by their ids: of that the asks do not speak.
    changes: HashMap<String, Vec<Change>>,
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

/// Whom a key is about, also when there is no such row any more.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Whom {
    pub(super) agent: AgentId,
    /// As people know it.
    pub(super) name: String,
}

/// An ask by which it is known.
pub(super) type Facing = (AgentId, RequestId);

/// What of the last picture the keys go by.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Drawn {
    /// What is asked in it.
    pub(super) ask: Option<Facing>,
    /// Whether the end of that is in it.
    pub(super) has_end: bool,
    /// How far the pane is scrolled: what is asked from its beginning, what was said from its end.
    pub(super) scroll: usize,
    /// By how much a page goes.
    pub(super) page: usize,
}

/// What the keys mean now.
#[derive(Debug, Clone)]
pub(super) enum Mode {
    /// Each is a command.
    Commands,
    /// They write what the rows are to have in them.
    Filter,
    /// They write what is said to the agent.
    Steer(Whom, Line),
    /// `y` does it.
    Confirm(Deed),
    /// Any goes back.
    Help,
}

/// What is asked about before it is done.
#[derive(Debug, Clone)]
pub(super) enum Deed {
    Interrupt(Whom, TurnId),
    Close(Whom),
}

/// All of it.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) teams: String,
    pub(super) is_of_all: bool,
    pub(super) now: Timestamp,
    zone: TimeZone,
    pub(super) rows: Vec<Row>,
    pub(super) closed: usize,
    pub(super) unreadable: usize,
    /// What is said to an agent may have so many bytes.
    pub(super) text_max: usize,
    pub(super) live: HashMap<AgentId, Live>,
    /// The last lines of the audit that concern somebody.
    pub(super) noted: HashMap<AgentId, VecDeque<String>>,
    /// How many lines came, by the number of their bar.
    pub(super) bars: BTreeMap<i64, u64>,
    /// Who was chosen last; only a key chooses somebody else.
    pub(super) chosen: Option<Whom>,
    pub(super) filter: Line,
    pub(super) mode: Mode,
    pub(super) notice: Option<(String, Timestamp)>,
    pub(super) scroll: usize,
    pub(super) drawn: Drawn,
    /// What is asked whose end has been on the screen.
    pub(super) read: Option<Facing>,
    /// Whether what was asked on the screen was decided elsewhere, and no key has been pressed since.
    pub(super) is_overtaken: bool,
}

impl Model {
    /// Nothing is known yet. `teams` is what is looked at, in words; a text for an agent has at most `text_max` bytes; times are
    /// told as where `now` is.
    pub(super) fn new(teams: String, is_of_all: bool, text_max: usize, now: Zoned) -> Model {
        Model {
            teams,
            is_of_all,
            now: now.timestamp(),
            zone: now.time_zone().clone(),
            rows: Vec::new(),
            closed: 0,
            unreadable: 0,
            text_max,
            live: HashMap::new(),
            noted: HashMap::new(),
            bars: BTreeMap::new(),
            chosen: None,
            filter: Line::of_at_most(FILTER_MAX),
            mode: Mode::Commands,
            notice: None,
            scroll: 0,
            drawn: Drawn::default(),
            read: None,
            is_overtaken: false,
        }
    }

    /// The rows that are shown.
    pub(super) fn shown(&self) -> impl Iterator<Item = &Row> {
        let filter = self.filter.text().to_lowercase();
        self.rows.iter().filter(move |row| {
            let model = row.model.as_deref().unwrap_or_default();
            [row.name.as_str(), row.team.as_str(), model, self.state(row).word()]
                .iter()
                .any(|text| text.to_lowercase().contains(&filter))
        })
    }

    /// The row that the keys are about.
    pub(super) fn chosen(&self) -> Option<&Row> {
        let agent = &self.chosen.as_ref()?.agent;
        self.shown().find(|row| row.agent == *agent)
    }

    /// Why nobody is chosen.
    pub(super) fn nobody(&self) -> String {
        let is_row = |whom: &Whom| self.row(&whom.agent).is_some();
        match &self.chosen {
            _ if self.rows.is_empty() && self.closed == 0 => "No agents yet.".to_owned(),
            _ if self.rows.is_empty() => {
                "No agents but closed ones: `atm-agent-mcp sessions --state closed` lists them.".to_owned()
            }
            _ if self.shown().next().is_none() => "No agent is like that.".to_owned(),
            Some(whom) if !is_row(whom) => format!("{} is gone; up and down choose another", whom.name),
            Some(whom) => format!("{} is not among these; up and down choose another", whom.name),
            None => "Up and down choose an agent.".to_owned(),
        }
    }

    /// What a row is called: of several of one name each has the end of its id.
    pub(super) fn whom(&self, row: &Row) -> Whom {
        let is_named_so = |other: &&Row| (&other.name, &other.team) == (&row.name, &row.team);
        let name = match self.rows.iter().filter(is_named_so).count() {
            0 | 1 => row.name.to_string(),
            _ => format!("{}~{}", row.name, row.agent.as_str().get(32..).unwrap_or_default()),
        };
        Whom { agent: row.agent.clone(), name }
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
        said.or_else(|| self.noted.get(&row.agent))
    }

    /// The bars of the last seconds, the newest last.
    pub(super) fn bars(&self, most: usize) -> Vec<u64> {
        let last = self.now.as_second().div_euclid(BAR_SECS);
        let first = last - i64::try_from(most).unwrap_or(0) + 1;
        (first..=last).map(|bar| self.bars.get(&bar).copied().unwrap_or(0)).collect()
    }

    pub(super) fn notice(&self) -> Option<&str> {
        let (text, at) = self.notice.as_ref()?;
        let stays = NOTICE_SECS + i64::try_from(text.len()).unwrap_or(0) / READ_IN_A_SEC;
        (self.now.duration_since(*at).as_secs() < stays).then_some(text)
    }

    pub(super) fn say(&mut self, text: impl Into<String>) {
        self.notice = Some((text.into(), self.now));
    }

    pub(super) fn count(&mut self, team: &Team, noted: &Told) {
        *self.bars.entry(noted.at.as_second().div_euclid(BAR_SECS)).or_default() += 1;
        while self.bars.len() > BARS_MAX {
            self.bars.pop_first();
        }
        let line = format!("{} {}", noted.at.to_zoned(self.zone.clone()).strftime("%H:%M:%S"), noted.line());
        let names: BTreeSet<&str> = noted.parties().collect();
        let agents = names.into_iter().filter_map(|name| self.of_that_name(team, name, noted.at));
        for agent in agents.collect::<Vec<_>>() {
            push(self.noted.entry(agent).or_default(), &line);
        }
    }

    /// Who had a name at that time: of several, who was opened last before it.
    fn of_that_name(&self, team: &Team, name: &str, at: Timestamp) -> Option<AgentId> {
        let named: Vec<&Row> = self.rows.iter().filter(|row| row.team == *team && row.name.as_str() == name).collect();
        let since = |row: &&&Row| if row.opened <= at { row.opened } else { row.begun };
        let then = named.iter().filter(|row| row.begun <= at).max_by_key(since);
        let only = named.first().filter(|_| named.len() == 1);
        then.or(only).map(|row| row.agent.clone())
    }

    /// A picture was drawn: from now on keys are pressed by somebody who sees it.
    pub(super) fn was_drawn(&mut self, drawn: Drawn) {
        if drawn.has_end {
            self.read.clone_from(&drawn.ask);
        }
        self.scroll = drawn.scroll;
        self.drawn = drawn;
    }

    /// It was decided here.
    pub(super) fn decided(&mut self, (agent, request): &Facing) {
        self.drawn.ask = None;
        if let Some(live) = self.live.get_mut(agent) {
            live.asks.retain(|asked| asked.request != *request);
        }
    }

    /// Whether that is still asked.
    pub(super) fn is_open(&self, (agent, request): &Facing) -> bool {
        self.live.get(agent).is_some_and(|live| live.asks.iter().any(|asked| asked.request == *request))
    }
}

impl Live {
    pub(super) fn add(&mut self, lines: Vec<String>) {
        lines.iter().for_each(|line| push(&mut self.lines, line));
    }

    /// It is about to change these files.
    pub(super) fn would_change(&mut self, item: &str, changes: &[Change]) {
        self.asks.iter_mut().for_each(|asked| asked.would_change(item, changes));
        if self.changes.len() < CHANGES_MAX {
            self.changes.insert(item.to_owned(), changes.to_vec());
        }
    }

    /// Somebody is to decide on it.
    pub(super) fn asked(&mut self, mut asked: Asked) {
        if let Some((item, changes)) = asked.item.clone().and_then(|item| self.changes.remove_entry(&item)) {
            asked.would_change(&item, &changes);
        }
        if self.asks.iter().all(|known| known.request != asked.request) {
            self.asks.push(asked);
        }
    }

    /// Its turn is over: nothing is to be decided, or changed, any more.
    pub(super) fn rests(&mut self) {
        self.asks.clear();
        self.changes.clear();
    }
}

/// Of what is foreign only so much is kept as can be seen, and nothing that moves a cursor.
fn push(lines: &mut VecDeque<String>, line: &str) {
    if lines.len() == LINES_MAX {
        lines.pop_front();
    }
    lines.push_back(plain::both_ends(line, LINE_MAX));
}
