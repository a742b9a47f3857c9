//! Which mail is on its way to an agent, kept on disk: so a crash between proof and mark is a question, and not a repetition.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::home::{private_dir, sync_dir, write_atomic};
use crate::ids::{DeliveryId, MessageId};

/// The version of the stored form.
const VERSION: u32 = 1;

/// Messages that were given to Codex, or are about to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sending {
    v: u32,
    /// Under which delivery.
    pub(super) delivery: DeliveryId,
    /// Which.
    pub(super) messages: Vec<MessageId>,
    /// Whether they are known not to have arrived.
    pub(super) is_lost: bool,
    /// How often the first of them was lost.
    pub(super) losses: u32,
}

impl Sending {
    /// These, under this delivery, after so many losses.
    pub(super) fn new(delivery: DeliveryId, messages: Vec<MessageId>, losses: u32) -> Sending {
        Sending { v: VERSION, delivery, messages, is_lost: false, losses }
    }

    /// They have not arrived.
    pub(super) fn lost(self) -> Sending {
        Sending { is_lost: true, losses: self.losses + 1, ..self }
    }
}

/// The file of what is on its way from one inbox.
#[derive(Debug)]
pub(super) struct SendingFile {
    path: PathBuf,
    /// Sent by us: what was read of a crash is another's.
    is_ours: bool,
}

impl SendingFile {
    pub(super) fn at(path: PathBuf) -> SendingFile {
        SendingFile { path, is_ours: false }
    }

    /// Whether it was this process that sent what is on its way.
    pub(super) fn is_ours(&self) -> bool {
        self.is_ours
    }

    /// What is on its way. A file that nobody can read is an error: to go on without it could repeat what it speaks of.
    pub(super) fn read(&self) -> io::Result<Option<Sending>> {
        let unusable = |why: String| io::Error::other(format!("{}: {why}. Mend or remove it", self.path.display()));
        match fs::read(&self.path) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| unusable(error.to_string())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unusable(error.to_string())),
        }
    }

    /// Writes it down; when this returns, it is there, whatever happens then.
    pub(super) fn write(&mut self, sending: &Sending) -> io::Result<()> {
        let dir = self.path.parent().unwrap_or(Path::new("."));
        private_dir(dir)?;
        write_atomic(&self.path, &serde_json::to_vec(sending)?)?;
        self.is_ours = true;
        Ok(())
    }

    /// Nothing is on its way any more.
    pub(super) fn clear(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => sync_dir(self.path.parent().unwrap_or(Path::new("."))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_its_way_is_known_after_a_crash_and_told_apart_from_what_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent").join("mail-red.json");
        let mut file = SendingFile::at(path.clone());
        assert_eq!(file.read().unwrap(), None);
        let sending = Sending::new(DeliveryId::next(), vec![MessageId::next()], 0);
        file.write(&sending).unwrap();
        assert!(file.is_ours());
        let after = SendingFile::at(path.clone());
        assert_eq!((after.read().unwrap(), after.is_ours()), (Some(sending.clone()), false));
        file.write(&sending.lost()).unwrap();
        let lost = after.read().unwrap().unwrap();
        assert!(lost.is_lost && lost.losses == 1);
        fs::write(&path, "{").unwrap();
        assert!(after.read().unwrap_err().to_string().contains("mail-red.json"));
        after.clear().unwrap();
        assert_eq!(after.read().unwrap(), None);
    }
}
