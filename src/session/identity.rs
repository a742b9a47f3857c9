//! Who runs a name now: an OS lock held by the living server.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;

use crate::home::{TeamDir, private_dir};
use crate::ids::AgentName;

/// A name that is ours while this lives. The file stays, for removing it would let two lock it; the lock does not.
#[derive(Debug)]
pub struct NameLock {
    _file: File,
}

impl NameLock {
    /// Takes the name; `None` if somebody runs it.
    pub fn take(dir: &TeamDir, name: &AgentName) -> io::Result<Option<NameLock>> {
        private_dir(dir.root())?;
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(dir.name_lock(name))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(NameLock { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Whether somebody runs the name now.
    pub fn is_held(dir: &TeamDir, name: &AgentName) -> bool {
        let file = OpenOptions::new().write(true).open(dir.name_lock(name));
        file.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::home::Home;
    use crate::ids::Team;

    #[test]
    fn a_name_has_one_holder_and_is_free_when_that_is_gone() {
        let root = tempfile::tempdir().unwrap();
        let dir = Home::at(root.path()).team(&Team::parse("t").unwrap());
        let name = AgentName::parse("arch").unwrap();
        assert!(!NameLock::is_held(&dir, &name));
        let held = NameLock::take(&dir, &name).unwrap().expect("free");
        assert!(NameLock::take(&dir, &name).unwrap().is_none());
        assert!(NameLock::is_held(&dir, &name));
        drop(held);
        assert!(NameLock::take(&dir, &name).unwrap().is_some());
    }
}
