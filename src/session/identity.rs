//! Who runs a name, and who runs an agent: OS locks held by the living server.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use crate::home::private_dir;

/// Something that is ours while this lives. The file stays, for removing it would let two lock it; the lock does not.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes it; `None` if somebody has it.
    pub fn take(path: &Path) -> io::Result<Option<Lock>> {
        if let Some(dir) = path.parent() {
            private_dir(dir)?;
        }
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path)?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(Lock { _file: file })),
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) => {}
            }
            // Whoever only looks shares it for an instant; who has it shares it with nobody.
            match file.try_lock_shared() {
                Ok(()) => file.unlock()?,
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) => return Ok(None),
            }
            std::thread::yield_now();
        }
    }

    /// Whether somebody has it now.
    pub fn is_held(path: &Path) -> bool {
        let file = OpenOptions::new().write(true).open(path);
        file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_has_one_holder_and_is_free_when_that_is_gone() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("team").join("arch.lock");
        assert!(!Lock::is_held(&path));
        let held = Lock::take(&path).unwrap().expect("free");
        assert!(Lock::take(&path).unwrap().is_none());
        assert!(Lock::is_held(&path));
        drop(held);
        std::thread::scope(|scope| {
            scope.spawn(|| (0..500).filter(|_| Lock::is_held(&path)).count());
            for _ in 0..500 {
                assert!(Lock::take(&path).unwrap().is_some(), "who looks takes nothing away");
            }
        });
        assert!(Lock::take(&path).unwrap().is_some());
    }
}
