//! The queue of atm-agent-mcp 0.14.0, faults included, to be measured beside ours; and the same made durable.

use std::fs::{self, DirEntry, File};
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::time::Duration;

use atm_agent_mcp::home::sync_dir;
use uuid::Uuid;

const TTL: Duration = Duration::from_secs(600);

#[derive(Clone, Copy)]
pub(crate) enum Durability {
    Hoped,
    Synced,
}

pub(crate) struct Baseline(pub(crate) PathBuf, pub(crate) Durability);

pub(crate) struct Claimed<'a>(&'a Baseline, PathBuf);

impl Baseline {
    pub(crate) fn enqueue(&self, text: &str) -> io::Result<()> {
        let mut file = File::create(self.0.join(format!("{}.json", Uuid::new_v4())))?;
        file.write_all(text.as_bytes())?;
        if let Durability::Synced = self.1 { file.sync_all().and_then(|()| sync_dir(&self.0)) } else { Ok(()) }
    }

    /// In the order of the directory, each claimed when it is asked for.
    pub(crate) fn claims(&self) -> io::Result<impl Iterator<Item = io::Result<Claimed<'_>>>> {
        Ok(fs::read_dir(&self.0)?.filter_map(|entry| self.claim(&entry.ok()?).transpose()))
    }

    fn claim(&self, entry: &DirEntry) -> io::Result<Option<Claimed<'_>>> {
        let path = entry.path();
        if path.extension().is_none_or(|kind| kind != "json") {
            return Ok(None);
        }
        if fs::metadata(&path)?.modified()?.elapsed().is_ok_and(|age| age > TTL) {
            return fs::remove_file(&path).map(|()| None);
        }
        match File::create_new(path.with_extension("lock")) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(None),
            made => made.and_then(|_| fs::read_to_string(&path)).map(|_| Some(Claimed(self, path))),
        }
    }
}

impl Claimed<'_> {
    pub(crate) fn delete(self) -> io::Result<()> {
        fs::remove_file(&self.1)?;
        self.release()?;
        if let Durability::Synced = self.0.1 { sync_dir(&self.0.0) } else { Ok(()) }
    }

    pub(crate) fn release(&self) -> io::Result<()> {
        fs::remove_file(self.1.with_extension("lock"))
    }
}
