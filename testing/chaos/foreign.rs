//! A program that is not ours and writes to the queue by its protocol: files, and the time at which they were changed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use atm_agent_mcp::queue::Urgency;
use fastrand::Rng;
use serde_json::json;

use crate::mark::Mark;

/// A writer in place that pauses for longer may be taken for one that is done: 500 ms by the protocol, and the system's
/// clock ticks.
const PAUSE_MAX: Duration = Duration::from_millis(400);

/// How it puts a file there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Whole.
    Renamed,
    /// In several pieces.
    InPlace,
}

/// What it writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// JSON.
    Entry,
    /// The text, as it is.
    Plain,
}

#[derive(Debug)]
pub(crate) struct Foreign {
    queue: PathBuf,
    aside: PathBuf,
    manner: Manner,
    /// A file whose time is the file system's.
    clock: PathBuf,
    /// When its last file was changed: the next must be younger, or they have no order.
    last: SystemTime,
}

impl Foreign {
    pub(crate) fn new(queue: &Path, aside: &Path, producer: u32, manner: Manner) -> io::Result<Foreign> {
        fs::create_dir_all(aside)?;
        let clock = aside.join(format!("clock-{producer}"));
        // One that is dead may have written a moment ago.
        let last = tick(&clock)?;
        Ok(Foreign { queue: queue.to_owned(), aside: aside.to_owned(), manner, clock, last })
    }

    /// Puts a text there; answers whether it was done as the protocol wants it.
    pub(crate) fn write(&mut self, mark: &Mark, form: Form, rng: &mut Rng) -> io::Result<bool> {
        while tick(&self.clock)? <= self.last {
            thread::sleep(Duration::from_millis(1));
        }
        let content = content(mark, form);
        let name = format!("{}.json", uuid::Uuid::new_v4());
        let place = self.queue.join(&name);
        match self.manner {
            Manner::Renamed => {
                let aside = self.aside.join(&name);
                let mut file = File::create_new(&aside)?;
                file.write_all(content.as_bytes())?;
                self.last = file.metadata()?.modified()?;
                fs::rename(aside, place)?;
                Ok(true)
            }
            Manner::InPlace => {
                let mut file = File::create_new(place)?;
                let in_time = in_pieces(&mut file, content.as_bytes(), rng)?;
                self.last = file.metadata()?.modified()?;
                Ok(in_time)
            }
        }
    }
}

/// Writes piece by piece; answers whether no pause was too long.
fn in_pieces(file: &mut File, content: &[u8], rng: &mut Rng) -> io::Result<bool> {
    let mut longest = Duration::ZERO;
    let mut rest = content;
    let mut since: Option<Instant> = None;
    while !rest.is_empty() {
        let (piece, more) = rest.split_at(rng.usize(1..=rest.len().min(1 + content.len() / 3)));
        thread::sleep(Duration::from_millis(rng.u64(..20)));
        file.write_all(piece)?;
        longest = longest.max(since.map_or(Duration::ZERO, |since| since.elapsed()));
        since = Some(Instant::now());
        rest = more;
    }
    Ok(longest < PAUSE_MAX)
}

fn content(mark: &Mark, form: Form) -> String {
    match form {
        Form::Plain => mark.text(),
        Form::Entry if mark.urgency == Urgency::Urgent => {
            json!({ "v": 1, "text": mark.text(), "urgency": "urgent" }).to_string()
        }
        Form::Entry => json!({ "v": 1, "text": mark.text() }).to_string(),
    }
}

/// What time it is for the file system.
fn tick(clock: &Path) -> io::Result<SystemTime> {
    let mut file = File::create(clock)?;
    file.write_all(b"tick")?;
    file.metadata()?.modified()
}
