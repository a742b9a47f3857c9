//! What `setup` has done, in a private file of ours.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::done::Done;
use super::error::SetupFailure;
use super::wait::Wait;
use crate::home::{self, Home};

const VERSION: u32 = 1;

/// What was done and not taken back, the oldest first.
#[derive(Debug)]
pub(super) struct Memory {
    file: PathBuf,
    done: Vec<Done>,
}

/// The memory of the one `setup` that does something now: others wait until this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    memory: Memory,
    _lock: File,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    done: Vec<Done>,
}

impl Memory {
    /// Reads it, to look at.
    pub(super) fn open(home: &Home) -> Result<Memory, SetupFailure> {
        let file = home.setup_file();
        let unread = |why: String| SetupFailure::Memory { file: file.clone(), why };
        let done = match std::fs::read(&file) {
            Ok(bytes) => {
                let stored: Stored = serde_json::from_slice(&bytes).map_err(|error| unread(error.to_string()))?;
                if stored.version > VERSION {
                    return Err(unread("it was written by a newer atm-agent-mcp".to_owned()));
                }
                stored.done
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(unread(error.to_string())),
        };
        Ok(Memory { file, done })
    }

    /// What was done.
    pub(super) fn done(&self) -> &[Done] {
        &self.done
    }

    /// How a file of our own was left, and which directories were made for it.
    pub(super) fn written(&self, file: &Path) -> Option<(Uuid, &[PathBuf])> {
        self.done.iter().find_map(|done| match done {
            Done::Written { file: written, fingerprint, dirs, .. } if written == file => {
                Some((*fingerprint, &dirs[..]))
            }
            Done::Told { .. } | Done::Entered { .. } | Done::Replaced { .. } | Done::Written { .. } => None,
        })
    }
}

impl Held {
    /// Waits for those who do something, and reads it then.
    pub(super) fn open(home: &Home) -> Result<Held, SetupFailure> {
        let file = home.setup_file().with_extension("lock");
        let lock = locked(&file).map_err(|error| SetupFailure::File { file, error })?;
        Ok(Held { memory: Memory::open(home)?, _lock: lock })
    }

    /// What was done.
    pub(super) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Keeps what is done, before it is: what was not done is seen when it is taken back.
    pub(super) fn keep(&mut self, done: Done) -> Result<(), SetupFailure> {
        self.memory.done.retain(|kept| !kept.is_overtaken_by(&done));
        self.memory.done.push(done);
        self.save()
    }

    /// Knows again what was known before.
    pub(super) fn restore(&mut self, done: Vec<Done>) -> Result<(), SetupFailure> {
        self.memory.done = done;
        self.save()
    }

    /// Forgets one.
    pub(super) fn forget(&mut self, done: &Done) -> Result<(), SetupFailure> {
        self.memory.done.retain(|kept| kept != done);
        self.save()
    }

    fn save(&self) -> Result<(), SetupFailure> {
        let Memory { file, done } = &self.memory;
        let failed = |error: io::Error| SetupFailure::Memory { file: file.clone(), why: error.to_string() };
        if done.is_empty() {
            return match std::fs::remove_file(file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
                _ => Ok(()),
            };
        }
        let stored = Stored { version: VERSION, done: done.clone() };
        let text = serde_json::to_vec_pretty(&stored).map_err(|error| failed(error.into()))?;
        home::write_atomic(file, &text).map_err(failed)
    }
}

/// Takes the OS lock on a file, which is never removed, for then two could lock it.
fn locked(path: &Path) -> io::Result<File> {
    home::private_dir(path.parent().unwrap_or(path))?;
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    let mut wait = Wait::new(format!("another `atm-agent-mcp setup`, which holds {}", path.display()));
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => drop(wait.pause()),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::edit::fingerprint;
    use super::super::step::What;
    use super::*;

    fn write(content: &str) -> Done {
        let (what, file) = (What::Settings, PathBuf::from("/p/.atm.toml"));
        Done::Written { what, file, fingerprint: fingerprint(content), dirs: Vec::new() }
    }

    #[test]
    fn what_is_kept_is_read_again_and_the_last_of_a_file_holds() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let mut memory = Held::open(&home).unwrap();
        memory.keep(write("one")).unwrap();
        memory.keep(write("two")).unwrap();
        assert_eq!(Memory::open(&home).unwrap().done(), [write("two")]);
        memory.forget(&write("two")).unwrap();
        assert!(!home.setup_file().exists());
    }

    #[test]
    fn a_memory_of_a_newer_program_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        std::fs::create_dir_all(home.setup_file().parent().unwrap()).unwrap();
        std::fs::write(home.setup_file(), r#"{"version": 2, "done": []}"#).unwrap();
        assert!(Memory::open(&home).err().unwrap().to_string().contains("newer"));
    }
}
