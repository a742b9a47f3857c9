//! A home, a repository and an environment for the tests of this room.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;

use clap::Parser;

use super::{ConfigError, Loaded, ServeFlags, Sources, load};
use crate::home::Home;

#[derive(Parser)]
struct Serve {
    #[command(flatten)]
    flags: ServeFlags,
}

/// The flags as the command line gives them.
pub(super) fn flags(args: &[&str]) -> Result<ServeFlags, clap::Error> {
    Serve::try_parse_from([&["serve"], args].concat()).map(|serve| serve.flags)
}

/// A temporary directory with a user's home `home` and an empty repository `repo`.
pub(super) struct Place {
    dir: tempfile::TempDir,
    env: HashMap<String, String>,
}

impl Place {
    pub(super) fn new() -> Self {
        let place = Place { dir: tempfile::tempdir().unwrap(), env: HashMap::new() };
        fs::create_dir_all(place.path("repo/.git")).unwrap();
        fs::write(place.path("repo/.git/HEAD"), "ref: refs/heads/main\n").unwrap();
        place
    }

    /// With a variable.
    pub(super) fn env(mut self, variable: &str, value: &str) -> Self {
        self.env.insert(variable.to_owned(), value.to_owned());
        self
    }

    /// With a file.
    pub(super) fn file(self, path: &str, content: &str) -> Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    /// With the separators of the system.
    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path).components().collect()
    }

    /// Loads the settings in the repository.
    pub(super) fn load(&self, args: &[&str]) -> Result<Loaded, ConfigError> {
        self.load_in("repo", args)
    }

    pub(super) fn load_in(&self, dir: &str, args: &[&str]) -> Result<Loaded, ConfigError> {
        load(&Sources {
            flags: &flags(args).unwrap(),
            env: &|variable| self.env.get(variable).cloned(),
            cwd: &self.path(dir),
            home: &Home::at(self.path("home")),
        })
    }
}

/// A listed value and where it came from.
pub(super) fn value(loaded: &Loaded, key: &str) -> (Option<String>, String) {
    let listed =
        loaded.listing.iter().find(|listed| listed.key == key).unwrap_or_else(|| panic!("{key} is not listed"));
    (listed.value.clone(), listed.source.to_string())
}
