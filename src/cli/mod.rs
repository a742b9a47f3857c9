//! The command line: one file a subcommand.

mod agent_tools;
mod attach;
mod claude_config;
mod config;
mod demo;
pub mod error;
mod json_edit;
mod log;
mod mail;
mod output;
mod place;
mod queue;
mod serve;
mod sessions;
mod setup;
mod shell;
mod stdio;
mod summary;
mod timeline;
mod top;
mod whose;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

/// What the program is called.
pub const NAME: &str = "atm-agent-mcp";

/// An MCP server that runs a team of Codex agents.
#[derive(Debug, Parser)]
#[command(name = NAME, version, max_term_width = 100, after_long_help = "Examples:
  atm-agent-mcp demo                         # see what it does: no account, no network
  atm-agent-mcp setup                        # register it with Claude Code; shown first
  atm-agent-mcp sessions                     # the agents of this repository's team")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Setup(setup::Args),
    Serve(serve::Args),
    Attach(attach::Args),
    Top(top::Args),
    Sessions(sessions::Args),
    Log(timeline::Args),
    Queue(queue::Args),
    Mail(mail::Args),
    Summary(summary::Args),
    Config(config::Args),
    Demo(demo::Args),
    #[command(hide = true)]
    AgentTools(agent_tools::Args),
}

/// The command line as people see it, for what is made from it: man pages, completions, the reference.
pub fn command() -> clap::Command {
    let whole = Cli::command();
    // Completions would offer what is hidden.
    let shown: Vec<clap::Command> = whole.get_subcommands().filter(|one| !one.is_hide_set()).cloned().collect();
    let (about, examples) = (whole.get_about().cloned(), whole.get_after_long_help().cloned());
    let version = env!("CARGO_PKG_VERSION");
    clap::Command::new(NAME)
        .version(version)
        .about(about.unwrap_or_default())
        .after_long_help(examples.unwrap_or_default())
        .subcommand_required(true)
        .subcommands(shown)
}

/// Runs the program.
pub fn main() -> ExitCode {
    let Cli { command } = Cli::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = runtime.map_err(error::CliError::Runtime).and_then(|runtime| {
        // It would be written over the screen.
        if !(matches!(command, Command::Top(_)) && std::io::stderr().is_terminal()) {
            log::start();
        }
        let done = match command {
            Command::Setup(args) => setup::run(args),
            Command::Serve(args) => runtime.block_on(serve::run(args)),
            Command::Attach(args) => runtime.block_on(attach::run(args)),
            Command::Top(args) => runtime.block_on(top::run(args)),
            Command::Sessions(args) => sessions::run(args),
            Command::Log(args) => runtime.block_on(timeline::run(args)),
            Command::Mail(args) => runtime.block_on(mail::run(args)),
            Command::Summary(args) => summary::run(args),
            Command::Queue(args) => runtime.block_on(queue::run(args)),
            Command::Config(args) => config::run(&args),
            Command::Demo(args) => runtime.block_on(demo::run(args)),
            Command::AgentTools(args) => runtime.block_on(agent_tools::run(args)),
        };
        // A thread that waits for stdin waits for ever.
        runtime.shutdown_background();
        done
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}
