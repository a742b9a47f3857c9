//! Which team, or which teams, a command is about.

use std::path::PathBuf;

use super::error::CliError;
use super::place::Place;
use crate::config::ServeFlags;
use crate::ids::Team;

/// The team, as every command takes it.
#[derive(Debug, clap::Args)]
pub(super) struct Whose {
    /// The team [default: the one of the settings, else the repository's name]
    #[arg(long, global = true, value_name = "TEAM", value_parser = Team::parse)]
    team: Option<Team>,

    /// A settings file that goes before those of the repository and of the user
    #[arg(long, global = true, value_name = "PATH")]
    config: Option<PathBuf>,
}

impl Whose {
    /// The place of the command, with that team.
    pub(super) fn place(self) -> Result<Place, CliError> {
        let Whose { team, config } = self;
        let place = Place::find(&ServeFlags { team, config, ..ServeFlags::default() })?;
        place.warn();
        Ok(place)
    }
}
