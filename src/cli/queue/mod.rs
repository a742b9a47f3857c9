//! `queue`: what waits for the agents of a team, one file a subcommand.

mod drop;
mod error;
mod list;
mod outlook;
mod path;
mod proof;
mod push;
mod retry;
mod show;
mod shown;
mod team;

use std::path::PathBuf;

use clap::Subcommand;

pub(super) use error::QueueFailure;

use super::error::CliError;
use super::place::Place;
use crate::config::ServeFlags;
use crate::ids::Team;
pub(super) use team::{Presence, TeamQueues};

/// Say something to an agent without disturbing it, and see what waits for it
///
/// Works with or without a running server. Any other program can do the same with a file: see docs/queue.md.
#[derive(Debug, clap::Args)]
#[command(after_long_help = r#"Examples:
  atm-agent-mcp queue push ana "look at the failing test first"
  atm-agent-mcp queue list"#)]
pub(super) struct Args {
    /// The team whose agents these are [default: the repository's name]
    #[arg(long, global = true, value_name = "TEAM", value_parser = Team::parse)]
    team: Option<Team>,

    /// A settings file that goes before those of the repository and of the user
    #[arg(long, global = true, value_name = "PATH")]
    config: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Push(push::Args),
    List(list::Args),
    Show(show::Args),
    Retry(retry::Args),
    Drop(drop::Args),
    Path(path::Args),
}

pub(super) async fn run(Args { team, config, command }: Args) -> Result<(), CliError> {
    let place = Place::find(&ServeFlags { team, config, ..ServeFlags::default() })?;
    place.warn();
    let team = TeamQueues::new(&place.home, &place.loaded.settings);
    match command {
        Command::Push(args) => push::run(args, &team).await,
        Command::List(args) => list::run(&args, &team),
        Command::Show(args) => show::run(&args, &team),
        Command::Retry(args) => retry::run(&args, &team),
        Command::Drop(args) => drop::run(&args, &team),
        Command::Path(args) => path::run(&args, &team),
    }
}
