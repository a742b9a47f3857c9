//! `demo`: the play, on a terminal.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::ExitCode;

use super::ending::unless_asked;
use crate::cli::error::CliError;
use crate::demo::play::{PlayError, play};

/// Play a demonstration: real Codex agents and a scripted model, no account, no network
///
/// Everything is in a temporary directory, which goes with the demonstration unless that is killed (SIGKILL). Exit code: 0 it
/// has played to its end, or its reader has gone; 1 something failed; 130, 143 or 129 it was ended by Ctrl-C, SIGTERM or SIGHUP.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  atm-agent-mcp demo
  atm-agent-mcp demo --codex-bin /opt/codex/bin/codex")]
pub(super) struct Args {
    /// The Codex to use; that of ATM_AGENT_MCP_CODEX_BIN, or else the one on PATH otherwise
    #[arg(long, value_name = "PATH")]
    codex_bin: Option<PathBuf>,
}

pub(super) async fn run(args: Args) -> Result<ExitCode, CliError> {
    let mut out = std::io::stdout();
    let of_environment =
        || std::env::var_os("ATM_AGENT_MCP_CODEX_BIN").filter(|path| !path.is_empty()).map(PathBuf::from);
    let codex = args.codex_bin.or_else(of_environment);
    match unless_asked(play(codex.as_deref(), &mut out)).await {
        Err(asked) => Ok(asked),
        Ok(Ok(())) => Ok(ExitCode::SUCCESS),
        // A reader that has gone away has read what it wanted.
        Ok(Err(PlayError::Output(error))) if error.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        Ok(Err(PlayError::Output(error))) => Err(CliError::Output(error)),
        Ok(Err(PlayError::Failed(why))) => Err(CliError::Demo(why)),
    }
}
