//! `top`: the live screen on this terminal.

use std::io::{self, BufRead, IsTerminal};
use std::path::PathBuf;

use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste, EventStream};
use tokio::process::Command;

use super::ending::Asked;
use super::error::CliError;
use super::place::Place;
use crate::config::ServeFlags;
use crate::ids::{AgentId, Team};
use crate::serve;
use crate::top::{self, Left, Screen, Teams, TopError};

/// Show every agent at a glance, live
///
/// Who works, on what and since when; what waits for whom; who asks for a decision. Keys attach, say something, interrupt,
/// close, approve and decline; `?` lists them. It works without a server, and with any number of them.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  atm-agent-mcp top
  atm-agent-mcp top --all-teams")]
pub(super) struct Args {
    /// The agents of every team
    #[arg(long, conflicts_with = "team")]
    all_teams: bool,

    /// The team whose agents these are [default: the repository's name]
    #[arg(long, value_name = "TEAM", value_parser = Team::parse)]
    team: Option<Team>,

    /// A settings file that goes before those of the repository and of the user
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
}

/// Why there is no screen.
#[derive(Debug, thiserror::Error)]
pub enum TopFailure {
    /// Nothing to draw on.
    #[error("top needs a terminal to draw on")]
    NoTerminal,
    /// It cannot be made ready.
    #[error("the terminal cannot be made ready: {0}")]
    Terminal(io::Error),
    /// The screen.
    #[error("{0}")]
    Top(#[from] TopError),
}

pub(super) async fn run(Args { all_teams, team, config }: Args) -> Result<(), CliError> {
    if !(io::stdout().is_terminal() && io::stdin().is_terminal()) {
        return Err(TopFailure::NoTerminal.into());
    }
    let place = Place::find(&ServeFlags { team, config: config.clone(), ..ServeFlags::default() })?;
    place.warn();
    let settings = place.loaded.settings;
    let teams = if all_teams { Teams::All } else { Teams::One(settings.team.clone()) };
    let limits = serve::queue_limits(&settings);
    let has_colours = std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    let place = top::Place { home: place.home, teams, lead: settings.lead, limits };
    let mut screen = Screen::new(place, has_colours);
    end_pasting_with_a_panic();
    let mut asked = Asked::listen().map_err(TopFailure::Terminal)?;
    loop {
        match on_the_terminal(&mut screen, &mut asked).await? {
            Left::Quit => return Ok(()),
            Left::Attach(team, agent) => attach(&team, &agent, config.as_ref()).await,
        }
    }
}

/// ratatui's own hook restores the rest of the terminal.
fn end_pasting_with_a_panic() {
    let others = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        crossterm::execute!(io::stdout(), DisableBracketedPaste).ok();
        others(panic);
    }));
}

/// Restored when it is left, by a panic, and when the system asks us to end.
async fn on_the_terminal(screen: &mut Screen, asked: &mut Asked) -> Result<Left, TopFailure> {
    let mut terminal = ratatui::try_init().map_err(TopFailure::Terminal)?;
    crossterm::execute!(io::stdout(), EnableBracketedPaste).ok();
    let left = tokio::select! {
        left = screen.run(&mut terminal, EventStream::new()) => left,
        () = asked.end() => Ok(Left::Quit),
    };
    crossterm::execute!(io::stdout(), DisableBracketedPaste).ok();
    ratatui::restore();
    Ok(left?)
}

/// `attach`, as from the shell; what it has to say stays until it is read.
async fn attach(team: &Team, agent: &AgentId, config: Option<&PathBuf>) {
    let attached = async {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["attach", agent.as_str(), "--team", team.as_str()]);
        command.args(config.into_iter().flat_map(|path| [std::ffi::OsStr::new("--config"), path.as_os_str()]));
        command.status().await
    };
    let attached = attached.await;
    if let Err(error) = &attached {
        eprintln!("attach cannot be started: {error}");
    }
    if !attached.is_ok_and(|status| status.success()) {
        eprint!("Press Enter to go back to top. ");
        io::stdin().lock().read_line(&mut String::new()).ok();
    }
}
