//! `demo`: the play, on a terminal.

use std::path::PathBuf;

use crate::cli::error::CliError;

/// Play a demonstration: real Codex agents and a scripted model, no account, no network
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:
  atm-agent-mcp demo
  atm-agent-mcp demo --codex-bin /opt/codex/bin/codex")]
pub(super) struct Args {
    /// The Codex to use; the one on PATH otherwise
    #[arg(long, value_name = "PATH")]
    codex_bin: Option<PathBuf>,
}

pub(super) async fn run(args: Args) -> Result<(), CliError> {
    crate::demo::play::play(args.codex_bin.as_deref(), &mut std::io::stdout()).await.map_err(CliError::Demo)
}
