//! What `setup` has done, in a private file of ours.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::error::SetupFailure;
use super::step::Step;
use crate::home::{self, Home};

const VERSION: u32 = 1;

/// What was done and not taken back, the oldest first.
pub(super) struct Memory {
    file: PathBuf,
    done: Vec<Step>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    done: Vec<Step>,
}

impl Memory {
    /// Reads it.
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
    pub(super) fn done(&self) -> &[Step] {
        &self.done
    }

    /// Keeps a step, before it is done: what was not done is seen when it is taken back.
    pub(super) fn keep(&mut self, step: &Step) -> Result<(), SetupFailure> {
        self.done.retain(|kept| !kept.is_same_place(step));
        self.done.push(step.clone());
        self.save()
    }

    /// Knows again what was known before.
    pub(super) fn restore(&mut self, done: Vec<Step>) -> Result<(), SetupFailure> {
        self.done = done;
        self.save()
    }

    /// Forgets a step.
    pub(super) fn forget(&mut self, step: &Step) -> Result<(), SetupFailure> {
        self.done.retain(|kept| !kept.is_same_place(step));
        self.save()
    }

    fn save(&self) -> Result<(), SetupFailure> {
        let failed = |error: io::Error| SetupFailure::Memory { file: self.file.clone(), why: error.to_string() };
        if self.done.is_empty() {
            return match std::fs::remove_file(&self.file) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
                _ => Ok(()),
            };
        }
        let stored = Stored { version: VERSION, done: self.done.clone() };
        let text = serde_json::to_vec_pretty(&stored).map_err(|error| failed(error.into()))?;
        home::private_dir(self.file.parent().unwrap_or(&self.file)).map_err(failed)?;
        home::write_atomic(&self.file, &text).map_err(failed)
    }
}

impl Step {
    /// Whether both are about the same entry or file: the later one is in place of the earlier.
    fn is_same_place(&self, other: &Step) -> bool {
        match (self, other) {
            (Step::Register(one), Step::Register(two)) => {
                (one.scope, &one.name, &one.file, &one.directory) == (two.scope, &two.name, &two.file, &two.directory)
            }
            (Step::Replace { spot: one, .. }, Step::Replace { spot: two, .. })
            | (Step::Enter { spot: one, .. }, Step::Enter { spot: two, .. }) => one == two,
            (Step::Write { file: one, .. }, Step::Write { file: two, .. }) => one == two,
            (Step::Register(_) | Step::Replace { .. } | Step::Enter { .. } | Step::Write { .. }, _) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::setup::step::{What, fingerprint};

    fn write(content: &str) -> Step {
        let (what, file) = (What::Settings, PathBuf::from("/p/.atm.toml"));
        Step::Write { what, file, fingerprint: fingerprint(content), content: content.to_owned() }
    }

    #[test]
    fn what_is_kept_is_read_again_and_the_last_of_a_place_holds() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::at(dir.path());
        let mut memory = Memory::open(&home).unwrap();
        memory.keep(&write("one")).unwrap();
        memory.keep(&write("two")).unwrap();
        let again = Memory::open(&home).unwrap();
        let [Step::Write { fingerprint: kept, content, .. }] = again.done() else { panic!("{:?}", again.done()) };
        assert_eq!((*kept, content.as_str()), (fingerprint("two"), ""), "the content itself is not kept");
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
