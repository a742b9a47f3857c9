//! The journal: what was done, a line of JSON each.
//!
//! Theory of operation. The journal is for people who ask later what happened; nothing goes by it, and nobody waits for it.
//! A line goes through a bounded channel to a thread that masks what looks like a secret, cuts each value and appends. If
//! the channel is full or the disk does not take a line, the line is dropped and counted, and the next that is written
//! says how many there were. Lines are not synced: a loss of power may take the last seconds.

mod log;
mod reading;
mod secrets;

pub use reading::{Reader, Told};
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use jiff::Timestamp;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::home::Home;
use crate::ids::Team;
use log::Log;

/// The version of the lines.
const VERSION: u32 = 1;
/// How much of a value is written, in characters.
const VALUE_MAX: usize = 200;
/// How much of ids is written, in characters: 200 of them, as many as one call reads.
const IDS_MAX: usize = 8 * 1024;
/// How much more is looked at, in characters: enough of a secret that begins in what is written to know it.
const LOOKED_AT_BEHIND: usize = 824;
/// How many lines wait for the disk; more are dropped.
const WAITING_MAX: usize = 1024;
/// How many lines are written at once.
const BATCH_MAX: usize = 64;
/// How long the end waits for the disk.
const CLOSE_MAX: Duration = Duration::from_secs(2);

const MIB: u64 = 1024 * 1024;
/// The size of `audit.jsonl`, and how many full ones are kept.
const AUDIT: (u64, u32) = (10 * MIB, 3);
/// The size of `events.jsonl`, and how many full ones are kept: as atm-agent-mcp 0.14.0 has them.
const EVENTS: (u64, u32) = (50 * MIB, 5);

/// Something done in the team: a line of its `audit.jsonl`. Of each value but the ids the first 200 characters are written.
#[derive(Debug, Clone, Copy, Default)]
pub struct Entry<'a> {
    /// The agent whom it concerns.
    pub agent: Option<&'a str>,
    /// Who did it.
    pub who: &'a str,
    /// What: the name of a tool, `deliver`, `mark` …
    pub action: &'a str,
    /// Who wrote what was delivered, as far as the message says.
    pub from: Option<&'a str>,
    /// To whom.
    pub to: Option<&'a str>,
    /// The id of the message or the turn; of several messages all ids, with commas.
    pub id: Option<&'a str>,
    /// What it said.
    pub text: Option<&'a str>,
    /// What came of it.
    pub result: &'a str,
}

/// Something that the program went through: a line of `events.jsonl`.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// How bad it is.
    pub level: tracing::Level,
    /// What: `transport_init`, `stdin_queue_drain` …
    pub action: &'a str,
    /// The agent whom it concerns.
    pub agent: Option<&'a str>,
    /// What came of it.
    pub result: Option<&'a str>,
    /// What went wrong.
    pub error: Option<&'a str>,
}

/// The journal of one team's server. Clones write to the same; what waits when the last one is dropped is still written.
#[derive(Debug, Clone)]
pub struct Journal {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    team: Team,
    lost: Arc<AtomicU64>,
    /// Taken out at the end.
    writer: Mutex<Option<Writer>>,
}

/// The thread that writes.
#[derive(Debug)]
struct Writer {
    lines: SyncSender<Line>,
    thread: JoinHandle<()>,
    ended: Receiver<Infallible>,
}

/// The first `most` characters of a text without what looks like a secret, as the journal writes them: for whoever else
/// keeps how a message begins.
pub fn masked(text: &str, most: usize) -> String {
    secrets::masked(&looked_at(text, most), most)
}

impl Journal {
    /// The journal of a team. Whether anything can be written is seen at the first line.
    pub fn open(home: &Home, team: &Team) -> Journal {
        let log = |path: PathBuf, (most, keep)| Log { path, most, keep };
        let logs = [log(home.team(team).audit(), AUDIT), log(home.events_file(), EVENTS)];
        let lost = Arc::new(AtomicU64::new(0));
        let writer = Writer::start(logs, Arc::clone(&lost));
        Journal { inner: Arc::new(Inner { team: team.clone(), lost, writer: Mutex::new(writer) }) }
    }

    /// Writes down what was done. Never waits: what there is no room for is dropped and counted.
    pub fn note(&self, entry: Entry<'_>) {
        let Entry { agent, who, action, from, to, id, text, result } = entry;
        let values = [
            ("agent", agent),
            ("who", Some(who)),
            ("action", Some(action)),
            ("from", from),
            ("to", to),
            ("id", id),
            ("text", text),
            ("result", Some(result)),
        ];
        self.inner.send(Kind::Audit, &values);
    }

    /// Writes down what the program went through, as [`Journal::note`] does.
    pub fn event(&self, event: Event<'_>) {
        let Event { level, action, agent, result, error } = event;
        let level = level.as_str().to_ascii_lowercase();
        let values = [
            ("level", Some(level.as_str())),
            ("source", Some(env!("CARGO_PKG_NAME"))),
            ("action", Some(action)),
            ("team", Some(self.inner.team.as_str())),
            ("agent", agent),
            ("result", result),
            ("error", error),
        ];
        self.inner.send(Kind::Event, &values);
    }

    /// Writes what waits, and ends: later lines are nothing. Blocks, two seconds at most.
    pub fn close(&self) {
        self.inner.close();
    }
}

impl Inner {
    fn send(&self, kind: Kind, values: &[(&'static str, Option<&str>)]) {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(writer) = writer.as_ref() else { return };
        let values =
            values.iter().filter_map(|(name, value)| Some((*name, looked_at((*value)?, most(name))))).collect();
        if writer.lines.try_send(Line { kind, at: Timestamp::now(), values, lost: 0 }).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn close(&self) {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Writer { lines, thread, ended }) = writer else { return };
        drop(lines);
        match ended.recv_timeout(CLOSE_MAX) {
            Err(RecvTimeoutError::Disconnected) => drop(thread.join()),
            Err(RecvTimeoutError::Timeout) => tracing::warn!("the disk does not take the last lines of the journal"),
            Ok(never) => match never {},
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

impl Writer {
    fn start(logs: [Log; 2], lost: Arc<AtomicU64>) -> Option<Writer> {
        let (lines, waiting) = sync_channel(WAITING_MAX);
        let (end, ended) = sync_channel(0);
        let [audit, events] = logs.map(|log| Appending { log, lost: Arc::clone(&lost), failed: false });
        let write = move || {
            // Dropped when the thread ends, however it does.
            let _end: SyncSender<Infallible> = end;
            write_all(&waiting, audit, events);
        };
        match thread::Builder::new().name("journal".to_owned()).spawn(write) {
            Ok(thread) => Some(Writer { lines, thread, ended }),
            Err(error) => {
                tracing::warn!(%error, "a journal that cannot be kept");
                None
            }
        }
    }
}

fn write_all(waiting: &Receiver<Line>, mut audit: Appending, mut events: Appending) {
    while let Ok(first) = waiting.recv() {
        let batch = std::iter::once(first).chain(waiting.try_iter().take(BATCH_MAX - 1));
        let (notes, others) = batch.partition(|line| line.kind == Kind::Audit);
        audit.append(notes);
        events.append(others);
    }
}

/// A log, and how it went.
struct Appending {
    log: Log,
    lost: Arc<AtomicU64>,
    /// Whether it went wrong the last time; it is said once.
    failed: bool,
}

impl Appending {
    fn append(&mut self, mut lines: Vec<Line>) {
        let Some(first) = lines.first_mut() else { return };
        first.lost = self.lost.swap(0, Ordering::Relaxed);
        let more = first.lost;
        let texts = lines.iter().map(|line| serde_json::to_string(line).expect("it has nothing but texts") + "\n");
        let rotated = self.log.rotate();
        let appended = self.log.append(texts.collect::<String>().as_bytes());
        if appended.is_err() {
            self.lost.fetch_add(more + lines.len() as u64, Ordering::Relaxed);
        }
        let failed = rotated.and(appended);
        if let Err(error) = &failed
            && !self.failed
        {
            tracing::warn!(file = %self.log.path.display(), %error, "a journal that cannot be written");
        }
        self.failed = failed.is_err();
    }
}

/// What of a text is needed to write its first `most` characters.
fn looked_at(text: &str, most: usize) -> String {
    text.chars().take(most + LOOKED_AT_BEHIND).collect()
}

/// How much of a value with this name is written, in characters.
fn most(name: &str) -> usize {
    if name == "id" { IDS_MAX } else { VALUE_MAX }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Audit,
    Event,
}

/// A line on its way; its values are masked when it is written.
#[derive(Debug)]
struct Line {
    kind: Kind,
    at: Timestamp,
    values: Vec<(&'static str, String)>,
    /// How many were dropped before it.
    lost: u64,
}

impl Serialize for Line {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut line = serializer.serialize_map(None)?;
        line.serialize_entry("v", &VERSION)?;
        line.serialize_entry("at", &self.at)?;
        for (name, value) in &self.values {
            line.serialize_entry(name, &secrets::masked(value, most(name)))?;
        }
        if self.lost > 0 {
            line.serialize_entry("lost", &self.lost)?;
        }
        line.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::fs;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Read {
        v: u32,
        at: Timestamp,
        agent: Option<String>,
        who: String,
        action: String,
        from: Option<String>,
        to: Option<String>,
        id: Option<String>,
        text: Option<String>,
        result: String,
        #[serde(default)]
        lost: u64,
    }

    struct Place {
        _dir: tempfile::TempDir,
        home: Home,
        team: Team,
    }

    fn place() -> Place {
        let dir = tempfile::tempdir().unwrap();
        Place { home: Home::at(dir.path()), team: Team::parse("core").unwrap(), _dir: dir }
    }

    impl Place {
        fn journal(&self) -> Journal {
            Journal::open(&self.home, &self.team)
        }

        fn audit(&self) -> Vec<Read> {
            let text = fs::read_to_string(self.home.team(&self.team).audit()).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        }

        /// What the writer's thread has, without the thread.
        fn appending(&self) -> Appending {
            let log = Log { path: self.home.team(&self.team).audit(), most: AUDIT.0, keep: AUDIT.1 };
            Appending { log, lost: Arc::default(), failed: false }
        }
    }

    fn note(action: &str) -> Entry<'_> {
        Entry { who: "lead", action, result: "ok", ..Entry::default() }
    }

    fn line(action: &str) -> Line {
        let values = [("who", "lead"), ("action", action), ("result", "ok")];
        let values = values.map(|(name, value)| (name, value.to_owned())).into();
        Line { kind: Kind::Audit, at: Timestamp::now(), values, lost: 0 }
    }

    #[test]
    fn what_was_done_can_be_read_later() {
        let place = place();
        let journal = place.journal();
        let text = format!("two\nlines, token=abc {}", "é".repeat(10_000));
        let ids = ["0192d3f4-0000-7000-8000-000000000000"; 200].join(", ");
        journal.note(Entry {
            agent: Some("arch"),
            from: Some("boss"),
            to: Some("arch"),
            id: Some(&ids),
            text: Some(&text),
            ..note("atm_send")
        });
        journal.clone().note(note("agent_close"));
        journal.close();
        let [sent, closed] = place.audit().try_into().unwrap();
        assert_eq!((sent.v, sent.lost, sent.who.as_str(), sent.action.as_str()), (1, 0, "lead", "atm_send"));
        assert_eq!(sent.agent.as_deref().zip(sent.to.as_deref()), Some(("arch", "arch")));
        assert_eq!((sent.from.as_deref(), sent.id), (Some("boss"), Some(ids)));
        let text = sent.text.unwrap();
        assert!(text.starts_with("two\nlines, token=[masked] é") && text.chars().count() == 200, "{text}");
        assert_eq!((closed.action.as_str(), closed.text), ("agent_close", None));
    }

    #[test]
    fn what_the_program_went_through_has_the_earlier_form() {
        let place = place();
        let journal = place.journal();
        let event =
            Event { level: tracing::Level::WARN, action: "a", agent: None, result: None, error: Some("no disk") };
        journal.event(event);
        journal.close();
        let text = fs::read_to_string(place.home.events_file()).unwrap();
        let (_, behind) = text.split_once("Z\",").unwrap();
        let expected = r#""level":"warn","source":"atm-agent-mcp","action":"a","team":"core","error":"no disk"}"#;
        assert_eq!(behind, format!("{expected}\n"));
    }

    #[test]
    fn a_line_that_finds_no_room_is_counted_and_holds_nobody_up() {
        let place = place();
        let journal = place.journal();
        let mut noted = 0;
        // Whoever writes them down is sooner or later behind.
        while journal.inner.lost.load(Ordering::Relaxed) == 0 {
            journal.note(note("atm_send"));
            noted += 1;
        }
        journal.close();
        let (lines, left) = (place.audit(), journal.inner.lost.load(Ordering::Relaxed));
        let lost = lines.iter().map(|line| line.lost).sum::<u64>() + left;
        assert_eq!(lines.len() as u64 + lost, noted);
    }

    #[test]
    fn a_disk_that_takes_nothing_is_lived_with_and_what_it_cost_is_told() {
        let place = place();
        let mut appending = place.appending();
        let path = appending.log.path.clone();
        fs::create_dir_all(&path).unwrap();
        appending.append(vec![line("one"), line("two")]);
        appending.append(vec![line("three")]);
        assert!(appending.failed);
        fs::remove_dir(&path).unwrap();
        appending.append(vec![line("four"), line("five")]);
        assert!(!appending.failed);
        let lines = place.audit();
        let lines: Vec<_> = lines.iter().map(|line| (line.action.as_str(), line.lost)).collect();
        assert_eq!(lines, [("four", 3), ("five", 0)]);
    }

    #[test]
    fn a_journal_that_is_closed_takes_nothing_and_harms_nobody() {
        let place = place();
        let journal = place.journal();
        journal.note(note("one"));
        journal.close();
        journal.note(note("two"));
        journal.close();
        assert_eq!(place.audit().len(), 1);
    }

    #[test]
    fn the_last_clone_writes_what_waits() {
        let place = place();
        let journal = place.journal();
        let clone = journal.clone();
        drop(journal);
        clone.note(note("one"));
        drop(clone);
        assert_eq!(place.audit().len(), 1);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_ends_nothing() {
        let place = place();
        let mut appending = place.appending();
        appending.log.path = "/dev/full".into();
        appending.append(vec![line("one")]);
        assert!(appending.failed);
        assert_eq!(appending.lost.load(Ordering::Relaxed), 1);
    }
}
