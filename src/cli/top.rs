//! `top`: the live screen on this terminal.

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use crossterm::event::EventStream;
use tokio::process::Command;

use super::error::CliError;
use super::foreground::{self, Wish, Wishes};
use super::fullscreen::{self, Before, Fullscreen};
use super::place::Place;
use crate::config::ServeFlags;
use crate::ids::{AgentId, Team};
use crate::serve;
use crate::top::{self, Left, Screen, Teams, TopError};

/// The exit code of who was interrupted, as shells have it.
const INTERRUPTED: u8 = 130;
/// How long Ctrl-C may take to come to us after it has ended another; if somebody has interrupted only that, it does not come.
const BOTH: Duration = Duration::from_millis(500);

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
    /// On this one nothing can be drawn anywhere.
    #[error("top cannot draw on a terminal that does not move its cursor (TERM is dumb)")]
    Dumb,
    /// It cannot be made ready.
    #[error("the terminal cannot be made ready: {0}")]
    Terminal(io::Error),
    /// The screen.
    #[error("{0}")]
    Top(#[from] TopError),
}

pub(super) async fn run(Args { all_teams, team, config }: Args) -> Result<ExitCode, CliError> {
    if !(io::stdout().is_terminal() && io::stdin().is_terminal()) {
        return Err(TopFailure::NoTerminal.into());
    }
    if std::env::var_os("TERM").is_some_and(|term| term == "dumb") {
        return Err(TopFailure::Dumb.into());
    }
    let place = Place::find(&ServeFlags { team, config: config.clone(), ..ServeFlags::default() })?;
    place.warn();
    let settings = place.loaded.settings;
    let teams = if all_teams { Teams::All } else { Teams::One(settings.team.clone()) };
    let limits = serve::queue_limits(&settings);
    let has_colours = std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    let place = top::Place { home: place.home, teams, lead: settings.lead, limits };
    let mut screen = Screen::new(place, has_colours);
    let mut wishes = Wishes::listen().map_err(TopFailure::Terminal)?;
    let before = Before::now();
    loop {
        match on_the_terminal(&mut screen, &mut wishes).await? {
            Left::Quit => return Ok(ExitCode::SUCCESS),
            Left::Interrupted => return Ok(ExitCode::from(INTERRUPTED)),
            Left::Stopped => {
                if !foreground::stop() {
                    screen.say("there is no shell that could continue it: it goes on");
                }
            }
            Left::Attach(team, agent) => {
                if attach(&team, &agent, config.as_ref(), &before, &mut wishes).await == Goes::Away {
                    return Ok(ExitCode::SUCCESS);
                }
            }
        }
    }
}

/// Restored when it is left, by a panic, and when the system asks us to end.
async fn on_the_terminal(screen: &mut Screen, wishes: &mut Wishes) -> Result<Left, TopFailure> {
    let mut fullscreen = Fullscreen::enter().map_err(TopFailure::Terminal)?;
    let wanted = async {
        match wishes.next().await {
            Wish::Interrupt => Left::Interrupted,
            #[cfg(unix)]
            Wish::Stop => Left::Stopped,
            Wish::End => Left::Quit,
        }
    };
    Ok(screen.run(&mut fullscreen.terminal, EventStream::new(), wanted).await?)
}

/// Where one goes from the Codex UI.
#[derive(Debug, PartialEq, Eq)]
enum Goes {
    Back,
    /// Somebody asked the program to end meanwhile.
    Away,
}

/// `attach`, as from the shell; what it has to say stays until it is read. Ctrl-C is for it, and not for us.
async fn attach(team: &Team, agent: &AgentId, config: Option<&PathBuf>, before: &Before, wishes: &mut Wishes) -> Goes {
    let attached = async {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["attach", agent.as_str(), "--team", team.as_str()]);
        command.args(config.into_iter().flat_map(|path| [std::ffi::OsStr::new("--config"), path.as_os_str()]));
        command.status().await
    };
    tokio::pin!(attached);
    let (mut goes, mut is_interrupted) = (Goes::Back, false);
    let attached = loop {
        tokio::select! {
            // What is asked of us is heard before its end is looked at.
            biased;
            wish = wishes.next() => match wish {
                Wish::Interrupt => is_interrupted = true,
                #[cfg(unix)]
                Wish::Stop => drop(foreground::stop()),
                Wish::End => goes = Goes::Away,
            },
            attached = &mut attached => break attached,
        }
    };
    // Ctrl-C comes to both, and may have ended the one before the other has heard of it. Heard later, it would be for us.
    if !is_interrupted && attached.as_ref().is_ok_and(foreground::was_interrupted) {
        is_interrupted = true;
        if let Ok(Wish::End) = tokio::time::timeout(BOTH, wishes.next()).await {
            goes = Goes::Away;
        }
    }
    match &attached {
        // It was killed, and not by Ctrl-C, which finds it before there is a UI.
        Ok(status) if status.code().is_none() && !is_interrupted => before.restore_all(),
        Ok(_) => before.restore(),
        Err(error) => eprintln!("attach cannot be started: {error}"),
    }
    if is_interrupted {
        // What it was saying is not gone on with.
        eprintln!();
    }
    if goes == Goes::Back && !is_interrupted && !attached.is_ok_and(|status| status.success()) {
        eprint!("Press Enter to go back to top. ");
        tokio::select! {
            _ = fullscreen::pressed_enter() => {}
            wish = wishes.next() => if wish == Wish::End {
                goes = Goes::Away;
            },
        }
        before.restore();
        eprintln!();
    }
    goes
}
