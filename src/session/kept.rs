//! A session's record, and whether the disk is behind it.

use std::time::Duration;

use super::context;
use super::record::Record;
use super::setup::{FullAccess, Setup};
use super::toolbox::Caller;
use crate::home::{TeamDir, private_dir, write_atomic};
use crate::ids::AgentName;

/// How long a record waits to be written, so that the answer, and the call that may follow it, come first: the disk
/// would take the processor from their way.
const AFTER_THE_ANSWER: Duration = Duration::from_millis(50);

/// The record of a living agent. It is written off the loop, for a sync of the disk takes milliseconds, and one write
/// at a time, so that the last word is the newest.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) record: Record,
    dir: TeamDir,
    lead: AgentName,
    full_access: FullAccess,
    disk: Disk,
    /// What it said last, whole.
    pub(super) last_answer: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disk {
    UpToDate,
    Behind,
    BeingWritten,
    BeingWrittenAndBehind,
}

impl Kept {
    pub(super) fn new(record: Record, setup: &Setup) -> Kept {
        let Setup { dir, lead, full_access, .. } = setup.clone();
        Kept { record, dir, lead, full_access, disk: Disk::UpToDate, last_answer: None }
    }

    /// Where the agent stands now, for its model.
    pub(super) fn place(&self) -> String {
        context::describe(&self.record.identity, &self.record.team, &self.lead, self.record.cwd())
    }

    /// Who the agent is for its tools.
    pub(super) fn caller(&self) -> Caller {
        Caller { agent: self.record.agent_id.clone(), name: self.record.identity.clone() }
    }

    /// Whether the agent may run without a sandbox.
    pub(super) fn full_access(&self) -> FullAccess {
        self.full_access.clone()
    }

    /// The record has changed.
    pub(super) fn changed(&mut self) {
        self.disk = match self.disk {
            Disk::UpToDate | Disk::Behind => Disk::Behind,
            Disk::BeingWritten | Disk::BeingWrittenAndBehind => Disk::BeingWrittenAndBehind,
        };
    }

    /// A write that is due now; [`Kept::saved`] is to be told of its end.
    pub(super) fn save_due(&mut self) -> Option<impl Future<Output = ()> + Send + use<>> {
        if self.disk != Disk::Behind {
            return None;
        }
        self.disk = Disk::BeingWritten;
        let save = self.clone().save();
        Some(async {
            tokio::time::sleep(AFTER_THE_ANSWER).await;
            save.await.unwrap_or_else(|error| tracing::warn!("{error}"));
        })
    }

    /// Whether a write is under way.
    pub(super) fn is_being_written(&self) -> bool {
        matches!(self.disk, Disk::BeingWritten | Disk::BeingWrittenAndBehind)
    }

    /// A write has ended.
    pub(super) fn saved(&mut self) {
        self.disk = match self.disk {
            Disk::BeingWrittenAndBehind | Disk::Behind => Disk::Behind,
            Disk::BeingWritten | Disk::UpToDate => Disk::UpToDate,
        };
    }

    /// The last write. An agent that never had a thread has nothing to come back to, and leaves nothing.
    pub(super) async fn save_now(self) -> Result<(), String> {
        if self.record.thread_id.is_some() {
            if self.record.closed {
                self.save_summary().await;
            }
            return self.save().await;
        }
        std::fs::remove_file(self.dir.agent_lock(&self.record.agent_id)).ok();
        Ok(())
    }

    /// Keeps the last answer of an agent that is closed. It is a convenience: that it cannot be written is logged.
    async fn save_summary(&self) {
        let Some(answer) = self.last_answer.clone().filter(|answer| !answer.is_empty()) else { return };
        let path = self.dir.summary(&self.record.agent_id);
        let write = move || {
            let dir = path.parent().expect("it is in a directory");
            let written =
                private_dir(dir).and_then(|()| write_atomic(&path, format!("{}\n", answer.trim_end()).as_bytes()));
            if let Err(error) = written {
                tracing::warn!(path = %path.display(), %error, "an agent's last answer cannot be kept");
            }
        };
        tokio::task::spawn_blocking(write).await.ok();
    }

    /// Writes the record; the error says which file, and why.
    pub(super) async fn save(self) -> Result<(), String> {
        let path = self.dir.record(&self.record.agent_id);
        let saved = tokio::task::spawn_blocking(move || self.record.save(&self.dir)).await;
        let failed = |error: &dyn std::fmt::Display| {
            format!("The agent's record {} cannot be written: {error}.", path.display())
        };
        saved.map_err(|e| failed(&e))?.map_err(|e| failed(&e))
    }
}
