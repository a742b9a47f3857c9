//! A small private file that says what is being done with mail: so a crash leaves a question, and not a repetition.

use std::fs;
use std::io;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::home::{private_dir, sync_dir, write_atomic};

/// The file at this path, there or not.
#[derive(Debug)]
pub(super) struct Slip<T> {
    path: PathBuf,
    says: PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned> Slip<T> {
    pub(super) fn at(path: PathBuf) -> Slip<T> {
        Slip { path, says: PhantomData }
    }

    /// What it says. A file that nobody can read is an error: to go on without it could repeat what it speaks of.
    pub(super) fn read(&self) -> io::Result<Option<T>> {
        let unusable = |why: String| io::Error::other(format!("{}: {why}. Mend or remove it", self.path.display()));
        match fs::read(&self.path) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| unusable(error.to_string())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unusable(error.to_string())),
        }
    }

    /// Writes it down; when this returns, it is there, whatever happens then.
    pub(super) fn write(&self, says: &T) -> io::Result<()> {
        private_dir(self.dir())?;
        write_atomic(&self.path, &serde_json::to_vec(says)?)
    }

    /// It is done with.
    pub(super) fn clear(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => sync_dir(self.dir()),
        }
    }

    fn dir(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }
}
