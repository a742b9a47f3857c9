//! `attach`: a person at a running agent.

mod error;
mod follow;
mod show;
mod ui;
mod whom;

use std::io::IsTerminal;
use std::path::PathBuf;

use super::error::CliError;
use super::output;
use super::place::Place;
use super::queue::{Presence, TeamQueues};
use super::shell;
use crate::codex::Environment;
use crate::codex::program::LOCKS_THREADS;
use crate::config::ServeFlags;
use crate::ids::{Team, ThreadId};
use crate::plain::on_one_line;
use crate::session::Record;

pub(super) use error::AttachFailure;
use ui::{Program, Ui};

/// Open the Codex UI on a running agent
///
/// It is the real one, on the live thread: it shows what the agent does, what you type is a turn of the agent's, and what
/// Codex asks you may answer, as everybody else may who is asked. Leaving it leaves the agent running.
///
/// With --read-only the agent is followed as plain text, without the UI.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  atm-agent-mcp attach ana
  atm-agent-mcp attach ana --read-only --turns 3
  atm-agent-mcp attach ana --read-only --json | jq .method")]
pub(super) struct Args {
    /// A name, an agent id, or a thread id
    agent: String,

    /// Follow what the agent says and does as text, until it ends
    #[arg(long)]
    read_only: bool,

    /// How many of its last turns are shown first
    #[arg(long, value_name = "N", requires = "read_only", default_value_t = 1, value_parser = clap::value_parser!(u32).range(..=1000))]
    turns: u32,

    /// Print what Codex says, a JSON object a line, and atm/gone and atm/back when its Codex is gone or another has the thread
    #[arg(long, requires = "read_only")]
    json: bool,

    /// If the agent does not run, open its thread without asking
    #[arg(long, conflicts_with = "read_only")]
    yes: bool,

    /// The team whose agents these are [default: the repository's name]
    #[arg(long, value_name = "TEAM", value_parser = Team::parse)]
    team: Option<Team>,

    /// A settings file that goes before those of the repository and of the user
    #[arg(long, value_name = "PATH")]
    config: Option<PathBuf>,
}

pub(super) async fn run(args: Args) -> Result<(), CliError> {
    let Args { agent, read_only, turns, json, yes, team, config } = args;
    let place = Place::find(&ServeFlags { team, config, ..ServeFlags::default() })?;
    place.warn();
    let settings = place.loaded.settings;
    let team = TeamQueues::new(&place.home, &settings);
    let record = whom::meant(&agent, &settings.team, &place.home.team(&settings.team), &team)?;
    let runs = matches!(team.presence(&record), Presence::Running);
    let Some(thread) = record.thread_id.clone() else {
        return Err(AttachFailure::NoThread { agent: record.identity }.into());
    };
    let codex = Program { setting: settings.codex_bin, environment: Environment::without(settings.env_remove) };
    match (runs, read_only) {
        (true, true) => {
            let form = if json { show::Form::Json } else { show::Form::Text };
            follow::follow(&team, record, thread, follow::Wish { form, turns }).await
        }
        (false, true) => {
            let command = codex.shown(&thread, record.cwd());
            Err(AttachFailure::NothingToFollow { agent: record.identity, command }.into())
        }
        (true, false) => {
            let no_socket = || AttachFailure::NoSocket { agent: record.identity.clone() };
            let socket = record.socket.as_deref().ok_or_else(no_socket)?;
            let ui = Ui::find(&codex)?;
            ui.check()?;
            ui::is_listening(&record.identity, socket).await?;
            if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
                return Err(AttachFailure::NoTerminal.into());
            }
            Ok(ui.open(&thread, Some(socket), record.cwd())?)
        }
        (false, false) => open_plainly(&record, &thread, &codex, yes),
    }
}

/// The thread of an agent that nobody runs, in a Codex of its own.
fn open_plainly(record: &Record, thread: &ThreadId, codex: &Program, yes: bool) -> Result<(), CliError> {
    let command = codex.shown(thread, record.cwd());
    let lock = match Ui::find(codex).ok().and_then(|ui| ui.version()) {
        Some(version) if version >= LOCKS_THREADS => {
            "as long as it is open, no server can continue the agent.".to_owned()
        }
        version => format!(
            "close it before a server continues the agent: Codex{} may let both write in one thread.",
            version.map(|version| format!(" {version}")).unwrap_or_default()
        ),
    };
    output::note(format_args!(
        "{} does not run: no server has it. Its thread can be opened by itself, without the agent's name, mail and queue; {lock}",
        record.identity
    ));
    let is_terminal = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if !yes && !is_terminal {
        output::text(&format!("{}\n", on_one_line(&command)))?;
        return Err(AttachFailure::NotRunning { agent: record.identity.clone() }.into());
    }
    if yes || shell::agreed(&format!("Open it now ({})?", on_one_line(&command))).map_err(AttachFailure::NoAnswer)? {
        Ui::find(codex)?.open(thread, None, record.cwd())?;
    }
    Ok(())
}
