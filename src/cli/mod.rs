//! The command line: one file a subcommand.

mod agent_tools;
mod attach;
mod audience;
mod claude_config;
mod config;
mod demo;
mod doctor;
mod ending;
pub mod error;
mod foreground;
mod fullscreen;
mod input;
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
mod time;
mod timeline;
mod top;
mod whose;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

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
    Doctor(doctor::Args),
    Demo(demo::Args),
    #[command(hide = true)]
    AgentTools(agent_tools::Args),
}

/// How many threads read and write files. Each takes memory that does not come back (glibc gives it an arena): in 136 s of the
/// soak a server grew from 32 to 45 MiB with up to 49 of them, from 32 to 41 with 16, from 29 to 33 with 6.
const FILE_THREADS: usize = 8;

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

/// What completes the command line in a shell.
pub fn completions(shell: Shell) -> String {
    // Its script for bash calls a program with hyphens now this, now that (clap_complete 4.6.11), and completes nothing below
    // the subcommands.
    let name = if shell == Shell::Bash { NAME.replace('-', "_") } else { NAME.to_owned() };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), &name, &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    // Each function has a longer name; this is the program's.
    if shell == Shell::Bash { script.replace(&format!(" {name}\n"), &format!(" {NAME}\n")) } else { script }
}

/// Runs the program.
pub fn main() -> ExitCode {
    let Cli { command } = Cli::parse();
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(FILE_THREADS).build();
    let done = runtime.map_err(error::CliError::Runtime).and_then(|runtime| {
        let is_silent = match command {
            // It would be written over the screen.
            Command::Top(_) => std::io::stderr().is_terminal(),
            // What it would warn of is found.
            Command::Doctor(_) => std::env::var_os("ATM_LOG").is_none(),
            _ => false,
        };
        if !is_silent {
            log::start();
        }
        let done = match command {
            Command::Setup(args) => return with_code(runtime, setup::run(args)),
            Command::Serve(args) => runtime.block_on(serve::run(args)),
            Command::Attach(args) => runtime.block_on(attach::run(args)),
            Command::Top(args) => {
                let code = runtime.block_on(top::run(args));
                runtime.shutdown_background();
                return code;
            }
            Command::Sessions(args) => sessions::run(args),
            Command::Log(args) => runtime.block_on(timeline::run(args)),
            Command::Mail(args) => runtime.block_on(mail::run(args)),
            Command::Summary(args) => summary::run(args),
            Command::Queue(args) => runtime.block_on(queue::run(args)),
            Command::Config(args) => config::run(&args),
            Command::Demo(args) => return with_code(runtime, demo::run(args)),
            Command::Doctor(args) => return with_code(runtime, async { Ok(doctor::run(args).await) }),
            Command::AgentTools(args) => runtime.block_on(agent_tools::run(args)),
        };
        // A thread that waits for stdin waits for ever.
        runtime.shutdown_background();
        done.map(|()| ExitCode::SUCCESS)
    });
    match done {
        Ok(code) => code,
        Err(error) => error.report(),
    }
}

/// Runs a command whose exit code says more than that it is done.
fn with_code(
    runtime: tokio::runtime::Runtime,
    command: impl Future<Output = Result<ExitCode, error::CliError>>,
) -> Result<ExitCode, error::CliError> {
    let code = runtime.block_on(command);
    runtime.shutdown_background();
    code
}
