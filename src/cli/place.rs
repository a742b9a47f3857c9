//! Where a command is run: the home, the directory, and the settings that hold there.

use std::path::PathBuf;

use super::error::CliError;
use super::output;
use crate::config::{self, Loaded, ServeFlags};
use crate::home::Home;
use crate::plain::on_one_line;

/// The place of a command.
pub(super) struct Place {
    pub(super) home: Home,
    pub(super) cwd: PathBuf,
    pub(super) loaded: Loaded,
}

impl Place {
    /// Looks around.
    pub(super) fn find(flags: &ServeFlags) -> Result<Place, CliError> {
        let home = Home::find().ok_or(CliError::NoHome)?;
        let cwd = std::env::current_dir().map_err(CliError::NoDirectory)?;
        let env = |name: &str| std::env::var(name).ok();
        let loaded = config::load(&config::Sources { flags, env: &env, cwd: &cwd, home: &home })?;
        Ok(Place { home, cwd, loaded })
    }

    /// Tells the person at the terminal what in the settings does not do what its writer may think.
    pub(super) fn warn(&self) {
        for warning in &self.loaded.warnings {
            output::note(format_args!("Warning: {}", on_one_line(&warning.to_string())));
        }
    }
}
